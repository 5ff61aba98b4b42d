# SPDX-License-Identifier: BSD-3-Clause
"""What a store in a bucket does when the server of the bucket fails: a clear error, in bounded time, and no half."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from butler_datastore.application import DatastoreApplication
from butler_datastore.store_tables import store_config
from butler_datastore.stores.store import Store
from butler_model.artifact import FileToIngest, Grant, Operation, TransferMode, sha256
from butler_model.errors import (
    ArtifactExistsError,
    ArtifactIntegrityError,
    ArtifactNotFoundError,
    ButlerError,
    ConfigurationError,
    GrantError,
    ServiceUnavailableError,
    StoreFullError,
)
from butler_model.grants import TokenSigner
from butler_model.repository import Limits
from tests.support.faulty_s3 import Fault, FaultyS3, faulty_s3
from tests.support.s3 import S3Server
from tests.support.stores import NO_LIMIT, StorePlace, files, read, s3_settings

LONGEST_SECONDS = 30.0
CONTENT = bytes(range(256)) * 10_000


@pytest.fixture
def server() -> Iterator[FaultyS3]:
    with faulty_s3() as made:
        yield made


@pytest.fixture
def store(server: FaultyS3, tmp_path: Path) -> Iterator[Store]:
    began = time.monotonic()
    yield opened(server.endpoint, tmp_path)
    assert time.monotonic() - began < LONGEST_SECONDS


def opened(endpoint: str, folder: Path) -> Store:
    settings = s3_settings(S3Server(endpoint, "key", "secret"), "bucket", folder)
    return StorePlace({**settings, "connect_seconds": 1.5, "read_seconds": 1.5, "attempts": 2}, ()).open()


WRITES: dict[str, Callable[[Store], object]] = {
    "write": lambda store: store.write("run/a", [CONTENT], NO_LIMIT),
    "write many": lambda store: store.write_many([("run/a", CONTENT)]),
}
CALLS: dict[str, tuple[str, Callable[[Store], object]]] = {
    "write": ("PUT", WRITES["write"]),
    "write many": ("PUT", WRITES["write many"]),
    "read": ("GET", lambda store: read(store, "run/a", len(CONTENT))),
    "size": ("HEAD", lambda store: store.size("run/a")),
    "delete": ("DELETE", lambda store: store.delete("run/a")),
}
FAULTS: dict[str, tuple[Fault, type[ButlerError]]] = {
    "500": (Fault(500, "InternalError"), ServiceUnavailableError),
    "503": (Fault(503, "SlowDown"), ServiceUnavailableError),
    "403": (Fault(403, "AccessDenied"), ConfigurationError),
    "409": (Fault(409, "ConditionalRequestConflict"), ServiceUnavailableError),
    "507": (Fault(507, "InsufficientStorage"), StoreFullError),
    "full": (Fault(403, "QuotaExceeded"), StoreFullError),
    "no bucket": (Fault(404, "NoSuchBucket"), ConfigurationError),
    "odd": (Fault(400, "AuthorizationHeaderMalformed"), ConfigurationError),
    "slow": (Fault(stall=2.5), ServiceUnavailableError),
}


# An answer to HEAD has no body to say what the status does not.
CASES = [
    (call, kind) for call in CALLS for kind in FAULTS if call != "size" or kind not in {"full", "no bucket"}
]


@pytest.mark.parametrize(("call", "kind"), CASES)
def test_what_fails_for_long_is_a_clear_error(store: Store, server: FaultyS3, call: str, kind: str) -> None:
    method, action = CALLS[call]
    fault, expected = FAULTS[kind]
    if method != "PUT":
        store.write("run/a", [CONTENT], NO_LIMIT)
    server.fail(method, fault)
    with pytest.raises(expected) as caught:
        action(store)
    assert "run/a" in caught.value.message
    assert "bucket" in caught.value.message
    server.recover()
    if method == "PUT" and kind != "slow":
        assert store.size("run/a") is None
    else:
        # A slow server may have done it, but then all of it.
        assert store.size("run/a") in (None, len(CONTENT))
    WRITES["write"](store)
    assert read(store, "run/a", len(CONTENT)) == CONTENT


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", ["500", "503", "slow"])
def test_what_fails_once_is_done_again(store: Store, server: FaultyS3, call: str, kind: str) -> None:
    method, action = CALLS[call]
    if method != "PUT":
        store.write("run/a", [CONTENT], NO_LIMIT)
    server.fail(method, FAULTS[kind][0], times=1)
    action(store)
    if method == "PUT":
        assert read(store, "run/a", len(CONTENT)) == CONTENT


def test_a_conflict_is_tried_again(store: Store, server: FaultyS3) -> None:
    server.fail("PUT", FAULTS["409"][0], times=1)
    assert store.write("run/a", [CONTENT], NO_LIMIT).created


def test_a_write_whose_answer_was_lost_is_recognised(store: Store, server: FaultyS3) -> None:
    server.fail("PUT", Fault(lost=True), times=1)
    stored = store.write("run/a", [CONTENT], NO_LIMIT)
    assert (stored.size, stored.checksum) == (len(CONTENT), sha256([CONTENT]))
    assert read(store, "run/a", len(CONTENT)) == CONTENT


def test_a_key_that_is_said_to_be_taken_is_refused(store: Store, server: FaultyS3) -> None:
    server.fail("PUT", Fault(412, "PreconditionFailed"))
    with pytest.raises(ArtifactExistsError, match="run/a"):
        store.write("run/a", [CONTENT], NO_LIMIT)
    assert store.size("run/a") is None


def test_a_body_that_is_cut_off_is_asked_for_again_from_there(store: Store, server: FaultyS3) -> None:
    store.write("run/a", [CONTENT], NO_LIMIT)
    server.fail("GET", Fault(cut=True), times=1)
    assert read(store, "run/a", len(CONTENT)) == CONTENT
    server.fail("GET", Fault(cut=True))
    with pytest.raises(ServiceUnavailableError, match="run/a"):
        read(store, "run/a", len(CONTENT))


def test_a_batch_of_which_one_is_refused_leaves_nothing(store: Store, server: FaultyS3) -> None:
    server.fail("PUT", Fault(507, "InsufficientStorage"), times=1)
    with pytest.raises(StoreFullError):
        store.write_many([(f"run/{number}", b"content") for number in range(20)])
    assert [store.size(f"run/{number}") for number in range(20)] == [None] * 20


def test_what_a_repeat_may_have_been_told_of_stays_when_the_server_fails(
    store: Store, server: FaultyS3, tmp_path: Path
) -> None:
    """The call that fails may be the one that a client has given up and repeated: the repeat found what this stored."""
    settings = s3_settings(S3Server(server.endpoint, "key", "secret"), "bucket", tmp_path)
    place = {**settings, "connect_seconds": 1.5, "read_seconds": 1.5, "attempts": 2}
    signer = TokenSigner([b"a key for the tests of datastores"])
    datastore = DatastoreApplication({"main": store_config(place)}, signer, ingest_roots=[str(tmp_path)])
    content = bytes(Limits().inline_bytes + 1)
    wanted = []
    for name in "ab":
        (tmp_path / name).write_bytes(content)
        expires = int(time.time()) + 600
        grant = Grant(Operation.WRITE, "main", "main", f"run/{name}", uuid.uuid4(), "", NO_LIMIT, "", expires)
        wanted.append(FileToIngest(signer.sign_grant(grant), str(tmp_path / name), TransferMode.COPY))
    server.fail("PUT", Fault(), 1)
    server.fail("PUT", Fault(503, "SlowDown"), 2)
    with pytest.raises(ServiceUnavailableError):
        datastore.ingest(wanted)
    assert store.size("run/a") == len(content)
    assert len(datastore.ingest(wanted)) == 2


def test_a_batch_that_takes_too_long_leaves_what_a_repeat_may_have_been_told_of(
    store: Store, server: FaultyS3
) -> None:
    passed = threading.Semaphore(1)

    def gate() -> None:
        if not passed.acquire(blocking=False):
            raise GrantError("The grant has expired.")

    with pytest.raises(GrantError):
        store.write_many([("run/a", b"a"), ("run/b", b"b")], gate=gate)
    assert len([name for name in server.objects if "run/" in name]) == 1


def test_a_chain_leaves_what_a_repeat_may_have_been_told_of(server: FaultyS3, tmp_path: Path) -> None:
    settings = s3_settings(S3Server(server.endpoint, "key", "secret"), "bucket", tmp_path)
    bucket = {**settings, "connect_seconds": 1.5, "read_seconds": 1.5, "attempts": 2}
    members = {"files": {"root": str(tmp_path / "files")}, "bucket": bucket}
    chain = StorePlace({"kind": "chain", "members": members}, ()).open()
    for write in WRITES.values():
        server.fail("PUT", Fault(503, "SlowDown"), 2)
        with pytest.raises(ServiceUnavailableError):
            write(chain)
        assert files(tmp_path / "files") == ["run/a"]
        server.recover()


def test_a_server_that_is_not_there_is_a_clear_error(server: FaultyS3, tmp_path: Path) -> None:
    with faulty_s3() as other:
        store = opened(other.endpoint, tmp_path)
    for _, action in CALLS.values():
        began = time.monotonic()
        with pytest.raises(ServiceUnavailableError, match="run/a"):
            action(store)
        assert time.monotonic() - began < LONGEST_SECONDS


def test_without_conditions_the_key_is_looked_at_first_and_a_log_says_so(
    store: Store, server: FaultyS3, caplog: pytest.LogCaptureFixture
) -> None:
    server.honours_conditions = False
    assert store.write("run/a", [CONTENT], NO_LIMIT).created
    assert not store.write("run/a", [CONTENT], NO_LIMIT).created
    with pytest.raises(ArtifactExistsError):
        store.write("run/a", [b"other"], NO_LIMIT)
    assert read(store, "run/a", len(CONTENT)) == CONTENT
    assert [record.message.split(" does ")[0] for record in caplog.records] == [
        "the server of the bucket bucket"
    ]


def test_what_is_gone_is_not_found(store: Store, server: FaultyS3) -> None:
    store.write("run/a", [CONTENT], NO_LIMIT)
    server.objects.clear()
    with pytest.raises(ArtifactNotFoundError, match="run/a"):
        read(store, "run/a", len(CONTENT))


def test_a_server_that_gives_no_ranges_is_used_for_whole_artifacts_only(
    store: Store, server: FaultyS3
) -> None:
    server.gives_ranges = False
    store.write("run/a", [CONTENT], NO_LIMIT)
    assert read(store, "run/a", len(CONTENT)) == CONTENT
    with pytest.raises(ArtifactIntegrityError):
        read(store, "run/a", len(CONTENT) - 1)
    with pytest.raises(ConfigurationError, match=r"no ranges.*run/a"):
        next(store.read("run/a", 5, 10, size=len(CONTENT)))
