# SPDX-License-Identifier: BSD-3-Clause
"""Both services as processes of their own, and clients that thread, fork, travel and misbehave."""

from __future__ import annotations

import json
import os
import pickle
import re
import secrets
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from butler.remote import RemoteDatastore, RemoteRegistry, RemoteRepositories
from butler_api.convert.chunks import chunk_to_proto
from butler_api.errors import error_from_status
from butler_api.v1 import collection_service_pb2, repository_service_pb2
from butler_api.v1 import datastore_service_pb2 as datastore_pb2
from butler_api.v1.collection_service_pb2_grpc import CollectionServiceStub
from butler_api.v1.datastore_service_pb2_grpc import DatastoreServiceStub
from butler_api.v1.repository_service_pb2_grpc import RepositoryServiceStub
from butler_model.artifact import ArtifactLayout
from butler_model.collection import Collection, CollectionType
from butler_model.dataset import DatasetType, new_dataset_id
from butler_model.errors import (
    ButlerError,
    ChecksumMismatchError,
    GrantError,
    InvalidPageTokenError,
    InvalidRequestError,
    LimitExceededError,
    RepositoryNotFoundError,
    TruncatedUploadError,
)
from butler_model.ports import BeginPut, DatasetLookup, PutBatch, PutIntent
from butler_model.universe import DimensionUniverse
from tools.servers.process import ServerProcess, running, wait_until

CHUNK = 1024 * 1024
LAYOUT = ArtifactLayout("bytes", ".bin", "Bytes")


@dataclass(frozen=True, slots=True)
class Deployment:
    """Two running services."""

    registry: str
    datastore: str
    folder: Path
    processes: tuple[ServerProcess, ServerProcess]

    def files(self) -> list[Path]:
        """Return every file in the store."""
        return [path for path in (self.folder / "store").rglob("*") if path.is_file()]


@contextmanager
def served(module: str, folder: Path, environment: dict[str, str]) -> Iterator[tuple[str, ServerProcess]]:
    """Run a service on a free port; give its address."""
    log = folder / f"{module}.log"
    prefix = f"{module.upper()}_"
    settings = {f"{prefix}{name}": value for name, value in environment.items()}
    settings |= {f"{prefix}ADDRESS": "127.0.0.1:0", f"{prefix}SIGNING_KEYS": str(folder / "keys")}
    with running([sys.executable, "-m", module, "serve"], log=log, environment=settings) as process:
        announced = re.compile(rf"^{module} listening on (\S+)$", re.MULTILINE)
        wait_until(lambda: announced.search(log.read_text()) is not None, process, seconds=60)
        found = announced.search(log.read_text())
        assert found is not None
        yield found[1], process


@contextmanager
def deployed(folder: Path) -> Iterator[Deployment]:
    """Run both services on SQLite and files in a folder."""
    (folder / "keys").write_text(f"{secrets.token_hex(32)}\n{secrets.token_hex(32)}\n")
    (folder / "tables").mkdir()
    stores = {"main": {"root": str(folder / "store" / "{repository}"), "durable": False}}
    with ExitStack() as stack:
        datastore, second = stack.enter_context(
            served(
                "butler_datastore",
                folder,
                {
                    "STORES": json.dumps(stores),
                    "INGEST_ROOTS": json.dumps([f"{folder}/drop"]),
                    "LOG_FORMAT": "json",
                },
            )
        )
        port = datastore.rpartition(":")[2]
        settings = {"DATABASE": f"sqlite:///{folder}/tables", "DATASTORE_ENDPOINT": f":{port}"}
        registry, first = stack.enter_context(served("butler_registry", folder, settings))
        yield Deployment(registry, datastore, folder, (first, second))


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(tmp_path_factory.mktemp("deployment")) as made:
        yield made


