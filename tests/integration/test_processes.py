# SPDX-License-Identifier: BSD-3-Clause
"""A service in several processes is one service: to clients, to probes, to Prometheus, and to whoever stops it."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import uuid4

import grpc
import pytest

from butler import Butler, DatasetType
from butler_api.probe import ask
from butler_api.v1.repository_service_pb2 import GetCapabilitiesRequest
from butler_api.v1.repository_service_pb2_grpc import RepositoryServiceStub
from tests.support.watched_services import Service, served
from tools.servers.process import ROOT, free_ports

_REGISTRY = "butler_api.v1.RepositoryService"
_PROCESSES = 2
_CONNECTIONS = 24
"""With so many, the chance that one of two processes gets none is one in eight million."""
_SERVES = re.compile(r"process (\d+) serves, with pid (\d+)")


@dataclass(frozen=True, slots=True)
class Deployment:
    """Both services, each in two processes, and a repository ``r`` with a dataset type ``blob``."""

    registry: Service
    datastore: Service
    probes: str

    @property
    def address(self) -> str:
        """Where the repository is."""
        return f"grpc://{self.registry.address}/r"


@pytest.fixture
def deployment(postgres_database: str, tmp_path: Path) -> Iterator[Deployment]:
    """Give both services."""
    (tmp_path / "keys").write_text(secrets.token_hex(32))
    registry_port, probes_port = free_ports(2)
    address, probes = f"127.0.0.1:{registry_port}", f"127.0.0.1:{probes_port}"
    stores = {"main": {"root": f"{tmp_path}/store/{{repository}}", "durable": False}}
    shared = {"PROCESSES": str(_PROCESSES), "GRACE_SECONDS": "5", "LOG_FORMAT": "text"}
    with ExitStack() as stack:
        datastore = stack.enter_context(
            served(
                "butler_datastore",
                tmp_path,
                STORES=json.dumps(stores),
                REGISTRY=address,
                HOUSEKEEPING_SECONDS="0.5",
                **shared,
            )
        )
        registry = stack.enter_context(
            served(
                "butler_registry",
                tmp_path,
                ADDRESS=address,
                HEALTH_ADDRESS=probes,
                DATABASE=postgres_database,
                DATASTORE_ENDPOINT=datastore.address,
                WORKERS="4",
                **shared,
            )
        )
        made = Deployment(registry, datastore, probes)
        Butler.makeRepo(made.address)
        with Butler(made.address, writeable=True) as butler:
            butler.registry.registerDatasetType(DatasetType("blob", (), "Bytes", universe=butler.dimensions))
        yield made


def pids(service: Service) -> dict[int, int]:
    """Return the process that serves under each number now."""
    return {int(number): int(pid) for number, pid in _SERVES.findall(service.log.read_text())}


def state_of(pid: int) -> dict[str, str]:
    """Return what the system tells of a process; nothing if it has ended, though nobody may have noticed."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except FileNotFoundError:
        return {}
    state = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    return {} if state["State"].startswith("Z") else state


def parent_of(service: Service) -> int:
    """Return the process that looks after the others."""
    return int(state_of(pids(service)[0])["PPid"])


