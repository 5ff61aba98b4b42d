# SPDX-License-Identifier: BSD-3-Clause
"""Bytes that do not pass through the datastore service: by signed URLs, and by paths that are shared."""

from __future__ import annotations

import json
import pickle
import random
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
import urllib3

from butler.remote import RemoteDatastore, http_transfers
from butler.remote.shared_files import SharedFiles
from butler_api.process import read_signing_keys
from butler_api.server import build_server
from butler_datastore.application import DatastoreApplication
from butler_datastore.config import MemoryStoreConfig, PosixStoreConfig, StoreConfig
from butler_datastore.servicers import datastore_services
from butler_datastore.store_tables import store_config
from butler_model.artifact import ArtifactLayout, ArtifactRecord, ArtifactUrl, sha256
from butler_model.dataset import new_dataset_id
from butler_model.errors import (
    ArtifactExistsError,
    ArtifactIntegrityError,
    ArtifactNotFoundError,
    GrantError,
    InvalidNameError,
    InvalidRequestError,
    LimitExceededError,
    TruncatedUploadError,
    UnsupportedOperationError,
)
from butler_model.grants import TokenSigner
from tests.support.datastores import LIMITS, DatastoreSetup
from tests.support.faulty_http import FaultyServer, faulty_server_before
from tests.support.proxy import Proxy, proxy_to
from tests.support.s3 import S3Server
from tests.support.stores import files, s3_settings
from tools.servers.process import free_ports, running, wait_until
from tools.servers.services import new_keys

MEBIBYTE = 2**20
CONTENT = random.Random(2).randbytes(5 * MEBIBYTE + 4_321)
KEY = "run/type/a"


@dataclass(frozen=True)
class Content:
    """Bytes in pieces, from the first on each time."""

    content: bytes = CONTENT

    def __iter__(self) -> Iterator[bytes]:
        return (self.content[start : start + MEBIBYTE] for start in range(0, len(self.content), MEBIBYTE))


@dataclass(frozen=True)
class Direct:
    """A datastore whose store ``main`` clients reach by themselves.

    Attributes
    ----------
    service, server
        The datastore in this process, which gives the URLs, and the address of the server of it.
    calls
        Between client and datastore service.
    """

    setup: DatastoreSetup
    service: DatastoreApplication
    calls: Proxy
    http: FaultyServer | None = None

    def put(self, key: str = KEY, content: bytes = CONTENT) -> bytes:
        """Store an artifact through the service; return a grant to read it."""
        self.service.write(self.setup.write_grant(key), [content])
        return self.setup.grant_of_content(key, content)

    def url(self, grant: bytes, size: int | None = None) -> ArtifactUrl:
        """Return what the service gives."""
        sizes = () if size is None else (size,)
        return self.setup.datastore.direct_access.sign_urls([grant], sizes)[0]

    def passed(self) -> int:
        """Return how many bytes passed between client and service until now."""
        return self.calls.up + self.calls.down


def serve(stack: ExitStack, stores: dict[str, StoreConfig], folder: Path) -> Direct:
    """Run a datastore service on stores, and connect to it."""
    signer = TokenSigner([b"a key for the tests of datastores"])
    application = DatastoreApplication(stores, signer, limits=LIMITS)
    stack.callback(application.close)
    server = build_server(datastore_services(application, LIMITS), "127.0.0.1:0")
    server.start()
    stack.callback(server.stop, grace=0)
    calls = stack.enter_context(proxy_to(server.address))
    datastore = RemoteDatastore(calls.address)
    stack.callback(datastore.close)
    return Direct(
        DatastoreSetup(datastore, signer, folder, partial(files, folder), folder / "drop"), application, calls
    )


@pytest.fixture
def s3(s3_server: S3Server, s3_bucket: str, tmp_path: Path) -> Iterator[Direct]:
    with ExitStack() as stack:
        http = stack.enter_context(faulty_server_before(s3_server.endpoint))
        config = store_config(s3_settings(s3_server, s3_bucket, tmp_path, endpoint=http.endpoint))
        yield replace(serve(stack, {"main": config}, tmp_path), http=http)


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Direct]:
    with ExitStack() as stack:
        config = PosixStoreConfig(str(tmp_path / "main" / "{repository}"), shared_path=True)
        yield serve(stack, {"main": config}, tmp_path)


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Direct]:
    """Give a datastore whose stores nobody else reaches."""
    with ExitStack() as stack:
        stores: dict[str, StoreConfig] = {
            "main": PosixStoreConfig(str(tmp_path / "main" / "{repository}")),
            "memory": MemoryStoreConfig(),
        }
        yield serve(stack, stores, tmp_path)