@pytest.fixture
def registry(deployment: Deployment) -> Iterator[RemoteRegistry]:
    """Give a repository with a dataset type ``blob`` without dimensions."""
    repositories = RemoteRepositories(deployment.registry)
    name = f"r{uuid.uuid4().hex[:12]}"
    repositories.create(name, DimensionUniverse(), request_id=uuid.uuid4())
    registry = repositories.open(name)
    blob = DatasetType("blob", registry.info.universe.empty, "Bytes")
    registry.dataset_types.register(blob, request_id=uuid.uuid4())
    yield registry
    registry.close()
    repositories.close()


@pytest.fixture
def datastore(registry: RemoteRegistry) -> Iterator[RemoteDatastore]:
    datastore = RemoteDatastore(registry.info.datastore_endpoint)
    yield datastore
    datastore.close()


def begun(registry: RemoteRegistry) -> PutIntent:
    """Begin a put of a blob into a run of its own."""
    run = f"run/{uuid.uuid4().hex}"
    registry.collections.register(Collection(run, CollectionType.RUN), request_id=uuid.uuid4())
    batch = PutBatch("blob", "Bytes", [{}], [new_dataset_id()], (LAYOUT,))
    return registry.puts.begin(BeginPut(uuid.uuid4(), run, (batch,)))[0]


def raised(call: Iterator[datastore_pb2.WriteRequest], address: str) -> ButlerError:
    """Return what `Write` answers to some messages of a program in another language."""
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as caught:
        DatastoreServiceStub(channel).Write(call, timeout=30)
    error = error_from_status(rpc_status.from_call(caught.value))
    assert error is not None
    return error


def header(grant: bytes) -> datastore_pb2.WriteRequest:
    return datastore_pb2.WriteRequest(header=datastore_pb2.WriteHeader(grant=grant))


def part(content: bytes) -> datastore_pb2.WriteRequest:
    return datastore_pb2.WriteRequest(chunk=chunk_to_proto(content))


def trailer(size: int) -> datastore_pb2.WriteRequest:
    return datastore_pb2.WriteRequest(trailer=datastore_pb2.WriteTrailer(size=size))


def test_a_service_says_where_it_takes_files_from(deployment: Deployment, datastore: RemoteDatastore) -> None:
    assert datastore.ingest_roots() == [f"{deployment.folder}/drop"]


def test_a_dataset_goes_in_and_comes_out(registry: RemoteRegistry, datastore: RemoteDatastore) -> None:
    content = secrets.token_bytes(3 * CHUNK + 5)
    intent = begun(registry)
    receipt = datastore.write(intent.grants[0].token, iter([content[:7], content[7:]]))
    assert receipt.receipt.size == len(content)
    registry.puts.commit([intent.dataset_id], [receipt.token], request_id=uuid.uuid4())
    found = registry.datasets.get([intent.dataset_id], want_artifacts=True)[0]
    assert found is not None
    grant = found.artifacts[0].grant
    assert b"".join(datastore.read(grant)) == content
    assert b"".join(datastore.read(grant, 10, 2 * CHUNK)) == content[10 : 10 + 2 * CHUNK]
    assert datastore.exists([grant]) == [True]
    with pytest.raises(InvalidRequestError):
        next(datastore.read(grant, 0, 0))


def test_a_put_that_was_given_up_is_discarded(
    registry: RemoteRegistry, datastore: RemoteDatastore, deployment: Deployment
) -> None:
    intent = begun(registry)
    before = deployment.files()
    datastore.write_batch([(intent.grants[0].token, b"content")])
    assert deployment.files() != before
    datastore.discard(registry.puts.abort([intent.dataset_id], request_id=uuid.uuid4()))
    registry.puts.finish_abort([intent.dataset_id], request_id=uuid.uuid4())
    assert deployment.files() == before


