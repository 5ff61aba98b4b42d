# SPDX-License-Identifier: BSD-3-Clause
"""What a chain of stores does when its members differ, and what a store in memory does when it is full."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from butler_datastore.stores.store import Store
from butler_model.errors import (
    ArtifactExistsError,
    ArtifactIntegrityError,
    ArtifactNotFoundError,
    ConfigurationError,
    ServiceUnavailableError,
    StoreFullError,
)
from tests.support.faulty_s3 import Fault, faulty_s3
from tests.support.s3 import S3Server
from tests.support.stores import NO_LIMIT, StorePlace, files, read, s3_settings


def chain(**members: dict[str, Any]) -> Store:
    return StorePlace({"kind": "chain", "members": members}, ()).open()


@pytest.fixture
def one(tmp_path: Path) -> Path:
    return tmp_path / "one"


@pytest.fixture
def two(tmp_path: Path) -> Path:
    return tmp_path / "two"


@pytest.fixture
def store(one: Path, two: Path) -> Store:
    return chain(one={"root": str(one)}, two={"root": str(two)})


def test_every_member_gets_what_is_put(store: Store, one: Path, two: Path) -> None:
    assert store.capabilities.members == ("one", "two")
    store.write("run/a", [b"con", b"tent"], NO_LIMIT)
    store.write("run/empty", [], NO_LIMIT)
    store.write_many([("run/b", b"content")])
    for place in (one, two):
        assert files(place) == ["run/a", "run/b", "run/empty"]
        assert (place / "run/a").read_bytes() == b"content"


def test_only_the_members_that_accept_it_get_it(store: Store, one: Path, two: Path) -> None:
    store.write("run/a", [b"content"], NO_LIMIT, ("two",))
    store.write_many([("run/b", b"content")], ("one",))
    assert files(one) == ["run/b"]
    assert files(two) == ["run/a"]
    assert read(store, "run/a", 7) == read(store, "run/b", 7) == b"content"
    with pytest.raises(ConfigurationError, match="'tow'; the nearest known one is 'two'"):
        store.write("run/c", [b"content"], NO_LIMIT, ("one", "tow"))
    with pytest.raises(ConfigurationError, match=r"one, two accepts .*run/c"):
        store.write("run/c", [b"content"], NO_LIMIT, ())
    assert store.size("run/c") is None


def test_a_store_that_is_no_chain_has_no_members(one: Path) -> None:
    for settings in ({"root": str(one)}, {"kind": "memory"}):
        store = StorePlace(settings, ()).open()
        with pytest.raises(ConfigurationError, match="no chain"):
            store.write("run/a", [b"content"], NO_LIMIT, ("one",))
        with pytest.raises(ConfigurationError, match="no chain"):
            store.write_many([("run/a", b"content")], ("one",))


def test_a_member_that_lacks_it_or_has_another_size_is_passed_over(
    store: Store, one: Path, two: Path
) -> None:
    for key in ("run/a", "run/b", "run/c"):
        store.write(key, [b"content"], NO_LIMIT)
    (one / "run/a").unlink()
    (one / "run/b").write_bytes(b"cont")
    assert read(store, "run/a", 7) == read(store, "run/b", 7) == b"content"
    assert store.size("run/a") == 7
    for place in (one, two):
        (place / "run/c").write_bytes(b"contents")
    with pytest.raises(ArtifactIntegrityError, match="8 bytes"):
        read(store, "run/c", 7)
    (two / "run/c").unlink()
    with pytest.raises(ArtifactIntegrityError, match="8 bytes"):
        read(store, "run/c", 7)
    (one / "run/c").unlink()
    with pytest.raises(ArtifactNotFoundError, match="run/c"):
        read(store, "run/c", 7)


def test_what_is_read_from_a_later_member_has_its_recorded_size(store: Store, one: Path, two: Path) -> None:
    store.write("run/a", [b"content"], NO_LIMIT)
    (one / "run/a").write_bytes(b"cont")
    assert read(store, "run/a", 7) == b"content"
    assert store.size("run/a", 7) == 7
    # Whoever inspects the store is told of the first one.
    assert store.size("run/a") == 4
    (two / "run/a").unlink()
    assert store.size("run/a", 7) == 4
    (one / "run/a").unlink()
    assert store.size("run/a", 7) is None


def test_a_write_that_fails_in_one_member_leaves_nothing_in_those_before(
    store: Store, one: Path, two: Path
) -> None:
    (two / "run").mkdir(parents=True)
    (two / "run/a").write_bytes(b"another")
    with pytest.raises(ArtifactExistsError, match="run/a"):
        store.write("run/a", [b"content"], NO_LIMIT)
    with pytest.raises(ArtifactExistsError, match="run/a"):
        store.write_many([("run/b", b"content"), ("run/a", b"content")])
    assert files(one) == []
    assert files(two) == ["run/a"]


def test_a_failed_write_does_not_remove_what_was_there_before(store: Store, one: Path, two: Path) -> None:
    store.write("run/a", [b"content"], NO_LIMIT, ("one",))
    (two / "run").mkdir(parents=True)
    (two / "run/a").write_bytes(b"another")
    with pytest.raises(ArtifactExistsError):
        store.write("run/a", [b"content"], NO_LIMIT)
    assert files(one) == ["run/a"]
    # Nor does it count as new for who undoes a batch.
    (two / "run/a").unlink()
    assert not store.write("run/a", [b"content"], NO_LIMIT).created


def test_all_members_forget_what_is_deleted(store: Store, one: Path, two: Path) -> None:
    store.write("run/a", [b"content"], NO_LIMIT)
    (one / "run/a").unlink()
    assert store.delete("run/a")
    assert not store.delete("run/a")
    assert files(one) == files(two) == []


def test_a_member_that_cannot_be_reached_is_passed_over(tmp_path: Path, one: Path) -> None:
    with faulty_s3() as server:
        bucket = s3_settings(S3Server(server.endpoint, "key", "secret"), "bucket", tmp_path, attempts=1)
        store = chain(bucket=bucket, one={"root": str(one)})
        store.write("run/a", [b"content"], NO_LIMIT)
        server.fail("GET", Fault(503, "SlowDown"))
        server.fail("HEAD", Fault(503, "SlowDown"))
        assert read(store, "run/a", 7) == b"content"
        assert store.size("run/a", 7) == 7
        (one / "run/a").unlink()
        with pytest.raises(ServiceUnavailableError, match="run/a"):
            read(store, "run/a", 7)
        with pytest.raises(ServiceUnavailableError, match="run/a"):
            store.size("run/a", 7)
        server.recover()
        (one / "run/a").write_bytes(b"content")
        server.fail("DELETE", Fault(503, "SlowDown"))
        with pytest.raises(ServiceUnavailableError):
            store.delete("run/a")
        assert files(one) == []


def test_what_no_lasting_member_accepts_is_warned_of(one: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = chain(fast={"kind": "memory"}, one={"root": str(one)})
    assert store.capabilities.persistent
    with caplog.at_level(logging.WARNING):
        store.write("run/a", [b"content"], NO_LIMIT)
        assert not caplog.records
        store.write("run/b", [b"content"], NO_LIMIT, ("fast",))
    assert "run/b" in caplog.text
    assert "does not outlive" in caplog.text


def test_a_store_in_memory_is_full_at_its_limit() -> None:
    store = StorePlace({"kind": "memory", "max_bytes": 10}, ()).open()
    store.write("run/a", [b"content"], NO_LIMIT)
    with pytest.raises(StoreFullError, match="run/b"):
        store.write("run/b", [b"cont"], NO_LIMIT)
    with pytest.raises(StoreFullError):
        store.write_many([("run/b", b"co"), ("run/c", b"nt")])
    assert store.size("run/b") is None
    assert store.delete("run/a")
    assert store.write("run/b", [b"0123456789"], NO_LIMIT).created


def test_a_store_in_memory_keeps_a_copy() -> None:
    store = StorePlace({"kind": "memory"}, ()).open()
    changing: Any = bytearray(b"content")
    store.write("run/a", [changing], NO_LIMIT)
    store.write_many([("run/b", changing)])
    changing[:] = b"CONTENT"
    assert read(store, "run/a", 7) == read(store, "run/b", 7) == b"content"