def record_of(key: str, content: bytes) -> ArtifactRecord:
    """Return what the registry would know of an artifact."""
    layout = ArtifactLayout("json", ".json", "StructuredDataDict")
    return ArtifactRecord(new_dataset_id(), "main", key, layout, len(content), sha256([content]))


def read(direct: Direct, grant: bytes, offset: int = 0, limit: int | None = None) -> bytes:
    return b"".join(direct.setup.datastore.read(grant, offset, limit))


# ------------------------------------------------------------------------------------------- the service


def test_a_signed_url_reads_an_artifact_and_ranges_of_it(s3: Direct) -> None:
    url = s3.url(s3.put())
    assert (url.method, url.size, url.checksum) == ("GET", len(CONTENT), sha256([CONTENT]))
    for headers, wanted in (({}, CONTENT), ({"Range": "bytes=5-9"}, CONTENT[5:10])):
        request = urllib.request.Request(url.url, headers={**url.headers, **headers})
        with urllib.request.urlopen(request) as response:
            assert response.read() == wanted


def test_a_signed_url_writes_once_and_what_is_there_is_measured(s3: Direct) -> None:
    grant = s3.setup.write_grant(KEY)
    url = s3.url(grant, len(CONTENT))
    assert (url.method, url.size, url.checksum) == ("PUT", len(CONTENT), "")
    statuses = [
        urllib3.request("PUT", url.url, headers=dict(url.headers), body=CONTENT, retries=False).status
        for _ in range(2)
    ]
    assert statuses == [200, 412]
    for _ in range(2):
        (signed,) = s3.setup.datastore.direct_access.finish_writes([grant])
        assert (signed.receipt.size, signed.receipt.checksum) == (len(CONTENT), sha256([CONTENT]))
        assert s3.setup.signer.open_receipt(signed.token) == signed.receipt


def test_a_url_for_a_checksum_takes_nothing_else(s3: Direct) -> None:
    grant = s3.setup.write_grant(KEY)
    access = s3.setup.datastore.direct_access
    (url,) = access.sign_urls([grant], [len(CONTENT)], [sha256([CONTENT])])
    assert url.checksum == sha256([CONTENT])
    for body, status in ((CONTENT[::-1], 400), (CONTENT, 200)):
        answer = urllib3.request("PUT", url.url, headers=dict(url.headers), body=body, retries=False)
        assert answer.status == status
    assert s3.http is not None
    s3.http.requests.clear()
    assert access.finish_writes([grant])[0].receipt.checksum == sha256([CONTENT])
    assert [method for method, _ in s3.http.requests] == ["HEAD"]


def test_a_url_expires_no_later_than_its_grant(s3: Direct) -> None:
    now = int(time.time())
    s3.put()
    grant = s3.setup.grant_of_content(KEY, CONTENT, expires=now + 60)
    assert s3.url(grant).expires == now + 60
    late = s3.setup.grant_of_content(KEY, CONTENT, expires=now + 100_000)
    assert s3.url(late).expires <= int(time.time()) + 900


def test_a_path_that_is_shared_is_a_file_url_to_read_only(shared: Direct) -> None:
    url = shared.url(shared.put("run/type/a+b=c@d,e"))
    assert (url.url, url.method) == (shared.setup.file("run/type/a+b=c@d,e").as_uri(), "")
    assert url.url == f"{url.root}/run/type/a%2Bb%3Dc%40d%2Ce"
    assert shared.url(shared.setup.write_grant("run/type/b"), 5).url == ""
    with pytest.raises(InvalidNameError):
        shared.url(shared.setup.grant_of_content("../a", CONTENT))