@pytest.mark.parametrize(
    ("messages", "expected", "text"),
    [
        ([part(b"x" * CHUNK)], TruncatedUploadError, f"after {CHUNK} bytes"),
        ([part(b"x" * CHUNK), trailer(CHUNK + 1)], TruncatedUploadError, f"{CHUNK} arrived"),
        ([], TruncatedUploadError, "after 0 bytes"),
        ([part(b"x"), trailer(1), part(b"y")], InvalidRequestError, "After the trailer"),
        ([part(b"x"), header(b"")], InvalidRequestError, "came header"),
        ([datastore_pb2.WriteRequest()], InvalidRequestError, "empty message"),
        ([part(b"x" * (CHUNK + 1)), trailer(CHUNK + 1)], LimitExceededError, str(CHUNK)),
    ],
    ids=range(7),
)
def test_an_upload_that_is_not_whole_leaves_nothing_behind(
    registry: RemoteRegistry,
    deployment: Deployment,
    messages: list[datastore_pb2.WriteRequest],
    expected: type[ButlerError],
    text: str,
) -> None:
    before = deployment.files()
    grant = begun(registry).grants[0].token
    error = raised(iter([header(grant), *messages]), deployment.datastore)
    assert type(error) is expected
    assert text in error.message
    assert deployment.files() == before


def test_a_damaged_chunk_is_refused_with_its_offset_and_leaves_nothing_behind(
    registry: RemoteRegistry, deployment: Deployment
) -> None:
    before = deployment.files()
    damaged = part(b"second")
    damaged.chunk.crc32c ^= 1
    messages = [header(begun(registry).grants[0].token), part(b"first"), damaged, trailer(11)]
    error = raised(iter(messages), deployment.datastore)
    assert isinstance(error, ChecksumMismatchError)
    assert "at offset 5" in error.message
    assert deployment.files() == before


def test_an_upload_needs_a_header_and_a_grant(registry: RemoteRegistry, deployment: Deployment) -> None:
    assert isinstance(raised(iter([part(b"x")]), deployment.datastore), InvalidRequestError)
    assert isinstance(raised(iter([]), deployment.datastore), TruncatedUploadError)
    assert isinstance(raised(iter([header(b"forged"), trailer(0)]), deployment.datastore), GrantError)


def test_content_that_cannot_be_read_leaves_nothing_behind(
    registry: RemoteRegistry, datastore: RemoteDatastore, deployment: Deployment
) -> None:
    def content() -> Iterator[bytes]:
        yield b"x" * CHUNK
        raise OSError("the disk that it is on")

    before, intent = deployment.files(), begun(registry)
    with pytest.raises(OSError, match="the disk that it is on"):
        datastore.write(intent.grants[0].token, content())
    datastore.discard(registry.puts.abort([intent.dataset_id], request_id=uuid.uuid4()))
    assert deployment.files() == before
    datastore.write(begun(registry).grants[0].token, [b"whole"])
    assert len(deployment.files()) == len(before) + 1


def test_listings_come_in_pages_and_a_token_belongs_to_one_listing(
    registry: RemoteRegistry, deployment: Deployment
) -> None:
    names = [f"run/{i:02}" for i in range(7)]
    for name in reversed(names):
        registry.collections.register(Collection(name, CollectionType.RUN), request_id=uuid.uuid4())
    assert [collection.name for collection in registry.collections.find(["run/*"])] == names
    assert registry.collections.find(["*"], frozenset()) == []
    request = collection_service_pb2.ListCollectionsRequest(
        repository=registry.info.name, patterns=["run/*"], page_size=3
    )
    seen = []
    with grpc.insecure_channel(deployment.registry) as channel:
        stub = CollectionServiceStub(channel)
        while True:
            page = stub.ListCollections(request, timeout=30)
            seen.append([collection.name for collection in page.collections])
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        request.patterns[:] = ["*"]
        with pytest.raises(grpc.RpcError) as caught:
            stub.ListCollections(request, timeout=30)
    assert seen == [names[:3], names[3:6], names[6:]]
    assert isinstance(error_from_status(rpc_status.from_call(caught.value)), InvalidPageTokenError)


