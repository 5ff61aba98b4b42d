# SPDX-License-Identifier: BSD-3-Clause
"""Two replicas of each service behind a balancer are restarted one by one under load, and no call fails."""

from __future__ import annotations

import json
import secrets
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest

from butler import Butler, DatasetType
from butler.remote import RemoteRepositories
from butler_api.probe import ask
from butler_model.universe import DimensionUniverse
from tests.support.envoy import envoy_in_front_of
from tests.support.nginx import nginx_in_front_of
from tools.servers.process import ServerProcess, free_ports, running, wait_until

_CLIENTS = 6
_SERVICES = {
    "butler_registry": "butler_api.v1.RepositoryService",
    "butler_datastore": "butler_api.v1.DatastoreService",
}


@dataclass(slots=True)
class Replica:
    """One replica, which may be stopped and started again on its port."""

    module: str
    port: int
    folder: Path
    settings: dict[str, str]
    stack: ExitStack = field(default_factory=ExitStack)
    process: ServerProcess | None = None

    def start(self) -> None:
        """Start it, and wait until it says that it is ready."""
        prefix = f"{self.module.upper()}_"
        own = {"ADDRESS": f"127.0.0.1:{self.port}", "SIGNING_KEYS": str(self.folder / "keys")}
        # A balancer may keep a connection without calls to the end of the grace, which is to be before the server is
        # killed, ten seconds after the signal.
        own |= {"DRAIN_SECONDS": "1", "GRACE_SECONDS": "5", "CONNECTION_AGE_SECONDS": "5"}
        environment = {prefix + name: value for name, value in {**own, **self.settings}.items()}
        log = self.folder / f"{self.module}-{self.port}-{uuid4().hex[:4]}.log"
        command = [sys.executable, "-m", self.module, "serve"]
        self.process = self.stack.enter_context(running(command, log=log, environment=environment))
        address = f"127.0.0.1:{self.port}"
        wait_until(lambda: ask(address, _SERVICES[self.module]) == "SERVING", self.process, seconds=60)

    def stop(self) -> int:
        """Ask it to end, as Kubernetes does; return its exit code."""
        assert self.process is not None
        self.process.stop()
        return self.process.keeper.returncode


def in_front_of(
    balancer: str, replicas: Mapping[str, Sequence[int]]
) -> AbstractContextManager[dict[str, str]]:
    """Run a balancer for services, given the ports of their replicas."""
    if balancer == "nginx":
        return nginx_in_front_of(replicas)
    return envoy_in_front_of(replicas, {name: _SERVICES[f"butler_{name}"] for name in replicas})


@pytest.mark.timeout(600)
@pytest.mark.parametrize("balancer", ["envoy", "nginx"])
def test_replicas_restart_one_by_one_under_load_without_a_failed_call(
    balancer: str, postgres_database: str, tmp_path: Path
) -> None:
    (tmp_path / "keys").write_text(secrets.token_hex(32))
    stores = {"main": {"root": f"{tmp_path}/store/{{repository}}", "durable": False}}
    ports = free_ports(4)
    places = {"registry": ports[:2], "datastore": ports[2:]}
    with ExitStack() as stack:
        addresses = stack.enter_context(in_front_of(balancer, places))
        registry = {
            "DATABASE": postgres_database,
            "DATASTORE_ENDPOINT": addresses["datastore"],
            "WORKERS": "8",
        }
        datastore = {
            "STORES": json.dumps(stores),
            "REGISTRY": addresses["registry"],
            "HOUSEKEEPING_SECONDS": "2",
        }
        replicas = [Replica("butler_registry", port, tmp_path, registry) for port in places["registry"]]
        replicas += [Replica("butler_datastore", port, tmp_path, datastore) for port in places["datastore"]]
        for replica in replicas:
            stack.enter_context(replica.stack)
            replica.start()
        repositories = RemoteRepositories(addresses["registry"])
        repositories.create("r", DimensionUniverse(), request_id=uuid4())
        repositories.close()
        address = f"grpc://{addresses['registry']}/r"
        with Butler(address, run="begin") as butler:
            butler.registry.registerDatasetType(DatasetType("blob", (), "Bytes", universe=butler.dimensions))

        load = Load(address)
        with load.running():
            for replica in replicas:
                assert replica.stop() == 0
                replica.start()
                time.sleep(1)
        assert load.failures == []
        assert load.done > 4 * _CLIENTS
        with Butler(address) as butler:
            runs = sorted(butler.registry.queryCollections("run/*"))
            found = [
                ref
                for start in range(0, len(runs), 500)
                for ref in butler.registry.queryDatasets("blob", collections=runs[start : start + 500])
            ]
            assert len(found) == load.done
            assert butler.get(found[0]) is not None


class Load:
    """Clients that put and get all the time."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self.failures: list[BaseException] = []
        self.done = 0

    def running(self) -> ExitStack:
        """Return what lets the clients work until its end."""
        stack = ExitStack()
        threads = [threading.Thread(target=self._work) for _ in range(_CLIENTS)]
        for thread in threads:
            thread.start()
            stack.callback(thread.join)
        stack.callback(self._stopping.set)
        return stack

    def _work(self) -> None:
        try:
            while not self._stopping.is_set():
                content = secrets.token_bytes(2000)
                with Butler(self._address, run=f"run/{uuid4().hex}") as butler:
                    ref = butler.put(content, "blob")
                    assert butler.get(ref) == content
                with self._lock:
                    self.done += 1
        except BaseException as error:  # noqa: BLE001 - told to the test
            self.failures.append(error)