def test_a_store_that_nobody_reaches_has_no_urls(closed: Direct) -> None:
    for store in ("main", "memory"):
        grant = closed.setup.write_grant(KEY, store=store)
        assert closed.url(closed.setup.grant_of_content(KEY, CONTENT, store=store)).url == ""
        assert closed.url(grant, 5).url == ""
        with pytest.raises(UnsupportedOperationError, match=store):
            closed.setup.datastore.direct_access.finish_writes([grant])


def test_only_good_grants_are_signed_and_finished(s3: Direct) -> None:
    access = s3.setup.datastore.direct_access
    good = s3.put()
    to_write = s3.setup.write_grant(KEY, 10)
    for bad in (good[:-1], s3.setup.grant_of_content(KEY, CONTENT, expires=1), s3.setup.discard_grant(KEY)):
        with pytest.raises(GrantError):
            access.sign_urls([good, bad])
        with pytest.raises(GrantError):
            access.finish_writes([bad])
    with pytest.raises(GrantError):
        access.finish_writes([good])
    with pytest.raises(LimitExceededError, match="grant allows 10"):
        access.sign_urls([to_write], [11])
    with pytest.raises(InvalidRequestError, match="sizes"):
        access.sign_urls([good, to_write], [0])
    with pytest.raises(InvalidRequestError, match="no checksum"):
        access.sign_urls([to_write], [5], ["md5:0"])
    with pytest.raises(LimitExceededError, match="batch_items"):
        access.sign_urls([good] * (LIMITS.batch_items + 1))
    assert access.sign_urls([]) == []
    assert access.finish_writes([]) == []


def test_nothing_is_finished_that_is_missing_or_too_long(s3: Direct) -> None:
    access = s3.setup.datastore.direct_access
    with pytest.raises(ArtifactNotFoundError, match="run/type/missing"):
        access.finish_writes([s3.setup.write_grant("run/type/missing")])
    s3.put()
    with pytest.raises(LimitExceededError, match="grant allows 10"):
        access.finish_writes([s3.setup.write_grant(KEY, 10)])


# -------------------------------------------------------------------------------------------- the client


def test_what_is_large_goes_straight_to_the_store_and_comes_straight_back(s3: Direct) -> None:
    grant = s3.setup.write_grant(KEY)
    signed = s3.setup.datastore.write(grant, Content(), size=len(CONTENT))
    assert signed.receipt.checksum == sha256([CONTENT])
    to_read = s3.setup.read_grant(signed.receipt)
    assert read(s3, to_read) == CONTENT
    assert read(s3, to_read, 1_000_000, 3_000_000) == CONTENT[1_000_000:4_000_000]
    assert read(s3, to_read, 5) == CONTENT[5:]
    assert s3.passed() < 20_000
    # The first URL serves the other reads.
    assert s3.setup.datastore.write(grant, Content(), size=len(CONTENT)) == signed


def test_a_file_that_is_shared_is_read_where_it_is(shared: Direct) -> None:
    grant = shared.put()
    assert read(shared, grant) == CONTENT
    assert read(shared, grant, 1_000_000, 3_000_000) == CONTENT[1_000_000:4_000_000]
    assert shared.passed() < 20_000


def test_small_files_that_are_shared_are_read_where_they_are_by_their_records(shared: Direct) -> None:
    datastore = shared.setup.datastore
    contents = {f"run/type/{name}": name.encode() * 2_000 for name in ("a+b", "c=d")}
    grants = [shared.put(key, content) for key, content in contents.items()]
    records = [record_of(key, content) for key, content in contents.items()]
    assert datastore.read_batch(grants, records) == list(contents.values())
    before = shared.passed()
    assert datastore.read_batch(grants[::-1], records[::-1]) == list(contents.values())[::-1]
    assert datastore.exists(grants, records) == [True, True]
    assert shared.passed() == before


def test_of_small_files_the_service_tells_what_is_gone_damaged_or_not_shared(
    shared: Direct, closed: Direct
) -> None:
    for run, direct in (("shared", shared), ("closed", closed)):
        keys = [f"{run}/type/{name}" for name in ("whole", "gone", "damaged")]
        grants = [direct.put(key, b"content") for key in keys]
        records = [record_of(key, b"content") for key in keys]
        direct.setup.file(keys[1]).unlink()
        direct.setup.file(keys[2]).write_bytes(b"CONTENT")
        datastore = direct.setup.datastore
        assert datastore.read_batch(grants[:1], records[:1]) == [b"content"]
        assert datastore.exists(grants, records) == [True, False, True]
        for at, failure in ((1, ArtifactNotFoundError), (2, ArtifactIntegrityError)):
            with pytest.raises(failure, match=keys[at]) as caught:
                datastore.read_batch([grants[0], grants[at]], [records[0], records[at]])
            assert "dataset_id" in caught.value.metadata


