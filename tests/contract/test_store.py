# SPDX-License-Identifier: BSD-3-Clause
"""What every store does, also when it is contended or interrupted."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from butler_datastore.stores.store import Store, Stored
from butler_model.artifact import sha256
from butler_model.errors import (
    ArtifactExistsError,
    ArtifactIntegrityError,
    ArtifactNotFoundError,
    GrantError,
    InvalidNameError,
    InvalidRequestError,
    LimitExceededError,
)
from tests.support.stores import (
    NO_LIMIT,
    STORES,
    WRITE,
    StorePlace,
    in_another_process,
    killed_in_the_middle,
    read,
    store_place,
)

MEBIBYTE = 2**20


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> StorePlace:
    return store_place(request.param, tmp_path, request)


@pytest.fixture
def store(place: StorePlace) -> Store:
    return place.open()


# ------------------------------------------------------------------------------------------------ whole and once


def test_nothing_is_there_before_the_first_write(store: Store, place: StorePlace) -> None:
    assert store.size("run/a") is None
    assert store.measure("run/a") is None
    assert not store.delete("run/a")
    with pytest.raises(ArtifactNotFoundError, match="run/a"):
        read(store, "run/a", 0)
    place.check_only([])


def test_a_write_tells_size_and_checksum_and_whether_it_is_new(store: Store, place: StorePlace) -> None:
    content = b"some bytes"
    assert store.write("run/a", [b"some ", b"bytes"], NO_LIMIT) == Stored(10, sha256([content]), True)
    assert store.write("run/a", [content], NO_LIMIT) == Stored(10, sha256([content]), False)
    assert store.size("run/a") == 10
    assert read(store, "run/a", 10) == content
    place.check_only(["run/a"])


def test_what_is_there_is_measured(store: Store) -> None:
    content = b"x" * (MEBIBYTE + 1)
    store.write("run/a", [content], NO_LIMIT)
    assert store.measure("run/a") == Stored(len(content), sha256([content]), created=False)


def test_an_artifact_is_invisible_until_it_is_whole(store: Store) -> None:
    seen = []

    def chunks() -> Iterator[bytes]:
        for _ in range(3):
            seen.append(store.size("run/a"))
            yield bytes(MEBIBYTE)
        seen.append(store.size("run/a"))

    store.write("run/a", chunks(), NO_LIMIT)
    assert seen == [None] * 4
    assert store.size("run/a") == 3 * MEBIBYTE


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError(errno.EIO, "read error")])
def test_a_source_that_fails_leaves_nothing(
    store: Store, place: StorePlace, error: type[BaseException] | OSError
) -> None:
    def chunks() -> Iterator[bytes]:
        yield bytes(MEBIBYTE)
        raise error

    with pytest.raises(error if isinstance(error, type) else type(error)):
        store.write("run/a", chunks(), NO_LIMIT)
    place.check_only([])
    assert store.write("run/a", [b"content"], NO_LIMIT).created


def test_a_write_past_its_limit_leaves_nothing(store: Store, place: StorePlace) -> None:
    with pytest.raises(LimitExceededError, match="run/a"):
        store.write("run/a", [bytes(5), bytes(6)], 10)
    place.check_only([])
    assert store.write("run/a", [bytes(5), bytes(5)], 10).size == 10


def test_other_bytes_under_a_taken_key_are_refused(store: Store, place: StorePlace) -> None:
    store.write("run/a", [b"content"], NO_LIMIT)
    for other in (b"CONTENT", b"", b"content and more"):
        with pytest.raises(ArtifactExistsError, match="run/a"):
            store.write("run/a", [other], NO_LIMIT)
    assert read(store, "run/a", 7) == b"content"
    place.check_only(["run/a"])


def test_a_key_below_an_artifact_is_refused_or_stands_beside_it(store: Store, place: StorePlace) -> None:
    store.write("run/a", [b"content"], NO_LIMIT)
    refused = []
    for key in ("run/a/b", "run"):
        try:
            store.write(key, [b"other"], NO_LIMIT)
        except ArtifactExistsError as error:
            assert key in error.message
            assert store.size(key) is None
            assert not store.delete(key)
            with pytest.raises(ArtifactNotFoundError):
                read(store, key, 7)
            refused.append(key)
        else:
            assert read(store, key, 5) == b"other"
            assert store.delete(key)
    # Where keys are only names, one may begin with another.
    assert refused == ["run/a/b", "run"] or not store.capabilities.nested
    assert read(store, "run/a", 7) == b"content"
    place.check_only(["run/a"])


def test_many_are_stored_all_at_once_in_their_order(store: Store, place: StorePlace) -> None:
    items = [(f"run/{number % 11}/{number}", b"%d" % number) for number in range(300)]
    stored = store.write_many(items)
    assert stored == [Stored(len(content), sha256([content]), True) for _, content in items]
    assert [read(store, key, len(content)) for key, content in items] == [content for _, content in items]
    assert store.write_many(items) == [Stored(each.size, each.checksum, False) for each in stored]
    place.check_only(key for key, _ in items)


def test_none_of_many_is_stored_if_one_cannot_be(store: Store, place: StorePlace) -> None:
    store.write("run/3/a", [b"old"], NO_LIMIT)
    store.write("run/4/a", [b"same"], NO_LIMIT)
    items = [(f"run/{number}/a", b"same") for number in range(6)]
    with pytest.raises(ArtifactExistsError, match="run/3/a"):
        store.write_many(items)
    with pytest.raises(InvalidNameError):
        store.write_many([("run/5/a", b"new"), ("run/../a", b"new")])
    if store.capabilities.nested:
        with pytest.raises(ArtifactExistsError, match="run/3/a/b"):
            store.write_many([("run/5/a", b"new"), ("run/3/a/b", b"new")])
    place.check_only(["run/3/a", "run/4/a"])
    assert read(store, "run/3/a", 3) == b"old"


def test_a_deleted_key_is_free_again(store: Store) -> None:
    store.write("run/type/a", [b"content"], NO_LIMIT)
    assert store.delete("run/type/a")
    assert not store.delete("run/type/a")
    assert store.size("run/type/a") is None
    assert store.write("run/type/a", [b"other"], NO_LIMIT).created


def test_ranges_are_checked_and_cut_at_the_end(store: Store) -> None:
    content = bytes(range(256)) * 12_000
    size = len(content)
    store.write("run/a", [content], NO_LIMIT)
    for offset, limit in [
        (0, 1),
        (0, size),
        (0, size + 1),
        (size - 1, 2**62),
        (size, 1),
        (1_048_575, 1_048_578),
    ]:
        chunks = list(store.read("run/a", offset, limit, size=size))
        assert b"".join(chunks) == content[offset : offset + limit]
        assert all(0 < len(chunk) <= MEBIBYTE for chunk in chunks)
    for start, length in [(-1, 1), (size + 1, 1), (0, 0), (0, -1), (2**63, None)]:
        with pytest.raises(InvalidRequestError):
            list(store.read("run/a", start, length, size=size))


def test_an_artifact_of_another_size_gives_no_byte(store: Store) -> None:
    store.write("run/a", [b"content"], NO_LIMIT)
    for size in (0, 6, 8):
        with pytest.raises(ArtifactIntegrityError, match="7 bytes"):
            next(store.read("run/a", 0, None, size=size))


def test_other_processes_find_what_was_written_in_a_persistent_store(store: Store, place: StorePlace) -> None:
    store.write("run/a", [b"content"], NO_LIMIT)
    with in_another_process(place, "print(store.size('run/a'))") as other:
        found = other.communicate()[0].strip()
    assert found == ("7" if store.capabilities.persistent else "None")
    if store.capabilities.persistent:
        assert read(place.open(), "run/a", 7) == b"content"


# ------------------------------------------------------------------------------------------------ many at a time


def test_one_of_many_threads_wins_a_key(store: Store, place: StorePlace) -> None:
    writers = 8
    start = threading.Barrier(writers)

    def write(number: int, key: str) -> int | None:
        start.wait()
        try:
            store.write(key, [b"%d" % number * 1000], NO_LIMIT)
        except ArtifactExistsError:
            return None
        return number

    with ThreadPoolExecutor(writers) as pool:
        for turn in range(20):
            key = f"run/{turn}/a"
            winners = set(pool.map(write, range(writers), [key] * writers)) - {None}
            assert len(winners) == 1
            assert read(store, key, 1000) == str(winners.pop()).encode() * 1000
    place.check_only(f"run/{turn}/a" for turn in range(20))


def test_one_of_many_processes_wins_a_key(store: Store, place: StorePlace) -> None:
    code = """
