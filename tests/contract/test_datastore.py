# SPDX-License-Identifier: BSD-3-Clause
"""What every datastore does with grants, in process or over the wire."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from butler_model.artifact import Receipt, sha256
from butler_model.errors import (
    ArtifactExistsError,
    ArtifactIntegrityError,
    ArtifactNotFoundError,
    ConfigurationError,
    GrantError,
    InvalidNameError,
    InvalidRequestError,
    LimitExceededError,
)
from butler_model.grants import TokenSigner
from tests.support.datastores import DATASTORES, DATASTORES_ON_FILES, LIMITS, DatastoreSetup, datastore_setup

MEBIBYTE = 2**20


@pytest.fixture(params=DATASTORES)
def setup(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DatastoreSetup]:
    with datastore_setup(request.param, tmp_path / "artifacts", request) as made:
        yield made


@pytest.fixture(params=DATASTORES_ON_FILES)
def on_files(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DatastoreSetup]:
    with datastore_setup(request.param, tmp_path / "artifacts", request) as made:
        yield made


def write(setup: DatastoreSetup, key: str, *content: bytes) -> Receipt:
    return setup.datastore.write(setup.write_grant(key), content).receipt


def read(setup: DatastoreSetup, grant: bytes, offset: int = 0, limit: int | None = None) -> bytes:
    return b"".join(setup.datastore.read(grant, offset, limit))


def test_what_is_written_is_read_back_and_proved_by_a_receipt(setup: DatastoreSetup) -> None:
    dataset_id = uuid.uuid4()
    grant = setup.write_grant("run/type/a_1.json", dataset_id=dataset_id, component="wcs")
    signed = setup.datastore.write(grant, [b"some ", b"", b"bytes"])
    expected = Receipt("main", "main", "run/type/a_1.json", dataset_id, "wcs", 10, sha256([b"some bytes"]))
    assert signed.receipt == expected
    assert setup.signer.open_receipt(signed.token) == expected
    assert read(setup, setup.read_grant(expected)) == b"some bytes"


@pytest.mark.parametrize("size", [0, 1, MEBIBYTE - 1, MEBIBYTE, MEBIBYTE + 1, 3 * MEBIBYTE])
def test_artifacts_of_any_length_come_back_whole(setup: DatastoreSetup, size: int) -> None:
    content = bytes(size)
    pieces = [content[start : start + 300_000] for start in range(0, size, 300_000)]
    receipt = write(setup, "run/type/a", *pieces)
    chunks = list(setup.datastore.read(setup.read_grant(receipt)))
    assert b"".join(chunks) == content
    assert all(0 < len(chunk) <= MEBIBYTE for chunk in chunks)


def test_ranges_give_the_bytes_asked_for_up_to_the_end(setup: DatastoreSetup) -> None:
    content = bytes(range(256)) * 10_000
    grant = setup.read_grant(write(setup, "run/type/a", content))
    assert read(setup, grant, 1) == content[1:]
    assert read(setup, grant, 0, 7) == content[:7]
    assert read(setup, grant, MEBIBYTE - 3, 10) == content[MEBIBYTE - 3 : MEBIBYTE + 7]
    assert read(setup, grant, len(content) - 3, 10) == content[-3:]
    assert read(setup, grant, len(content)) == b""


@pytest.mark.parametrize(("offset", "limit"), [(-1, None), (11, None), (0, 0), (0, -1), (2**62, 1)])
def test_a_range_that_is_none_is_refused(setup: DatastoreSetup, offset: int, limit: int | None) -> None:
    grant = setup.read_grant(write(setup, "run/type/a", b"0123456789"))
    with pytest.raises(InvalidRequestError):
        read(setup, grant, offset, limit)


def test_a_write_at_a_negative_offset_is_refused(setup: DatastoreSetup) -> None:
    with pytest.raises(InvalidRequestError, match="offsets begin at 0"):
        setup.datastore.write(setup.write_grant("run/type/a"), [b"content"], offset=-1)


def test_a_repeated_write_gives_the_same_receipt(setup: DatastoreSetup) -> None:
    grant = setup.write_grant("run/type/a")
    first = setup.datastore.write(grant, [b"content"])
    assert setup.datastore.write(grant, [b"con", b"tent"]) == first
    assert setup.datastore.write_batch([(grant, b"content")]) == [first]


def test_an_artifact_is_never_replaced(setup: DatastoreSetup) -> None:
    receipt = write(setup, "run/type/a", b"content")
    with pytest.raises(ArtifactExistsError, match="run/type/a"):
        write(setup, "run/type/a", b"CONTENT")
    with pytest.raises(ArtifactExistsError, match="run/type/a"):
        setup.datastore.write_batch([(setup.write_grant("run/type/a"), b"other")])
    assert read(setup, setup.read_grant(receipt)) == b"content"


def test_a_write_past_the_granted_size_leaves_nothing(setup: DatastoreSetup) -> None:
    grant = setup.write_grant("run/type/a", 1_000)
    with pytest.raises(LimitExceededError, match="1000"):
        setup.datastore.write(grant, [bytes(600), bytes(401)])
    with pytest.raises(LimitExceededError, match="1000"):
        setup.datastore.write_batch([(setup.write_grant("run/type/b"), b"ok"), (grant, bytes(1_001))])
    assert setup.artifacts() == []
    assert setup.datastore.write(grant, [bytes(600), bytes(400)]).receipt.size == 1_000


def test_a_batch_is_stored_and_read_in_order(setup: DatastoreSetup) -> None:
    contents = {f"run/type/{number % 7}/a_{number}": b"%d" % number * number for number in range(50)}
    signed = setup.datastore.write_batch([(setup.write_grant(key), text) for key, text in contents.items()])
    assert [each.receipt.key for each in signed] == list(contents)
    grants = [setup.read_grant(setup.signer.open_receipt(each.token)) for each in signed]
    assert setup.datastore.read_batch(grants) == list(contents.values())
    assert setup.datastore.read_batch(grants[::-1]) == list(contents.values())[::-1]


def test_empty_batches_do_nothing(setup: DatastoreSetup) -> None:
    assert setup.datastore.write_batch([]) == []
    assert setup.datastore.read_batch([]) == []
    assert setup.datastore.exists([]) == []
    setup.datastore.discard([])
    assert setup.artifacts() == []


def test_a_batch_with_a_conflict_leaves_only_what_was_there(setup: DatastoreSetup) -> None:
    old = write(setup, "run/type/d3/a", b"old")
    items = [(setup.write_grant(f"run/type/d{number}/a"), b"new") for number in range(6)]
    with pytest.raises(ArtifactExistsError, match="run/type/d3/a"):
        setup.datastore.write_batch(items)
    assert setup.artifacts() == ["main/main/run/type/d3/a"]
    assert read(setup, setup.read_grant(old)) == b"old"


def test_a_batch_over_two_stores_is_all_or_none(setup: DatastoreSetup) -> None:
    items = [
        (setup.write_grant("run/type/kept"), b"same"),
        (setup.write_grant("run/type/a"), b"in main"),
        (setup.write_grant("run/type/a", store="second"), b"in second"),
    ]
    write(setup, "run/type/kept", b"same")
    setup.datastore.write(setup.write_grant("run/type/a", store="second"), [b"older"])
    with pytest.raises(ArtifactExistsError):
        setup.datastore.write_batch(items)
    assert setup.artifacts() == ["main/main/run/type/kept", "second/main/run/type/a"]
    setup.datastore.discard([setup.discard_grant("run/type/a", store="second")])
    assert [signed.receipt.store for signed in setup.datastore.write_batch(items)] == [
        "main",
        "main",
        "second",
    ]


def test_two_contents_for_one_key_in_a_batch_are_a_conflict(setup: DatastoreSetup) -> None:
    grant = setup.write_grant("run/type/a")
    with pytest.raises(ArtifactExistsError):
        setup.datastore.write_batch([(grant, b"one"), (grant, b"two")])
    assert setup.artifacts() == []


@pytest.mark.parametrize(
    ("sizes", "limit"),
    [
        ([0] * (LIMITS.batch_items + 1), "batch_items"),
        ([LIMITS.inline_bytes + 1], "inline_bytes"),
        ([LIMITS.inline_bytes] * 6, "batch_bytes"),
    ],
)
def test_batches_over_a_limit_are_refused_by_its_name(
    setup: DatastoreSetup, sizes: list[int], limit: str
) -> None:
    items = [(setup.write_grant(f"run/type/{number}"), bytes(size)) for number, size in enumerate(sizes)]
    with pytest.raises(LimitExceededError, match=limit) as caught:
        setup.datastore.write_batch(items)
    assert caught.value.metadata["limit"] == limit
    assert setup.artifacts() == []
    receipts = [setup.datastore.write(grant, [content]).receipt for grant, content in items]
    with pytest.raises(LimitExceededError, match=limit):
        setup.datastore.read_batch([setup.read_grant(receipt) for receipt in receipts])


def test_existence_and_discarding_have_the_limit_of_items(setup: DatastoreSetup) -> None:
    count = LIMITS.batch_items + 1
    receipt = write(setup, "run/type/a", b"content")
    with pytest.raises(LimitExceededError, match="batch_items"):
        setup.datastore.exists([setup.read_grant(receipt)] * count)
    with pytest.raises(LimitExceededError, match="batch_items"):
        setup.datastore.discard([setup.discard_grant("run/type/a")] * count)
    assert setup.datastore.exists([setup.read_grant(receipt)]) == [True]


def test_a_write_that_outlasts_its_grant_does_not_appear(setup: DatastoreSetup) -> None:
    expires = int(time.time()) + 1

    def slow() -> Iterator[bytes]:
        yield b"content"
        time.sleep(expires + 1.2 - time.time())

    with pytest.raises(GrantError, match="has expired"):
        setup.datastore.write(setup.write_grant("run/type/a", expires=expires), slow())
    assert setup.artifacts() == []


def test_grants_are_for_one_operation(setup: DatastoreSetup) -> None:
    receipt = write(setup, "run/type/a", b"content")
    to_write, to_read, to_discard = (
        setup.write_grant("run/type/b"),
        setup.read_grant(receipt),
        setup.discard_grant("run/type/a"),
    )
    for grant in (to_read, to_discard):
        with pytest.raises(GrantError):
            setup.datastore.write(grant, [b""])
        with pytest.raises(GrantError):
            setup.datastore.write_batch([(to_write, b""), (grant, b"")])
    for grant in (to_write, to_discard):
        with pytest.raises(GrantError):
            read(setup, grant)
        with pytest.raises(GrantError):
            setup.datastore.read_batch([to_read, grant])
        with pytest.raises(GrantError):
            setup.datastore.exists([to_read, grant])
    for grant in (to_write, to_read):
        with pytest.raises(GrantError):
            setup.datastore.discard([to_discard, grant])
    assert setup.artifacts() == ["main/main/run/type/a"]


def test_an_expired_altered_or_foreign_grant_does_nothing(setup: DatastoreSetup) -> None:
    good = setup.write_grant("run/type/a")
    foreign = replace(setup, signer=TokenSigner([b"somebody else's key of 32 bytes.."]))
    receipt = Receipt("main", "main", "run/type/a", uuid.uuid4(), "", 0, "")
    bad = [
        setup.write_grant("run/type/b", expires=int(time.time()) - 5),
        good[:-3] + b"1" + good[-2:],
        good[:20] + bytes([good[20] ^ 1]) + good[21:],
        good[:-1],
        good[:10],
        b"",
        foreign.write_grant("run/type/b"),
        setup.signer.sign_receipt(receipt),
    ]
    for grant in bad:
        with pytest.raises(GrantError):
            setup.datastore.write(grant, [b"content"])
        with pytest.raises(GrantError):
            setup.datastore.write_batch([(good, b"content"), (grant, b"content")])
    assert setup.artifacts() == []


def test_a_store_that_is_not_there_is_named(setup: DatastoreSetup) -> None:
    grant = setup.write_grant("run/type/a", store="tape")
    with pytest.raises(ConfigurationError, match="'tape'"):
        setup.datastore.write(grant, [b"content"])
    with pytest.raises(ConfigurationError, match="'tape'"):
        setup.datastore.write_batch([(setup.write_grant("run/type/b"), b"content"), (grant, b"content")])
    assert setup.artifacts() == []


@pytest.mark.parametrize("repository", ["..", "../main", "", "a/b", "Main"])
def test_a_grant_for_no_repository_is_refused(setup: DatastoreSetup, repository: str) -> None:
    with pytest.raises(InvalidNameError):
        setup.datastore.write(setup.write_grant("run/type/a", repository=repository), [b"content"])
    assert setup.artifacts() == []


def test_repositories_and_stores_are_apart(setup: DatastoreSetup) -> None:
    places = [("main", "main"), ("main", "second"), ("dev", "main")]
    receipts = []
    for repository, store in places:
        grant = setup.write_grant("run/type/a", repository=repository, store=store)
        content = f"{repository} {store}".encode()
        receipts.append(setup.datastore.write(grant, [content]).receipt)
    grants = [setup.read_grant(receipt) for receipt in receipts]
    assert setup.datastore.read_batch(grants) == [b"main main", b"main second", b"dev main"]


def test_an_artifact_that_is_gone_is_named_with_its_dataset(on_files: DatastoreSetup) -> None:
    receipt = write(on_files, "run/type/a", b"content")
    on_files.file("run/type/a").unlink()
    grant = on_files.read_grant(receipt)
    assert on_files.datastore.exists([grant]) == [False]
    for attempt in (lambda: read(on_files, grant), lambda: on_files.datastore.read_batch([grant])):
        with pytest.raises(ArtifactNotFoundError, match="run/type/a") as caught:
            attempt()
        assert caught.value.metadata["dataset_id"] == str(receipt.dataset_id)
        assert str(receipt.dataset_id) in str(caught.value)


def test_an_artifact_of_another_size_is_refused_before_its_first_byte(on_files: DatastoreSetup) -> None:
    receipt = write(on_files, "run/type/a", bytes(3 * MEBIBYTE))
    small = write(on_files, "run/type/b", b"content")
    on_files.file("run/type/a").write_bytes(bytes(3 * MEBIBYTE - 1))
    on_files.file("run/type/b").write_bytes(b"contents")
    grant = on_files.read_grant(receipt)
    assert on_files.datastore.exists([grant, on_files.read_grant(small)]) == [False, False]
    with pytest.raises(ArtifactIntegrityError, match="3145727 bytes") as caught:
        next(on_files.datastore.read(grant, 10, 5))
    assert caught.value.metadata["dataset_id"] == str(receipt.dataset_id)
    with pytest.raises(ArtifactIntegrityError, match="run/type/b"):
        on_files.datastore.read_batch([on_files.read_grant(small)])


def test_a_changed_byte_is_noticed_before_all_was_delivered(on_files: DatastoreSetup) -> None:
    size = 3 * MEBIBYTE
    receipt = write(on_files, "run/type/a", bytes(size))
    with on_files.file("run/type/a").open("r+b") as file:
        file.seek(5)
        file.write(b"x")
    delivered: list[bytes] = []
    with pytest.raises(ArtifactIntegrityError, match="run/type/a") as caught:
        delivered.extend(on_files.datastore.read(on_files.read_grant(receipt)))
    assert 0 < len(b"".join(delivered)) < size
    assert caught.value.metadata["dataset_id"] == str(receipt.dataset_id)
    with pytest.raises(ArtifactIntegrityError):
        read(on_files, on_files.read_grant(receipt), 0, size)
    assert len(read(on_files, on_files.read_grant(receipt), 1)) == size - 1


def test_a_changed_byte_in_a_batch_gives_nothing(on_files: DatastoreSetup) -> None:
    good, bad = write(on_files, "run/type/a", b"content"), write(on_files, "run/type/b", b"content")
    on_files.file("run/type/b").write_bytes(b"CONTENT")
    with pytest.raises(ArtifactIntegrityError, match="run/type/b") as caught:
        on_files.datastore.read_batch([on_files.read_grant(good), on_files.read_grant(bad)])
    assert caught.value.metadata["dataset_id"] == str(bad.dataset_id)


def test_discarding_removes_what_was_written_and_accepts_what_was_not(setup: DatastoreSetup) -> None:
    receipts = [write(setup, f"run/type/{name}", b"content") for name in "abc"]
    grants = [setup.discard_grant(f"run/type/{name}") for name in ("a", "c", "never/written")]
    setup.datastore.discard(grants)
    setup.datastore.discard(grants)
    assert setup.datastore.exists([setup.read_grant(each) for each in receipts]) == [False, True, False]
    assert setup.artifacts() == ["main/main/run/type/b"]
    assert write(setup, "run/type/a", b"another").size == 7


@pytest.mark.parametrize(
    "key", ["../a", "/etc/passwd", "a/../../b", "a//b", ".tmp/a", "a\0b", "", "a/.", "é"]
)
def test_a_key_that_is_no_plain_path_is_refused_even_if_granted(setup: DatastoreSetup, key: str) -> None:
    with pytest.raises(InvalidNameError):
        setup.datastore.write(setup.write_grant(key), [b"content"])
    with pytest.raises(InvalidNameError):
        setup.datastore.write_batch([(setup.write_grant("run/a"), b""), (setup.write_grant(key), b"")])
    receipt = Receipt("main", "main", key, uuid.uuid4(), "", 0, sha256([]))
    with pytest.raises(InvalidNameError):
        read(setup, setup.read_grant(receipt))
    with pytest.raises(InvalidNameError):
        setup.datastore.exists([setup.read_grant(receipt)])
    with pytest.raises(InvalidNameError):
        setup.datastore.discard([setup.discard_grant(key)])
    assert setup.artifacts() == []