def test_bytes_pass_through_the_service_where_there_is_no_other_way(closed: Direct) -> None:
    signed = closed.setup.datastore.write(closed.setup.write_grant(KEY), Content(), size=len(CONTENT))
    assert read(closed, closed.setup.read_grant(signed.receipt)) == CONTENT
    assert closed.passed() > 2 * len(CONTENT)


def test_a_different_artifact_is_never_replaced(s3: Direct) -> None:
    grant = s3.put()
    with pytest.raises(ArtifactExistsError, match=KEY):
        s3.setup.datastore.write(s3.setup.write_grant(KEY), Content(CONTENT[::-1]), size=len(CONTENT))
    assert read(s3, grant) == CONTENT


@pytest.mark.parametrize("change", [-1, 1])
def test_an_upload_of_another_length_than_announced_leaves_nothing(s3: Direct, change: int) -> None:
    grant = s3.setup.write_grant(KEY)
    with pytest.raises(TruncatedUploadError, match="announced"):
        s3.setup.datastore.write(grant, Content(), size=len(CONTENT) + change)
    assert s3.service.exists([s3.setup.grant_of_content(KEY, CONTENT)]) == [False]


def test_damage_is_noticed_before_all_was_delivered(s3: Direct, shared: Direct) -> None:
    for direct in (s3, shared):
        direct.service.write(direct.setup.write_grant(KEY), [CONTENT[::-1]])
        delivered: list[bytes] = []
        with pytest.raises(ArtifactIntegrityError, match=KEY):
            delivered.extend(direct.setup.datastore.read(direct.setup.grant_of_content(KEY, CONTENT)))
        assert 0 < sum(map(len, delivered)) < len(CONTENT)


def test_an_artifact_that_is_gone_or_of_another_size_is_told_by_the_service(
    s3: Direct, shared: Direct
) -> None:
    for direct in (s3, shared):
        missing = direct.setup.grant_of_content("run/type/missing", CONTENT)
        direct.put("run/type/b")
        with pytest.raises(ArtifactNotFoundError, match="run/type/missing") as caught:
            read(direct, missing)
        assert "dataset_id" in caught.value.metadata
        direct.service.write(direct.setup.write_grant(KEY), [CONTENT[1:]])
        for limit in (None, 10):
            with pytest.raises(ArtifactIntegrityError, match=str(len(CONTENT))):
                read(direct, direct.setup.grant_of_content(KEY, CONTENT), 0, limit)


def test_a_url_that_is_refused_is_asked_for_again_once(s3: Direct) -> None:
    assert s3.http is not None
    grant = s3.put()
    s3.http.faults["GET"] = [403]
    assert read(s3, grant) == CONTENT
    s3.http.faults["PUT"] = [403]
    s3.setup.datastore.write(s3.setup.write_grant("run/type/b"), Content(), size=len(CONTENT))
    assert s3.passed() < 40_000
    s3.http.faults["GET"] = [403, 403]
    assert read(s3, grant) == CONTENT
    assert s3.passed() > len(CONTENT)


def test_a_server_that_fails_for_a_moment_is_tried_again(s3: Direct) -> None:
    assert s3.http is not None
    grant = s3.put()
    s3.http.faults = {"GET": [503, 500], "PUT": [503, 409]}
    assert read(s3, grant) == CONTENT
    s3.setup.datastore.write(s3.setup.write_grant("run/type/b"), Content(), size=len(CONTENT))
    assert s3.http.faults == {"GET": [], "PUT": []}
    assert s3.passed() < 40_000


def test_a_server_that_is_slow_is_waited_for(s3: Direct) -> None:
    assert s3.http is not None
    grant = s3.put()
    s3.http.seconds = 1.0
    assert read(s3, grant, 7, 100) == CONTENT[7:107]
    assert s3.passed() < 20_000