from butler_model.errors import ArtifactExistsError
print("ready", flush=True)
name = sys.stdin.readline().strip().encode()
for turn in range(30):
    try:
        store.write(f"run/{turn}", [name] * 3, 100)
        print(turn)
    except ArtifactExistsError:
        pass
"""
    writers = {name: in_another_process(place, code) for name in "wxyz"}
    for writer in writers.values():
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for name, writer in writers.items():
        assert writer.stdin is not None
        writer.stdin.write(f"{name}\n")
        writer.stdin.flush()
    won = {name: [int(turn) for turn in writer.communicate()[0].split()] for name, writer in writers.items()}
    if not store.capabilities.persistent:
        # They do not see each other.
        assert won == {name: list(range(30)) for name in "wxyz"}
        return
    assert sorted(turn for turns in won.values() for turn in turns) == list(range(30))
    for name, turns in won.items():
        for turn in turns:
            assert read(store, f"run/{turn}", 3) == name.encode() * 3
    place.check_only(f"run/{turn}" for turn in range(30))


def test_the_same_write_by_many_threads_is_done_for_all(store: Store, place: StorePlace) -> None:
    items = [(f"run/{number}/a", b"%d" % number) for number in range(20)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: store.write_many(items), range(6)))
    assert all(len(answer) == 20 for answer in answers)
    created = sum(stored.created for answer in answers for stored in answer)
    # One who is first in one member of a chain may be second in the next.
    assert created == 20 or (store.capabilities.members and created < 20)
    place.check_only(key for key, _ in items)


# --------------------------------------------------------------------------------------------------- interrupted


WRITE_BATCHES = """
print("writing", flush=True)
for batch in range(10_000):
    store.write_many([(f"run/{batch}/{number % 3}/{number}", b"%d" % number * 500) for number in range(30)])
