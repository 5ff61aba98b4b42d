# SPDX-License-Identifier: BSD-3-Clause
"""Fresh repositories behind every implementation of the registry's contract, with a small camera in each."""

from __future__ import annotations

__all__ = [
    "LAYOUT",
    "LIMITS",
    "REGISTRIES",
    "RegistryHome",
    "RegistrySetup",
    "at_once",
    "insert_camera",
    "new_database",
    "register_types",
    "registry_home",
    "registry_home_of_module",
    "registry_of_module",
    "registry_of_test",
    "second_client",
]

import itertools
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import lsst.sphgeom
import pytest

from butler.remote import RemoteRepositories
from butler_api.server import build_server
from butler_datastore.remote_ledger import RemoteLedgers
from butler_model.artifact import ArtifactLayout, Receipt
from butler_model.collection import ChainEdit, Collection, CollectionType
from butler_model.dataset import DatasetType, new_dataset_id
from butler_model.grants import TokenSigner
from butler_model.paging import PageRequest
from butler_model.ports import (
    BeginPut,
    DatasetLookup,
    FoundDataset,
    Ledgers,
    PutBatch,
    PutIntent,
    Registry,
    Repositories,
)
from butler_model.query.spec import QuerySpec
from butler_model.repository import Limits
from butler_model.timespan import Timespan
from butler_model.universe import DimensionUniverse
from butler_registry.application import RegistryApplication
from butler_registry.servicers import registry_services

REGISTRIES = ("sqlite", "postgresql", "grpc-sqlite", "grpc-postgresql")
"""In this process or over gRPC, on either database."""

LIMITS = Limits(batch_items=400, page_rows=50, default_page_rows=20)
"""Small, so that tests can pass them."""

LAYOUT = ArtifactLayout("json", ".json", "StructuredDataDict")
CHECKSUM = "sha256:" + "0" * 64
NIGHT = 86_400 * 10**9
FIRST_NIGHT = 18_262 * NIGHT
"""2020-01-01 in TAI nanoseconds since 1970."""

TYPES: Mapping[str, tuple[str, ...]] = {
    "note": ("instrument", "detector"),
    "calexp": ("instrument", "visit", "detector"),
    "raw": ("instrument", "exposure", "detector"),
    "coadd": ("skymap", "tract", "patch", "band"),
    "warp": ("skymap", "tract", "patch", "visit"),
    "log": (),
}
"""The dataset types of `register_types`, all stored as StructuredDataDict, and their dimensions."""


