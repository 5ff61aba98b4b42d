# SPDX-License-Identifier: BSD-3-Clause
"""What those who watch over the services see: figures, readiness, logs."""

from __future__ import annotations

import json
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from butler import Butler
from butler.remote import RemoteDatastore, RemoteRegistry, RemoteRepositories
from butler_model.artifact import ArtifactLayout
from butler_model.collection import Collection, CollectionType
from butler_model.dataset import DatasetType, new_dataset_id
from butler_model.errors import ButlerError
from butler_model.ports import BeginPut, PutBatch
from butler_model.universe import DimensionUniverse
from tests.support.secured import secured_services
from tests.support.watched_services import Service, served
from tools.servers.process import free_ports, running, wait_until

_LAYOUT = ArtifactLayout("bytes", ".bin", "Bytes")
_REGISTRY = "butler_api.v1.RepositoryService"
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@dataclass(frozen=True, slots=True)
class Watched:
    """Both services, and a repository ``r`` with a dataset type ``blob`` without dimensions."""

    registry: Service
    datastore: Service
    folder: Path


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    (folder / "keys").write_text(secrets.token_hex(32))
    (folder / "tables").mkdir()
    stores = {"main": {"root": f"{folder}/store/{{repository}}", "durable": False}}
    address = f"127.0.0.1:{free_ports(1)[0]}"
    with ExitStack() as stack:
        datastore = stack.enter_context(
            served(
                "butler_datastore",
                folder,
                STORES=json.dumps(stores),
                REGISTRY=address,
                HOUSEKEEPING_SECONDS="0",
                GUARD_SECONDS="0",
            )
        )
        registry = stack.enter_context(
            served(
                "butler_registry",
                folder,
                ADDRESS=address,
                DATABASE=f"sqlite:///{folder}/tables",
                DATASTORE_ENDPOINT=datastore.address,
                LOG_CALLS="true",
            )
        )
        repositories = RemoteRepositories(registry.address)
        repositories.create("r", DimensionUniverse(), request_id=uuid4())
        opened = repositories.open("r")
        blob = DatasetType("blob", opened.info.universe.empty, "Bytes")
        opened.dataset_types.register(blob, request_id=uuid4())
        opened.close()
        repositories.close()
        yield Watched(registry, datastore, folder)


def grown(before: dict[str, float], after: dict[str, float], sample: str) -> float:
    """Return by how much a sample has grown."""
    return after.get(sample, 0.0) - before.get(sample, 0.0)


def begin(registry: RemoteRegistry, lease_seconds: int = 600) -> tuple[str, bytes]:
    """Begin a put; return its run and its grant."""
    run = f"run/{uuid4().hex}"
    registry.collections.register(Collection(run, CollectionType.RUN), request_id=uuid4())
    batch = PutBatch("blob", "Bytes", [{}], [new_dataset_id()], (_LAYOUT,))
    intent = registry.puts.begin(BeginPut(uuid4(), run, (batch,), lease_seconds=lease_seconds))[0]
    return run, intent.grants[0].token


def test_calls_are_counted_by_method_and_code_with_their_time_and_bytes(watched: Watched) -> None:
    registry = RemoteRegistry(watched.registry.address, "r")
    before = watched.registry.figures()
    for _ in range(3):
        registry.dataset_types.get("blob")
    with pytest.raises(ButlerError):
        registry.collections.get("nowhere")
    after = watched.registry.figures()
    calls = {name: grown(before, after, name) for name in after if name.startswith("butler_calls_total")}
    assert calls["butler_calls_total{code=NOT_FOUND,method=CollectionService/GetCollection}"] == 1
    sample = "method=CollectionService/GetCollection"
    assert grown(before, after, f"butler_call_seconds_count{{{sample}}}") == 1
    assert grown(before, after, f"butler_received_bytes_total{{{sample}}}") > len("nowhere")
    assert after["butler_calls_in_flight{}"] == 0
    assert after["butler_calls_waiting{}"] == 0
    registry.close()


