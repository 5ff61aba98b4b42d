# SPDX-License-Identifier: BSD-3-Clause
"""Deployments to break: real databases and stores, with services or a client as processes that can be killed."""

from __future__ import annotations

__all__ = [
    "DATABASES",
    "EMBEDDED",
    "KINDS",
    "REPOSITORY",
    "SERVICES",
    "STORES",
    "Deployment",
    "DeploymentKind",
    "Deployments",
]

import os
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from butler import Butler
from tests.support.s3 import S3Server
from tests.support.stores import s3_settings
from tests.support.survey import insert_survey, register_types
from tools.servers.postgres import PostgresServer
from tools.servers.process import free_ports
from tools.servers.services import new_keys

from .artifacts import ObjectListing, StoredFiles, StoredObjects
from .processes import Nursery, TestProcess
from .rows import DatabaseRows

DATABASES = ("sqlite", "postgresql")
STORES = ("posix", "s3")
SHAPES = ("services", "embedded")
DETECTORS = 64
_QUIET_SECONDS = 0.5
REPOSITORY = "main"


@dataclass(frozen=True, slots=True)
class DeploymentKind:
    """What a deployment is made of."""

    shape: str
    database: str
    store: str

    def __str__(self) -> str:
        return f"{self.shape}-{self.database}-{self.store}"


KINDS = tuple(DeploymentKind(*each) for each in product(SHAPES, DATABASES, STORES))
SERVICES = tuple(kind for kind in KINDS if kind.shape == "services")
EMBEDDED = tuple(kind for kind in KINDS if kind.shape == "embedded")