@dataclass(frozen=True, slots=True)
class RegistrySetup:
    """The registry of one repository, and short ways to use it."""

    registry: Registry
    repository: str
    signer: TokenSigner

    @property
    def universe(self) -> DimensionUniverse:
        """The dimensions of the repository."""
        return self.registry.info.universe

    def insert(self, element: str, *records: Mapping[str, Any], **options: bool) -> int:
        """Insert records given as fields."""
        definition = self.universe[element]
        made = [definition.RecordClass(**fields) for fields in records]
        return self.registry.dimension_records.insert(element, made, request_id=uuid.uuid4(), **options)

    def sync(self, element: str, **fields: Any) -> bool:
        """Sync a record given as fields."""
        record = self.universe[element].RecordClass(**fields)
        return self.registry.dimension_records.sync(record, request_id=uuid.uuid4())

    def register_run(self, name: str) -> str:
        """Register a RUN collection; return its name."""
        self.registry.collections.register(Collection(name, CollectionType.RUN), request_id=uuid.uuid4())
        return name

    def register(self, name: str, type_: CollectionType) -> str:
        """Register a collection; return its name."""
        self.registry.collections.register(Collection(name, type_), request_id=uuid.uuid4())
        return name

    def chain(self, name: str, *children: str) -> str:
        """Make a chain of collections, or give one other members; return its name."""
        self.register(name, CollectionType.CHAINED)
        self.registry.collections.edit_chain(name, ChainEdit.SET, children, request_id=uuid.uuid4())
        return name

    def associate(self, collection: str, *ids: UUID) -> None:
        """Add datasets to a TAGGED collection."""
        self.registry.associations.associate(collection, ids, request_id=uuid.uuid4())

    def certify(self, collection: str, timespan: Timespan, *ids: UUID) -> None:
        """Say that datasets are valid for a range of time."""
        self.registry.associations.certify(collection, ids, timespan, request_id=uuid.uuid4())

    def register_type(
        self,
        name: str,
        dimensions: Sequence[str],
        storage_class: str = LAYOUT.storage_class,
        *,
        is_calibration: bool = False,
    ) -> DatasetType:
        """Register a dataset type."""
        group = self.universe.conform(dimensions)
        dataset_type = DatasetType(name, group, storage_class, isCalibration=is_calibration)
        self.registry.dataset_types.register(dataset_type, request_id=uuid.uuid4())
        return dataset_type

    def begin(
        self,
        dataset_type: str,
        run: str,
        data_ids: Sequence[Mapping[str, Any]],
        *,
        ids: Sequence[UUID] | None = None,
        request_id: UUID | None = None,
        artifacts: tuple[ArtifactLayout, ...] = (LAYOUT,),
        lease_seconds: int = 600,
        validate_only: bool = False,
    ) -> list[PutIntent]:
        """Begin a put of one batch; ids are made up where none are given."""
        made = list(ids) if ids is not None else [new_dataset_id() for _ in data_ids]
        batch = PutBatch(dataset_type, LAYOUT.storage_class, list(data_ids), made, artifacts)
        request = BeginPut(request_id or uuid.uuid4(), run, (batch,), lease_seconds, validate_only)
        return self.registry.puts.begin(request)

    def receipts(self, intents: Sequence[PutIntent], **changes: Any) -> list[bytes]:
        """Return receipts for all artifacts of some intents, as the datastore would give them."""
        receipts = []
        for intent in intents:
            for grant in intent.grants:
                fields = {
                    "repository": self.repository,
                    "store": grant.store,
                    "key": grant.key,
                    "dataset_id": intent.dataset_id,
                    "component": grant.component,
                    "size": 10,
                    "checksum": CHECKSUM,
                }
                receipts.append(self.signer.sign_receipt(Receipt(**{**fields, **changes})))
        return receipts

    def commit(self, intents: Sequence[PutIntent], receipts: Sequence[bytes] | None = None) -> None:
        """Commit what was begun, with receipts for everything if none are given."""
        self.registry.puts.commit(
            [intent.dataset_id for intent in intents],
            self.receipts(intents) if receipts is None else receipts,
            request_id=uuid.uuid4(),
        )

    def put(self, dataset_type: str, run: str, *data_ids: Mapping[str, Any]) -> list[UUID]:
        """Put datasets; return their ids."""
        intents = self.begin(dataset_type, run, data_ids)
        self.commit(intents)
        return [intent.dataset_id for intent in intents]

    def find(
        self, dataset_type: str, data_id: Mapping[str, Any], *collections: str, want_artifacts: bool = False
    ) -> FoundDataset | None:
        """Find one dataset."""
        lookup = DatasetLookup(dataset_type, [data_id], collections, want_artifacts=want_artifacts)
        return self.registry.datasets.find(lookup)[0]

    def rows(self, spec: QuerySpec, size: int = 0) -> list[tuple[Any, ...]]:
        """Return all rows of a query, read in pages of ``size``."""
        rows: list[tuple[Any, ...]] = []
        token = b""
        while True:
            page = self.registry.queries.page(spec, PageRequest(size, token))
            columns = [column.values for column in page.columns]
            rows += zip(*columns, strict=True) if columns else [()] * page.rows
            token = page.next_token
            if not token:
                return rows


@dataclass(slots=True)
class RegistryHome:
    """A deployment in which fresh repositories are made.

    Attributes
    ----------
    ledgers
        What datastores are told.
    database
        What a `RegistryApplication` is given.
    """

    repositories: Repositories
    ledgers: Ledgers
    database: str
    signer: TokenSigner
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def fresh(self) -> RegistrySetup:
        """Return a new repository with the camera of `insert_camera`."""
        name = f"r{next(self.numbers)}"
        self.repositories.create(name, DimensionUniverse(), request_id=uuid.uuid4())
        setup = RegistrySetup(self.repositories.open(name), name, self.signer)
        insert_camera(setup)
        return setup


def new_database(request: pytest.FixtureRequest, stack: ExitStack) -> Callable[[], str]:
    """Return what makes an empty PostgreSQL database, which goes with the stack, and gives its URL."""

    def postgresql() -> str:
        server = request.getfixturevalue("postgres_server")
        url: str = server.create_database()
        stack.callback(server.drop_database, url)
        return url

    return postgresql


@contextmanager
def registry_home(
    kind: str, folder: Path, postgresql: Callable[[], str], limits: Limits = LIMITS
) -> Iterator[RegistryHome]:
    """Give a deployment of one of `REGISTRIES`.

    Parameters
    ----------
    folder
        Where the files of SQLite go.
    postgresql
        Gives the URL of an empty PostgreSQL database.
    """
    signer = TokenSigner([b"a key for the tests of registries"])
    database = postgresql() if kind.endswith("postgresql") else f"sqlite:///{folder}"
    with ExitStack() as stack:
        application = RegistryApplication(database, signer, limits=limits)
        stack.callback(application.close)
        if not kind.startswith("grpc-"):
            yield RegistryHome(application, application, database, signer)
            return
        server = build_server(registry_services(application, limits), "127.0.0.1:0")
        stack.callback(server.stop, 0)
        server.start()
        remote = RemoteRepositories(server.address)
        stack.callback(remote.close)
        ledgers = RemoteLedgers(server.address, signer)
        stack.callback(ledgers.close)
        yield RegistryHome(remote, ledgers, database, signer)


@contextmanager
def second_client(home: RegistryHome, setup: RegistrySetup) -> Iterator[Registry]:
    """Give the registry of a repository as another process with caches of its own sees it, embedded."""
    application = RegistryApplication(home.database, home.signer, limits=LIMITS)
    try:
        yield application.open(setup.repository)
    finally:
        application.close()