def test_bytes_of_streams_are_counted_in_both_directions(watched: Watched) -> None:
    content = secrets.token_bytes(2_500_000)
    registry = RemoteRegistry(watched.registry.address, "r")
    datastore = RemoteDatastore(watched.datastore.address)
    before = watched.datastore.figures()
    _, grant = begin(registry)
    receipt = datastore.write(grant, [content])
    registry.puts.commit([receipt.receipt.dataset_id], [receipt.token], request_id=uuid4())
    found = registry.datasets.get([receipt.receipt.dataset_id], want_artifacts=True)[0]
    assert found is not None
    assert b"".join(datastore.read(found.artifacts[0].grant)) == content
    after = watched.datastore.figures()
    method = "{method=DatastoreService/%s}"
    assert 1 <= grown(before, after, "butler_received_bytes_total" + method % "Write") / len(content) < 1.01
    assert 1 <= grown(before, after, "butler_sent_bytes_total" + method % "Read") / len(content) < 1.01
    assert grown(before, after, "butler_calls_total{code=OK,method=DatastoreService/Read}") == 1
    registry.close()
    datastore.close()


def test_open_puts_trash_deletions_and_inspections_are_shown(watched: Watched) -> None:
    address = f"grpc://{watched.registry.address}/r"
    registry = RemoteRegistry(watched.registry.address, "r")
    begin(registry, lease_seconds=60)
    with Butler(address, run="pruned") as butler:
        ref = butler.put(b"content", "blob")
        butler.pruneDatasets([ref], unstore=True, purge=True, disassociate=True)
        kept = butler.put(b"content", "blob")
    assert kept.id is not None
    (artifact,) = (watched.folder / "store" / "r").rglob(f"*{kept.id.hex[-12:]}*")
    artifact.unlink()
    figures = watched.registry.figures()
    # The database is asked every 15 seconds at most.
    until = time.monotonic() + 30
    while not figures["butler_put_intents{repository=r}"] and time.monotonic() < until:
        time.sleep(1)
        figures = watched.registry.figures()
    assert figures["butler_backlog_known{}"] == 1
    assert figures["butler_put_intents{repository=r}"] >= 1
    assert figures["butler_put_intents_expired{repository=r}"] == 0
    assert figures["butler_trash_failed_artifacts{repository=r}"] == 0
    list(RemoteDatastore(watched.datastore.address).housekeeping.fsck("r"))
    shown = watched.datastore.figures()
    assert shown["butler_fsck_findings{kind=lost,repository=r}"] == 1
    assert shown["butler_fsck_findings{kind=dark,repository=r}"] == 0
    assert time.time() - shown["butler_fsck_finished_timestamp_seconds{repository=r}"] < 60
    assert shown["butler_purged_artifacts_total{outcome=deleted,repository=r}"] == 1
    assert shown["butler_store_resting{repository=r,store=main}"] == 0
    registry.close()


def test_database_connections_are_shown_and_bounded(watched: Watched) -> None:
    figures = watched.registry.figures()
    in_use = figures["butler_database_connections{pool=r,state=in_use}"]
    idle = figures["butler_database_connections{pool=r,state=idle}"]
    assert 0 < in_use + idle <= figures["butler_database_connections_limit{pool=r}"]


def test_a_line_of_the_log_says_which_request_of_which_method_it_belongs_to(watched: Watched) -> None:
    registry = RemoteRegistry(watched.registry.address, "r")
    request_id = uuid4()
    name = f"run/{uuid4().hex}"
    registry.collections.register(Collection(name, CollectionType.RUN), request_id=request_id)
    registry.close()
    lines = [line for line in watched.registry.lines if line.get("request_id") == str(request_id)]
    assert [(line["event"], line["method"], line["repository"], line["code"]) for line in lines] == [
        ("call", "CollectionService/RegisterCollection", "r", "OK")
    ]