def test_questions_larger_than_a_batch_are_cut_and_changes_are_not(registry: RemoteRegistry) -> None:
    limit = registry.info.limits.batch_items
    registry.collections.register(Collection("run", CollectionType.RUN), request_id=uuid.uuid4())
    found = registry.datasets.find(DatasetLookup("blob", [{}] * (limit + 1), ("run",)))
    assert found == [None] * (limit + 1)
    assert registry.datasets.get([uuid.uuid4()] * (limit + 1)) == [None] * (limit + 1)
    assert (
        len(registry.dimension_records.expand(registry.info.universe.empty, [{}] * (limit + 1))) == limit + 1
    )
    with pytest.raises(LimitExceededError):
        registry.puts.commit([uuid.uuid4()] * (limit + 1), [], request_id=uuid.uuid4())


def test_a_dataset_type_that_another_client_registers_is_seen(
    registry: RemoteRegistry, deployment: Deployment
) -> None:
    other = RemoteRegistry(deployment.registry, registry.info.name)
    before = registry.info.revision
    registry.dataset_types.get("blob")
    new = DatasetType("new", registry.info.universe.empty, "Bytes")
    assert other.dataset_types.register(new, request_id=uuid.uuid4())
    assert registry.dataset_types.get("new") == new
    assert registry.info.revision > before
    assert registry.dataset_types.find(["b*", "n*"]) == [other.dataset_types.get("blob"), new]
    other.close()


def test_a_repository_that_does_not_exist_is_named(deployment: Deployment) -> None:
    repositories = RemoteRepositories(deployment.registry)
    with pytest.raises(RepositoryNotFoundError, match="nowhere"):
        repositories.open("nowhere")
    registry = RemoteRegistry(deployment.registry, "nowhere")
    with pytest.raises(RepositoryNotFoundError, match="nowhere"):
        registry.collections.get("x")
    assert "nowhere" not in repositories.names()
    repositories.close()


def test_an_endpoint_without_a_host_is_at_the_host_of_the_registry(
    registry: RemoteRegistry, deployment: Deployment
) -> None:
    assert registry.info.datastore_endpoint == deployment.datastore


def test_clients_work_in_threads_after_pickling_and_after_being_closed(
    registry: RemoteRegistry, datastore: RemoteDatastore
) -> None:
    copies: tuple[RemoteRegistry, RemoteDatastore] = pickle.loads(pickle.dumps((registry, datastore)))
    barrier = threading.Barrier(8)

    def put(number: int) -> bytes:
        barrier.wait(30)
        mine, stores = copies if number % 2 else (registry, datastore)
        intent = begun(mine)
        receipt = stores.write(intent.grants[0].token, [b"%d" % number])
        mine.puts.commit([intent.dataset_id], [receipt.token], request_id=uuid.uuid4())
        found = mine.datasets.get([intent.dataset_id], want_artifacts=True)[0]
        assert found is not None
        return stores.read_batch([found.artifacts[0].grant])[0]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(put, range(8))) == [b"%d" % number for number in range(8)]
    for copy in copies:
        copy.close()
    assert copies[0].dataset_types.get("blob").name == "blob"
    assert copies[1].exists([]) == []
    for copy in copies:
        copy.close()


def test_clients_work_in_a_process_forked_after_the_first_call(registry: RemoteRegistry) -> None:
    registry.collections.find(["*"])
    children = []
    for _ in range(2):
        child = os.fork()
        if child == 0:
            # Whatever happens, the child must not go on with the tests.
            code = 1
            try:
                registry.collections.find(["*"])
                registry.collections.find(["*"])
                code = 0
            finally:
                os._exit(code)
        children.append(child)
        registry.collections.find(["*"])
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]


@pytest.mark.parametrize("which", ["registry", "datastore"])
def test_both_services_tell_their_health_their_services_and_their_channels(
    deployment: Deployment, which: str
) -> None:
    address: str = getattr(deployment, which)
    ours = {"registry": "butler_api.v1.DatasetService", "datastore": "butler_api.v1.DatastoreService"}[which]
    with grpc.insecure_channel(address) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        for name in ("", ours):
            answer = check(health_pb2.HealthCheckRequest(service=name), timeout=30)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        question = reflection_pb2.ServerReflectionRequest(list_services="")
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        listed = next(stub.ServerReflectionInfo(iter([question]), timeout=30)).list_services_response
        assert {ours, "grpc.health.v1.Health"} <= {service.name for service in listed.service}
        servers = channelz_pb2_grpc.ChannelzStub(channel).GetServers(
            channelz_pb2.GetServersRequest(), timeout=30
        )
        assert servers.server