@pytest.fixture(scope="module", params=REGISTRIES, name="home")
def registry_home_of_module(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RegistryHome]:
    """Give a deployment that the tests of a module share."""
    with ExitStack() as stack:
        postgresql = new_database(request, stack)
        yield stack.enter_context(
            registry_home(request.param, tmp_path_factory.mktemp("registries"), postgresql)
        )


@pytest.fixture(name="setup")
def registry_of_test(home: RegistryHome) -> RegistrySetup:
    """Give a repository of a test's own, with a camera."""
    return home.fresh()


@pytest.fixture(scope="module", name="shared")
def registry_of_module(home: RegistryHome) -> RegistrySetup:
    """Give a repository with a camera and dataset types that tests of a module share; each uses a run of its own."""
    setup = home.fresh()
    register_types(setup)
    return setup


def register_types(setup: RegistrySetup) -> None:
    """Register the dataset types of `TYPES`."""
    for name, dimensions in TYPES.items():
        setup.register_type(name, dimensions)


def night(number: int, begin: float = 0.0, end: float = 1.0) -> Timespan:
    """Return a part of a night, in days after its beginning; night 1 begins on 2020-01-01."""
    start = FIRST_NIGHT + (number - 1) * NIGHT
    return Timespan.from_nsec(start + int(begin * NIGHT), start + int(end * NIGHT))


def square(ra: float, dec: float) -> lsst.sphgeom.ConvexPolygon:
    """Return a square of one degree, given its lower left corner in degrees."""
    corners = [(ra, dec), (ra + 1, dec), (ra + 1, dec + 1), (ra, dec + 1)]
    return lsst.sphgeom.ConvexPolygon(
        [lsst.sphgeom.UnitVector3d(lsst.sphgeom.LonLat.fromDegrees(*corner)) for corner in corners]
    )


def insert_camera(setup: RegistrySetup) -> None:
    """Insert a camera with four detectors and three filters of two bands, two nights, and a sky map.

    Visits 1 to 3 are exposures 11 to 13. Visit 1 is in the first night, the others are in the second. Visit 4 is
    all that visit 2 is, without being defined by its exposure.
    """
    cam = {"instrument": "Cam1"}
    setup.insert("instrument", {"name": "Cam1", "detector_max": 4, "visit_max": 100, "exposure_max": 100})
    filters = {"Cam1-G": "g", "Cam1-R1": "r", "Cam1-R2": "r"}
    setup.insert("physical_filter", *({**cam, "name": f, "band": b} for f, b in filters.items()))
    setup.insert(
        "detector",
        *(
            {
                **cam,
                "id": i,
                "full_name": name,
                "raft": name[0],
                "name_in_raft": name[1],
                "purpose": "SCIENCE",
            }
            for i, name in enumerate(("Aa", "Ab", "Ba", "Bb"), start=1)
        ),
    )
    setup.insert("day_obs", *({**cam, "id": 20200100 + n, "timespan": night(n)} for n in (1, 2)))
    setup.insert("group", *({**cam, "name": f"g{n}"} for n in (1, 2, 3)))
    shots = [(1, 1, 1, "Cam1-G"), (2, 2, 1, "Cam1-R1"), (3, 2, 2, "Cam1-R2")]
    visits: list[dict[str, Any]] = []
    exposures: list[dict[str, Any]] = []
    for number, day, sequence, filter_ in shots:
        common = {
            **cam,
            "day_obs": 20200100 + day,
            "seq_num": sequence,
            "physical_filter": filter_,
            "exposure_time": 30.0 * number,
            "timespan": night(day, 0.1 * sequence, 0.1 * sequence + 0.05),
        }
        visits.append({**common, "id": number, "name": f"v{number}", "region": square(10.0 * number, 0.0)})
        exposures.append({**common, "id": 10 + number, "obs_id": f"e{number}", "group": f"g{number}"})
    setup.insert("visit", *visits, {**visits[1], "id": 4, "name": "v4", "seq_num": 7})
    setup.insert("exposure", *exposures)
    setup.insert("visit_definition", *({**cam, "visit": n, "exposure": 10 + n} for n in (1, 2, 3)))
    setup.insert("skymap", {"name": "SM1", "hash": b"\1" * 20, "tract_max": 2})
    setup.insert("tract", *({"skymap": "SM1", "id": t, "region": square(10.0 * t, 0.0)} for t in (1, 2)))
    setup.insert(
        "patch",
        *(
            {"skymap": "SM1", "tract": t, "id": p, "cell_x": p, "cell_y": 0, "region": square(10.0 * t, 0.0)}
            for t in (1, 2)
            for p in (0, 1)
        ),
    )


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Run calls in threads that start together; return their results, or the exceptions that they raised."""
    results: list[Any] = [None] * len(calls)
    barrier = threading.Barrier(len(calls))

    def run(i: int) -> None:
        barrier.wait()
        try:
            results[i] = calls[i]()
        except Exception as error:  # noqa: BLE001 - the test judges it
            results[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