def health(address: str, service: str) -> int:
    """Ask a service for its health."""
    with grpc.insecure_channel(address) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(service=service), timeout=10
        )
    return int(answer.status)


def test_readiness_asks_the_database_and_liveness_does_not(postgres_database: str, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(secrets.token_hex(32))
    nowhere = f"postgresql://nobody@127.0.0.1:{free_ports(1)[0]}/nothing"
    with served("butler_registry", tmp_path, DATABASE=nowhere) as service:
        assert health(service.address, "") == _SERVING
        assert health(service.address, _REGISTRY) == _NOT_SERVING
        assert service.figures()["butler_backlog_known{}"] == 0
    probes = f"127.0.0.1:{free_ports(1)[0]}"
    with served("butler_registry", tmp_path, DATABASE=postgres_database, HEALTH_ADDRESS=probes) as service:
        assert health(service.address, _REGISTRY) == _SERVING
        assert health(probes, _REGISTRY) == health(probes, "") == _SERVING


def test_metrics_are_off_unless_a_port_is_given(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(secrets.token_hex(32))
    stores = json.dumps({"main": {"kind": "memory"}})
    log = tmp_path / "butler_datastore.log"
    environment = {
        "BUTLER_DATASTORE_ADDRESS": "127.0.0.1:0",
        "BUTLER_DATASTORE_SIGNING_KEYS": str(tmp_path / "keys"),
        "BUTLER_DATASTORE_STORES": stores,
    }
    with running(
        [sys.executable, "-m", "butler_datastore", "serve"], log=log, environment=environment
    ) as process:
        wait_until(lambda: "listening" in log.read_text(), process, seconds=60)
        assert "metrics" not in log.read_text()


def test_a_service_that_is_asked_to_stop_says_so_first_and_answers_until_the_balancer_has_noticed(
    tmp_path: Path,
) -> None:
    (tmp_path / "keys").write_text(secrets.token_hex(32))
    (tmp_path / "tables").mkdir()
    with ExitStack() as stack:
        service = stack.enter_context(
            served("butler_registry", tmp_path, DATABASE=f"sqlite:///{tmp_path}/tables", DRAIN_SECONDS="5")
        )
        repositories = RemoteRepositories(service.address)
        stack.callback(repositories.close)
        assert health(service.address, _REGISTRY) == _SERVING
        assert service.process.keeper.stdin is not None
        service.process.keeper.stdin.close()  # the keeper sends SIGTERM
        deadline = time.monotonic() + 4
        while health(service.address, _REGISTRY) == _SERVING and time.monotonic() < deadline:
            time.sleep(0.05)
        assert health(service.address, _REGISTRY) == _NOT_SERVING
        assert repositories.names() == []
        assert service.process.keeper.wait(20) == 0


def test_a_connection_that_is_old_is_renewed_without_a_failed_call(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(secrets.token_hex(32))
    (tmp_path / "tables").mkdir()
    with served(
        "butler_registry",
        tmp_path,
        DATABASE=f"sqlite:///{tmp_path}/tables",
        CONNECTION_AGE_SECONDS="0.5",
        CONNECTION_AGE_GRACE_SECONDS="5",
        LOG_CALLS="true",
    ) as service:
        repositories = RemoteRepositories(service.address)
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            assert repositories.names() == []
            time.sleep(0.02)
        repositories.close()
        peers = {line["peer"] for line in service.lines if line["event"] == "call"}
        assert len(peers) >= 3


def test_a_line_of_the_log_says_who_called_where_callers_are_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUTLER_REGISTRY_LOG_CALLS", "true")
    with secured_services(tmp_path) as services:
        for name, value in services.environment(services.provider.token("alice")).items():
            monkeypatch.setenv(name, value)
        Butler.makeRepo(f"{services.registry}/r")
        lines = [line for line in services.log("butler_registry") if line["event"] == "call"]
    (created,) = (line for line in lines if line["method"] == "RepositoryService/CreateRepository")
    assert (created["principal"], created["code"], created["repository"]) == ("alice", "OK", "r")