@dataclass(slots=True)
class Deployment:
    """A repository with a small survey, and the processes that serve it.

    Attributes
    ----------
    address
        What a `Butler` is opened with.
    rows, artifacts
        What is in the database and in the store, without asking the product.
    drop
        A directory from which the datastore takes files itself.
    processes
        The services that run, by name; empty if the repository is embedded.
    """

    kind: DeploymentKind
    nursery: Nursery
    folder: Path
    address: str
    rows: DatabaseRows
    artifacts: ObjectListing
    settings: Mapping[str, dict[str, str]] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    processes: dict[str, TestProcess] = field(default_factory=dict)
    _cases: int = 0
    _held: Butler | None = None

    @property
    def drop(self) -> Path:
        return self.folder / "drop"

    def new_case(self) -> int:
        """Return a number that names what a case makes."""
        self._cases += 1
        return self._cases

    def start(self, service: str, failpoints: str = "") -> None:
        """Start a service at its address, in place of the one that runs there."""
        self.kill(service)
        log = self.folder / f"{service}.log"
        self.processes[service] = self.nursery.serve(
            service, log, self.settings[service], self.addresses[service], failpoints
        )

    def kill(self, service: str) -> None:
        """End a service as by ``kill -9``, if it runs."""
        process = self.processes.pop(service, None)
        if process is not None:
            process.kill()

    def wait_for_late_writes(self) -> None:
        """Wait until what is in the store has been the same for half a second."""
        before, since = self.artifacts.sizes(), time.monotonic()
        while time.monotonic() < since + _QUIET_SECONDS:
            time.sleep(_QUIET_SECONDS / 5)
            now = self.artifacts.sizes()
            if now != before:
                before, since = now, time.monotonic()

    def restart_dead(self) -> list[str]:
        """Start the services that have ended; return their names."""
        dead = [s for s in self.settings if s not in self.processes or not self.processes[s].running]
        for service in dead:
            self.start(service)
        return dead

    def stop(self) -> None:
        """End all services."""
        for service in list(self.processes):
            self.kill(service)
        self.rows.close()

    def job(
        self,
        steps: list[dict[str, Any]],
        name: str,
        *,
        failpoints: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> Job:
        """Start a client that goes through steps (see `tests.robustness.support.jobs`)."""
        journal = self.folder / f"{name}.journal"
        argument = {"address": self.address, "steps": steps, "journal": str(journal)}
        log = self.folder / f"{name}.log"
        process = self.nursery.start(
            "client", log, environment=environment, failpoints=failpoints, argument=argument
        )
        return Job(process, journal)

    @contextmanager
    def one_butler(self) -> Iterator[Butler]:
        """Open a butler that `butler` gives until the end of the block, in which nothing is killed."""
        with self.butler() as butler:
            outer, self._held = self._held, butler
            try:
                yield butler
            finally:
                self._held = outer

    @contextmanager
    def butler(self, **arguments: Any) -> Iterator[Butler]:
        """Open a butler in this process; its connections are new, so nothing that was before delays it."""
        if self._held is not None and not arguments:
            yield self._held
            return
        butler = Butler(self.address, writeable=True, **arguments)
        try:
            yield butler
        finally:
            butler.close()

    def kill_database_process(self) -> None:
        """End a process of PostgreSQL by SIGKILL: the server throws all out, recovers from its log, and goes on."""
        with self.rows.until_thrown_out():
            while not _killed(self.rows.victim()):
                pass  # its client had just closed the connection
        self.rows.wait_until_it_answers()


def _killed(process: int) -> bool:
    """Send SIGKILL to a process; return whether it was there."""
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Job:
    """A client at work, and what it wrote down after each step."""

    process: TestProcess
    journal: Path

    def entries(self) -> list[dict[str, Any]]:
        """Return what it wrote so far."""
        import json

        if not self.journal.exists():
            return []
        return [json.loads(line) for line in self.journal.read_text().splitlines() if line.endswith("}")]


class Deployments:
    """All kinds of deployments, each made when it is first asked for and kept until the end."""

    def __init__(self, folder: Path, nursery: Nursery, postgres: PostgresServer, s3: S3Server) -> None:
        self._folder = folder
        self._nursery = nursery
        self._postgres = postgres
        self._s3 = s3
        self._made: dict[DeploymentKind, Deployment] = {}
        self._stack = ExitStack()

    def __getitem__(self, kind: DeploymentKind) -> Deployment:
        if kind not in self._made:
            # Another folder each time: after one that could not be made, the next test tries again from nothing.
            self._made[kind] = self.make(kind, Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=self._folder)))
        made = self._made[kind]
        made.restart_dead()
        return made

    def make(self, kind: DeploymentKind, folder: Path, **store_settings: Any) -> Deployment:
        """Make a deployment of its own; it lasts until `close`."""
        (folder / "drop").mkdir(parents=True)
        database = self._database(kind, folder)
        store = self._store(kind, folder, store_settings)
        made = _with_services(kind, self._nursery, folder, database, store)
        if kind.shape == "embedded":
            made = _embedded(kind, self._nursery, folder, database, store)
        made.artifacts = self._listing(kind, store)
        self._stack.callback(made.stop)
        for service in made.settings:
            made.start(service)
        options: dict[str, Any] = {}
        if kind.shape == "embedded":
            options = {"database": None if kind.database == "sqlite" else database, "stores": {"main": store}}
        Butler.makeRepo(made.address, **options)
        with made.butler() as butler:
            insert_survey(butler)
            register_types(butler)
            butler.registry.insertDimensionData(
                "detector",
                *[{"instrument": "Cam1", "id": i, "full_name": f"N{i}"} for i in range(5, DETECTORS + 1)],
            )
        return made

    def _database(self, kind: DeploymentKind, folder: Path) -> str:
        if kind.database == "postgresql":
            url = self._postgres.create_database()
            self._stack.callback(self._postgres.drop_database, url)
            return url
        place = folder / ("tables" if kind.shape == "services" else "repository")
        place.mkdir()
        return f"sqlite:///{place}"

    def _store(self, kind: DeploymentKind, folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
        if kind.store == "posix":
            return {"root": f"{folder}/artifacts", **settings}
        bucket = self._s3.create_bucket()
        self._stack.callback(self._s3.delete_bucket, bucket)
        # The server makes room with the first object of a bucket, for longer than late writes are waited for.
        client = self._s3.client()
        client.put_object(Bucket=bucket, Key="first", Body=b"1")
        client.delete_object(Bucket=bucket, Key="first")
        return s3_settings(self._s3, bucket, folder, **settings)

    def _listing(self, kind: DeploymentKind, store: Mapping[str, Any]) -> ObjectListing:
        if kind.store == "posix":
            return StoredFiles(Path(store["root"]))
        return StoredObjects(self._s3, store["bucket"], REPOSITORY)

    def close(self) -> None:
        """End and remove all of them."""
        self._stack.close()


def _with_services(
    kind: DeploymentKind, nursery: Nursery, folder: Path, database: str, store: Mapping[str, Any]
) -> Deployment:
    import json

    keys = str(new_keys(folder))
    ports = free_ports(2)
    addresses = {"datastore": f"127.0.0.1:{ports[0]}", "registry": f"127.0.0.1:{ports[1]}"}
    settings = {
        "datastore": {
            "SIGNING_KEYS": keys,
            "STORES": json.dumps({"main": store}),
            "INGEST_ROOTS": json.dumps([str(folder / "drop")]),
            "REGISTRY": addresses["registry"],
            # Housekeeping is done when a test says so.
            "HOUSEKEEPING_SECONDS": "0",
        },
        "registry": {
            "SIGNING_KEYS": keys,
            "DATABASE": database,
            "DATASTORE_ENDPOINT": addresses["datastore"],
        },
    }
    rows = DatabaseRows(database, REPOSITORY)
    address = f"grpc://{addresses['registry']}/{REPOSITORY}"
    return Deployment(kind, nursery, folder, address, rows, StoredFiles(folder), settings, addresses)


def _embedded(
    kind: DeploymentKind, nursery: Nursery, folder: Path, database: str, store: Mapping[str, Any]
) -> Deployment:
    root = folder / "repository"
    rows = DatabaseRows(database, REPOSITORY)
    return Deployment(kind, nursery, folder, str(root), rows, StoredFiles(folder))