def test_the_registry_tells_version_and_limits(deployment: Deployment) -> None:
    with grpc.insecure_channel(deployment.registry) as channel:
        request = repository_service_pb2.GetCapabilitiesRequest()
        told = RepositoryServiceStub(channel).GetCapabilities(request, timeout=30)
    assert told.version
    assert told.limits.batch_items == 5_000


def test_a_service_that_is_asked_to_stop_finishes_what_is_under_way(tmp_path: Path) -> None:
    with deployed(tmp_path) as made:
        name = "main"
        repositories = RemoteRepositories(made.registry)
        repositories.create(name, DimensionUniverse(), request_id=uuid.uuid4())
        registry = repositories.open(name)
        blob = DatasetType("blob", registry.info.universe.empty, "Bytes")
        registry.dataset_types.register(blob, request_id=uuid.uuid4())
        datastore = RemoteDatastore(made.datastore)
        stopping = threading.Event()

        def content() -> Iterator[bytes]:
            yield b"before "
            assert stopping.wait(30)
            yield b"and after"

        log = made.folder / "butler_datastore.log"
        with ThreadPoolExecutor(2) as pool:
            writing = pool.submit(datastore.write, begun(registry).grants[0].token, content())
            wait_until(lambda: bool(made.files()), made.processes[1], seconds=30)
            ending = pool.submit(made.processes[1].stop)
            wait_until(lambda: "is stopping" in log.read_text(), made.processes[0], seconds=30)
            stopping.set()
            assert writing.result(30).receipt.size == len(b"before and after")
            ending.result(30)
        assert made.processes[1].keeper.returncode == 0
        for line in log.read_text().splitlines():
            assert line.startswith("butler_datastore listening on") or json.loads(line)["level"] == "info"
        for each in (registry, repositories, datastore):
            each.close()


@pytest.mark.parametrize("module", ["butler_registry", "butler_datastore"])
@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "signing_keys: Field required"),
        ({"SIGNING_KEYS": "missing"}, "missing"),
        ({"SIGNING_KEYS": "empty"}, "no signing key"),
        ({"SIGNING_KEYS": "words"}, "hexadecimal"),
        ({"SIGNING_KEYS": "short"}, "32 bytes"),
        ({"SIGNING_KEYS": "good", "ADDRESS": "nowhere"}, "HOST:PORT"),
        ({"SIGNING_KEYS": "good", "WORKERS": "0"}, "workers"),
        ({"SIGNING_KEYS": "good", "LOG_FORMAT": "xml"}, "log_format"),
    ],
)
def test_a_service_with_wrong_settings_says_so_in_one_line(
    tmp_path: Path, module: str, settings: dict[str, str], text: str
) -> None:
    keys = {"empty": "", "words": "correct horse", "short": "00ff", "good": secrets.token_hex(32)}
    for name, content in keys.items():
        (tmp_path / name).write_text(content)
    complete = {"STORES": '["main"]', "DATABASE": f"sqlite:///{tmp_path}"}
    if module == "butler_datastore":
        complete = {"STORES": '{"main": {"root": "store"}}'}
    variables = {f"{module.upper()}_{name}": value for name, value in (complete | settings).items()}
    done = subprocess.run(
        [sys.executable, "-m", module, "serve"],
        cwd=tmp_path,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert text in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "correct horse" not in done.stderr


def test_settings_come_from_a_file_and_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(secrets.token_hex(32))
    (tmp_path / "settings.toml").write_text(
        'address = "127.0.0.1:1"\nsigning_keys = "keys"\n[stores.main]\nroot = "store"\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", "butler_datastore", "serve", "--config", "settings.toml"],
        cwd=tmp_path,
        env={**os.environ, "BUTLER_DATASTORE_ADDRESS": "from-the-environment"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "from-the-environment" in done.stderr
