# SPDX-License-Identifier: BSD-3-Clause
"""Bytes arrive whole although connections break in the middle of them."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from butler.remote import RemoteDatastore
from butler_api.server import build_server
from butler_datastore.servicers import datastore_services
from butler_model.artifact import sha256
from butler_model.errors import (
    ArtifactIntegrityError,
    GrantError,
    InvalidRequestError,
    LimitExceededError,
    ServiceUnavailableError,
    UploadConflictError,
)
from tests.support.datastores import LIMITS, DatastoreSetup, datastore_setup
from tests.support.proxy import Proxy, proxy_to

MEBIBYTE = 2**20
CONTENT = random.Random(1).randbytes(9 * MEBIBYTE + 12_345)


@dataclass(frozen=True)
class Content:
    """Bytes in pieces, from the first on each time."""

    content: bytes
    piece: int = MEBIBYTE

    def __iter__(self) -> Iterator[bytes]:
        return (self.content[start : start + self.piece] for start in range(0, len(self.content), self.piece))


@dataclass(frozen=True)
class Broken:
    """A datastore behind a server behind a proxy; ``service`` is the one in this process."""

    setup: DatastoreSetup
    service: DatastoreSetup
    proxy: Proxy

    def stored(self, key: str = "run/type/a") -> bytes:
        """Return what is stored, from the disk."""
        return self.setup.file(key).read_bytes()


@pytest.fixture
def broken(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broken]:
    with datastore_setup("embedded", tmp_path / "artifacts", request) as service:
        server = build_server(datastore_services(service.datastore, LIMITS), "127.0.0.1:0")
        server.start()
        with proxy_to(server.address) as proxy:
            datastore = RemoteDatastore(proxy.address)
            yield Broken(replace(service, datastore=datastore), service, proxy)
            datastore.close()
        server.stop(grace=0)


def interrupted(content: bytes) -> Iterator[bytes]:
    """Yield a part of an upload, as it arrives when the connection breaks after it."""
    yield content
    raise ServiceUnavailableError("the connection broke")


def test_an_upload_goes_on_with_what_arrived(broken: Broken) -> None:
    grant = broken.setup.write_grant("run/type/a")
    broken.proxy.cut_after(4 * MEBIBYTE, 3 * MEBIBYTE, up=True)
    receipt = broken.setup.datastore.write(grant, Content(CONTENT)).receipt
    assert broken.proxy.cuts_left == 0
    assert (receipt.size, receipt.checksum) == (len(CONTENT), sha256([CONTENT]))
    assert broken.stored() == CONTENT
    # The service may notice later that the first connection broke.
    deadline = time.monotonic() + 20
    while broken.setup.artifacts() != ["main/main/run/type/a"]:
        assert time.monotonic() < deadline, broken.setup.artifacts()
        time.sleep(0.05)
    # What had arrived was not sent again, but for what was under way when the connection broke.
    assert broken.proxy.up < len(CONTENT) * 1.7


def test_nothing_is_visible_of_a_broken_upload(broken: Broken) -> None:
    grant = broken.setup.write_grant("run/type/a")
    with pytest.raises(ServiceUnavailableError):
        broken.service.datastore.write(grant, interrupted(CONTENT[:MEBIBYTE]))
    assert broken.setup.datastore.query_write(grant) == MEBIBYTE
    read = broken.setup.grant_of_content("run/type/a", CONTENT[:MEBIBYTE])
    assert broken.setup.datastore.exists([read]) == [False]
    assert not broken.setup.file("run/type/a").exists()


def test_an_upload_that_cannot_be_repeated_fails_with_the_connection(broken: Broken) -> None:
    broken.proxy.cut_after(4 * MEBIBYTE, up=True)
    with pytest.raises(ServiceUnavailableError):
        broken.setup.datastore.write(broken.setup.write_grant("run/type/a"), iter(Content(CONTENT)))


def test_an_upload_goes_on_in_the_middle_of_a_chunk(broken: Broken) -> None:
    grant = broken.setup.write_grant("run/type/a")
    for end in (1, 2_000_001):
        kept = broken.service.datastore.query_write(grant)
        with pytest.raises(ServiceUnavailableError):
            broken.service.datastore.write(grant, interrupted(CONTENT[kept:end]), offset=kept)
    assert broken.setup.datastore.query_write(grant) == 2_000_001
    signed = broken.setup.datastore.write(grant, [CONTENT[2_000_001:]], offset=2_000_001)
    assert signed.receipt.checksum == sha256([CONTENT])
    assert broken.stored() == CONTENT
    assert broken.setup.datastore.query_write(grant) == 0


def test_what_is_kept_beyond_the_offset_is_dropped(broken: Broken) -> None:
    grant = broken.setup.write_grant("run/type/a")
    with pytest.raises(ServiceUnavailableError):
        broken.service.datastore.write(grant, interrupted(b"0123456789"))
    assert broken.setup.datastore.write(grant, [b"abc"], offset=2).receipt.size == 5
    assert broken.stored() == b"01abc"


def test_an_offset_beyond_what_is_kept_is_a_conflict_and_loses_nothing(broken: Broken) -> None:
    grant = broken.setup.write_grant("run/type/a")
    with pytest.raises(ServiceUnavailableError):
        broken.service.datastore.write(grant, interrupted(b"0123456789"))
    with pytest.raises(UploadConflictError, match="10 bytes"):
        broken.setup.datastore.write(grant, iter([b"abc"]), offset=11)
    assert broken.setup.datastore.query_write(grant) == 10


def test_two_uploads_under_one_grant_never_mix(broken: Broken) -> None:
    grant = broken.setup.write_grant("run/type/a")
    under_way, go_on = threading.Event(), threading.Event()

    def slowly() -> Iterator[bytes]:
        yield CONTENT[:MEBIBYTE]
        under_way.set()
        go_on.wait(30)
        yield CONTENT[MEBIBYTE:]

    first = threading.Thread(target=lambda: broken.setup.datastore.write(grant, slowly()))
    first.start()
    under_way.wait(30)
    while broken.setup.datastore.query_write(grant) == 0:
        pass
    with pytest.raises(UploadConflictError, match="going on"):
        broken.service.datastore.write(grant, [b"other"], offset=1)
    # One that begins at 0 is apart, and the same bytes are no conflict.
    assert broken.service.datastore.write(grant, Content(CONTENT)).receipt.checksum == sha256([CONTENT])
    go_on.set()
    first.join()
    assert broken.stored() == CONTENT
    assert broken.setup.artifacts() == ["main/main/run/type/a"]


def test_uploads_under_other_grants_to_the_key_are_apart(broken: Broken) -> None:
    one, other = broken.setup.write_grant("run/type/a"), broken.setup.write_grant("run/type/a")
    with pytest.raises(ServiceUnavailableError):
        broken.service.datastore.write(one, interrupted(b"0123456789"))
    assert broken.setup.datastore.query_write(other) == 0
    with pytest.raises(UploadConflictError):
        broken.service.datastore.write(other, [b"abc"], offset=10)


def test_only_a_good_grant_to_write_may_ask_what_is_kept(broken: Broken) -> None:
    receipt = broken.setup.datastore.write(broken.setup.write_grant("run/type/a"), [b"content"]).receipt
    expired = broken.setup.write_grant("run/type/b", expires=1)
    for grant in (broken.setup.read_grant(receipt), expired, broken.setup.write_grant("run/b")[:-1]):
        with pytest.raises(GrantError):
            broken.setup.datastore.query_write(grant)


def test_a_continued_upload_has_the_limit_of_its_grant(broken: Broken) -> None:
    grant = broken.setup.write_grant("run/type/a", 12)
    with pytest.raises(ServiceUnavailableError):
        broken.service.datastore.write(grant, interrupted(b"0123456789"))
    with pytest.raises(LimitExceededError, match="12"):
        broken.setup.datastore.write(grant, iter([b"abc"]), offset=10)
    with pytest.raises(LimitExceededError, match="13"):
        broken.setup.datastore.write(grant, iter([b""]), offset=13)


def test_a_content_that_changed_meanwhile_is_never_mixed(broken: Broken) -> None:
    grant = broken.setup.write_grant("run/type/a")

    @dataclass
    class Changing:
        times: int = 0

        def __iter__(self) -> Iterator[bytes]:
            self.times += 1
            return iter(Content(CONTENT if self.times == 1 else CONTENT[::-1]))

    broken.proxy.cut_after(5 * MEBIBYTE, up=True)
    # How much arrived of the first is up to the network; if nothing did, the second is whole.
    try:
        broken.setup.datastore.write(grant, Changing())
    except ArtifactIntegrityError as error:
        assert error.metadata["key"] == "run/type/a"
    else:
        assert broken.stored() == CONTENT[::-1]


def test_a_read_goes_on_where_it_broke(broken: Broken) -> None:
    receipt = broken.setup.datastore.write(broken.setup.write_grant("run/type/a"), Content(CONTENT)).receipt
    grant = broken.setup.read_grant(receipt)
    broken.proxy.cut_after(3 * MEBIBYTE, 10, 2 * MEBIBYTE)
    before = broken.proxy.down
    assert b"".join(broken.setup.datastore.read(grant)) == CONTENT
    assert broken.proxy.cuts_left == 0
    assert broken.proxy.down - before < len(CONTENT) * 1.7
    broken.proxy.cut_after(MEBIBYTE)
    assert b"".join(broken.setup.datastore.read(grant, 5, 4 * MEBIBYTE)) == CONTENT[5 : 4 * MEBIBYTE + 5]


def test_a_read_that_was_continued_is_verified_as_a_whole(broken: Broken) -> None:
    receipt = broken.setup.datastore.write(broken.setup.write_grant("run/type/a"), Content(CONTENT)).receipt
    with broken.setup.file("run/type/a").open("r+b") as file:
        file.write(b"damaged")
    broken.proxy.cut_after(3 * MEBIBYTE)
    delivered: list[bytes] = []
    with pytest.raises(ArtifactIntegrityError, match="run/type/a"):
        delivered.extend(broken.setup.datastore.read(broken.setup.read_grant(receipt)))
    assert broken.proxy.cuts_left == 0
    assert MEBIBYTE < len(b"".join(delivered)) < len(CONTENT)


def test_a_read_is_continued_to_the_end_only(broken: Broken) -> None:
    receipt = broken.setup.datastore.write(broken.setup.write_grant("run/type/a"), Content(CONTENT)).receipt
    grant = broken.setup.read_grant(receipt)
    assert b"".join(broken.setup.datastore.read(grant, 1_500_000, continued=True)) == CONTENT[1_500_000:]
    assert b"".join(broken.setup.datastore.read(grant, len(CONTENT), continued=True)) == b""
    with pytest.raises(InvalidRequestError):
        list(broken.setup.datastore.read(grant, 1, 5, continued=True))


def test_a_service_that_stays_away_is_an_error_after_some_attempts(broken: Broken) -> None:
    receipt = broken.setup.datastore.write(broken.setup.write_grant("run/type/a"), Content(CONTENT)).receipt
    pieces = broken.setup.datastore.read(broken.setup.read_grant(receipt))
    next(pieces)
    broken.proxy.close()
    with pytest.raises(ServiceUnavailableError):
        list(pieces)