def test_clients_get_the_name_that_a_server_has_for_them(
    s3_server: S3Server, s3_bucket: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        http = stack.enter_context(faulty_server_before(s3_server.endpoint))
        settings = s3_settings(s3_server, s3_bucket, tmp_path, public_endpoint=http.endpoint)
        direct = serve(stack, {"main": store_config(settings)}, tmp_path)
        grant = direct.put()
        assert http.requests == []  # the service has its own way
        assert read(direct, grant) == CONTENT
        assert [method for method, _ in http.requests] == ["GET"]
        direct.setup.datastore.write(direct.setup.write_grant("run/type/b"), Content(), size=len(CONTENT))
        assert [method for method, _ in http.requests] == ["GET", "PUT"]


def test_a_server_that_cannot_be_reached_is_remembered_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, s3_server: S3Server, s3_bucket: str
) -> None:
    nowhere = "http://127.0.0.1:9"
    settings = s3_settings(s3_server, s3_bucket, tmp_path, public_endpoint=nowhere)
    with ExitStack() as stack:
        direct = serve(stack, {"main": store_config(settings)}, tmp_path)
        grants = [direct.put(f"run/type/{number}") for number in range(3)]
        assert [read(direct, grant) for grant in grants] == [CONTENT] * 3
        direct.setup.datastore.write(direct.setup.write_grant("run/type/b"), Content(), size=len(CONTENT))
    told = [record for record in caplog.records if "cannot be reached from here" in record.message]
    assert len(told) == 1
    assert nowhere in told[0].message
    http_transfers._process.unreachable.clear()


def test_a_path_that_is_not_mounted_here_is_remembered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # A path that leads each process elsewhere, as one does that each machine mounts something else at.
    stores = {"main": {"root": "/proc/self/cwd/{repository}", "shared_path": True}}
    keys, log, (port,) = new_keys(tmp_path), tmp_path / "log", free_ports(1)
    settings = {"ADDRESS": f"127.0.0.1:{port}", "SIGNING_KEYS": str(keys), "STORES": json.dumps(stores)}
    environment = {f"BUTLER_DATASTORE_{name}": value for name, value in settings.items()}
    service = ["env", "-C", str(tmp_path), sys.executable, "-m", "butler_datastore", "serve"]
    with running(service, log=log, environment=environment) as process:
        wait_until(lambda: b"listening on" in log.read_bytes(), process, seconds=30.0)
        with closing(RemoteDatastore(f"127.0.0.1:{port}")) as datastore:
            signer = TokenSigner(read_signing_keys(keys))
            setup = DatastoreSetup(datastore, signer, tmp_path, partial(files, tmp_path), tmp_path / "drop")
            datastore.write(setup.write_grant(KEY), Content(), size=len(CONTENT))
            grant = setup.grant_of_content(KEY, CONTENT)
            assert [b"".join(datastore.read(grant)) for _ in range(2)] == [CONTENT] * 2
    assert (tmp_path / "main" / KEY).read_bytes() == CONTENT
    assert len([record for record in caplog.records if "cannot be reached" in record.message]) == 1
    http_transfers._process.unreachable.clear()


def test_a_directory_that_is_not_mounted_here_is_remembered(caplog: pytest.LogCaptureFixture) -> None:
    asked: list[bytes] = []

    def sign(grant: bytes) -> ArtifactUrl:
        asked.append(grant)
        return ArtifactUrl(f"file:///nowhere/at/all/{KEY}", "", {}, 0, 7, "", root="file:///nowhere/at/all")

    files, records = SharedFiles(sign), [record_of(KEY, b"content")] * 2
    for _ in range(2):
        assert files.contents([b"a grant", b"another"], records) == [None, None]
        assert files.present([b"a grant", b"another"], records) == [False, False]
    assert asked == [b"a grant"]
    assert len([record for record in caplog.records if "cannot be reached" in record.message]) == 1
    http_transfers._process.unreachable.clear()


def test_a_datastore_that_was_pickled_goes_straight_to_the_store(s3: Direct) -> None:
    grant = s3.put()
    read(s3, grant, 0, 5)
    other = pickle.loads(pickle.dumps(s3.setup.datastore))
    assert b"".join(other.read(grant)) == CONTENT
    other.close()