def wait_for(true: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def call_by_many_connections(address: str) -> None:
    """Make a call by each of many connections."""
    for _ in range(_CONNECTIONS):
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(address, options=options) as channel:
            RepositoryServiceStub(channel).GetCapabilities(
                GetCapabilitiesRequest(), timeout=20, wait_for_ready=True
            )


def calls_of(service: Service, method: str) -> list[float]:
    """Return how many calls of a method each process has answered."""
    figures = service.figures()
    return [
        figures.get(f"butler_calls_total{{code=OK,method={method},process={number}}}", 0.0)
        for number in range(_PROCESSES)
    ]


@pytest.mark.timeout(300)
def test_connections_are_shared_among_the_processes_and_each_shows_its_figures(
    deployment: Deployment,
) -> None:
    call_by_many_connections(deployment.registry.address)
    counts = calls_of(deployment.registry, "RepositoryService/GetCapabilities")
    assert min(counts) > 0
    assert sum(counts) == _CONNECTIONS
    figures = deployment.registry.figures()
    assert figures["butler_processes{}"] == _PROCESSES
    # What all processes know of the database, one shows.
    assert [name for name in figures if name.startswith("butler_backlog_known")] == [
        "butler_backlog_known{process=0}"
    ]
    limits = {name: value for name, value in figures.items() if "connections_limit{pool=registry," in name}
    assert set(limits.values()) == {5.0}  # four workers, one transaction
    assert ask(deployment.registry.address, _REGISTRY) == ask(deployment.probes, _REGISTRY) == "SERVING"


def has_another(service: Service, pid: int) -> bool:
    """Tell whether another process than that serves under number 1."""
    return pids(service)[1] != pid


@pytest.mark.timeout(300)
def test_a_process_that_ends_is_started_again_and_no_call_of_a_client_fails(deployment: Deployment) -> None:
    stopping = threading.Event()

    def work(number: int) -> int:
        done = 0
        while not stopping.is_set():
            with Butler(deployment.address, run=f"run/{number}/{uuid4().hex}") as butler:
                content = secrets.token_bytes(1000)
                assert butler.get(butler.put(content, "blob")) == content
            done += 1
        return done

    before = {service: pids(service)[1] for service in (deployment.registry, deployment.datastore)}
    with ThreadPoolExecutor(4) as pool:
        working = [pool.submit(work, number) for number in range(4)]
        try:
            for service, pid in before.items():
                time.sleep(1)
                os.kill(pid, signal.SIGKILL)
                wait_for(partial(has_another, service, pid))
            time.sleep(1)
        finally:
            stopping.set()
        assert all(each.result() > 0 for each in working)
    for service in before:
        assert service.figures()["butler_process_restarts_total{process=1}"] == 1
        assert "process 1 ended with code -9; it is started again in 1 s" in service.log.read_text()


@pytest.mark.timeout(300)
def test_one_process_keeps_house_for_all(deployment: Deployment) -> None:
    with Butler(deployment.address, writeable=True) as butler:
        for run in ("a", "b", "c"):
            butler.registry.registerRun(run)
        refs = [butler.put(b"content", "blob", run=run) for run in ("a", "b", "c")]
        butler.pruneDatasets(refs, unstore=True, purge=True, disassociate=True, purge_after=1)
    deleted = "butler_purged_artifacts_total{outcome=deleted,process=%d,repository=r}"
    wait_for(lambda: deployment.datastore.figures().get(deleted % 0, 0.0) == 3)
    assert deployment.datastore.figures().get(deleted % 1, 0.0) == 0


@pytest.mark.timeout(300)
def test_all_processes_end_in_order_when_the_parent_is_told_to(deployment: Deployment) -> None:
    everybody = [*pids(deployment.registry).values(), parent_of(deployment.registry)]
    deployment.registry.process.stop()  # the keeper sends SIGTERM
    assert deployment.registry.process.keeper.returncode == 0
    assert not any(map(state_of, everybody))
    log = deployment.registry.log.read_text()
    assert log.count("is stopping") == _PROCESSES
    assert "started again" not in log


@pytest.mark.timeout(300)
def test_no_process_outlives_a_parent_that_is_killed(deployment: Deployment) -> None:
    children = pids(deployment.registry).values()
    os.kill(parent_of(deployment.registry), signal.SIGKILL)
    wait_for(lambda: not any(map(state_of, children)))


def serve_once(module: str, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a service that ends by itself."""
    (folder / "keys").write_text(secrets.token_hex(32))
    given = {"ADDRESS": "127.0.0.1:0", "SIGNING_KEYS": str(folder / "keys"), "PROCESSES": "2", **settings}
    return subprocess.run(
        [sys.executable, "-m", module, "serve"],
        cwd=ROOT,
        env={**os.environ, **{f"{module.upper()}_{name}": value for name, value in given.items()}},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_service_that_cannot_begin_says_why_and_ends(tmp_path: Path) -> None:
    done = serve_once(
        "butler_registry",
        tmp_path,
        DATABASE=f"sqlite:///{tmp_path}",
        TLS='{"certificate": "no", "key": "no"}',
    )
    assert done.returncode == 1
    assert done.stderr == "error: The certificates cannot be read: no: No such file or directory.\n"


def test_a_port_that_another_service_has_is_not_shared_with_it(
    deployment: Deployment, tmp_path: Path
) -> None:
    address = deployment.registry.address
    done = serve_once("butler_registry", tmp_path, DATABASE=f"sqlite:///{tmp_path}", ADDRESS=address)
    assert done.returncode == 1
    assert f"error: Cannot listen on {address}: the port is in use" in done.stderr


def test_a_store_in_memory_is_refused_for_several_processes(tmp_path: Path) -> None:
    done = serve_once("butler_datastore", tmp_path, STORES='{"fast": {"kind": "memory"}}')
    assert done.returncode == 1
    assert "the store 'fast' is in the memory of one process" in done.stderr