"""


def test_a_killed_writer_leaves_no_artifact(store: Store, place: StorePlace) -> None:
    killed_in_the_middle(place, WRITE)
    assert store.size("run/a") is None
    assert store.write("run/a", [b"content"], NO_LIMIT).created


def test_what_a_killed_writer_of_batches_left_is_whole(store: Store, place: StorePlace) -> None:
    for seconds in (0.05, 0.2):
        with in_another_process(place, WRITE_BATCHES) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(seconds)
            writer.kill()
        for key in place.all_keys():
            if not key.startswith("."):
                content = key.rsplit("/", 1)[1].encode() * 500
                assert read(store, key, len(content)) == content
                assert store.delete(key)


# --------------------------------------------------------------------------------------------------------- upkeep


def test_many_are_deleted_together_and_what_is_not_there_is_done(store: Store, place: StorePlace) -> None:
    keys = [f"run/{number % 3}/{number}" for number in range(20)]
    store.write_many([(key, b"content") for key in keys])
    store.write("run/stays", [b"content"], NO_LIMIT)
    assert store.delete_many([*keys, "run/never", "other/never"]) == {}
    assert [key for key in keys if store.size(key) is not None] == []
    assert store.delete_many(keys) == {}
    place.check_only(["run/stays"])


def test_artifacts_are_listed_by_key(store: Store) -> None:
    keys = ["a/b", "a.b/c", "a-b", "B/1", "run/x/1", "run/x-1", "run/x/2", "run/x.1/3"]
    store.write_many([(key, key.encode()) for key in keys])
    listed = list(store.listing())
    assert [each.key for each in listed] == sorted(keys)
    assert [each.size for each in listed] == [len(key) for key in sorted(keys)]
    assert all(-2 <= each.age_seconds < 600 for each in listed)


def test_an_empty_store_lists_nothing(store: Store) -> None:
    assert list(store.listing()) == []
    assert store.sweep(0) == 0


def test_what_is_in_quarantine_is_neither_listed_nor_read_nor_in_the_way(store: Store) -> None:
    store.write_many([("run/a", b"content"), ("run/b", b"content")])
    assert store.quarantine("run/a")
    assert not store.quarantine("run/a")
    assert [each.key for each in store.listing()] == ["run/b"]
    assert store.size("run/a") is None
    assert store.write("run/a", [b"another"], NO_LIMIT).created
    assert store.quarantine("run/a")


def test_what_a_killed_writer_left_is_swept_when_it_is_old_enough(store: Store, place: StorePlace) -> None:
    killed_in_the_middle(place, WRITE)
    store.sweep(3_600)
    time.sleep(1.1)
    store.sweep(1)
    assert [key for key in place.all_keys() if key.startswith((".tmp/", ".upload/"))] == []


@pytest.mark.parametrize("content", [b"content", bytes(9_000_000) * 8], ids=["small", "large"])
def test_what_the_gate_refuses_never_appears(store: Store, place: StorePlace, content: bytes) -> None:
    def closed() -> None:
        raise GrantError("too late")

    with pytest.raises(GrantError, match="too late"):
        store.write("run/a", [content], NO_LIMIT, gate=closed)
    with pytest.raises(GrantError, match="too late"):
        store.write_many([("run/a", b"a"), ("run/b", b"b")], gate=closed)
    assert store.size("run/a") is None
    place.check_only([])
