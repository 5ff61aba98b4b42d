# SPDX-License-Identifier: BSD-3-Clause
"""What calls cost over gRPC on PostgreSQL, in counts, which are the same on every machine.

A number that rises fails, and is changed here only together with what explains it. One that falls fails too, so that
it is lowered here and stays low.
"""

from __future__ import annotations

import gc
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from butler import Butler, DatasetRef, DatasetType, FileDataset, Timespan
from butler_api.server import build_server
from butler_datastore.application import DatastoreApplication
from butler_datastore.servicers import datastore_services
from butler_datastore.store_tables import store_configs
from butler_model.grants import TokenSigner
from butler_model.repository import Limits, Store
from butler_registry.application import RegistryApplication
from butler_registry.servicers import registry_services
from tests.support.taps import Counts, grpc_tap, postgresql_tap

RUN = "run"
MANY = 200
"""Datasets of a call for many."""
TURNS, WARM_UP = 6, 3
PUTS = ("put", "put_many", "ingest_direct", "ingest_copy")
"""Each has a run of its own."""


@dataclass(frozen=True, slots=True)
class Cost:
    """RPCs, statements, rows and payload in bytes of one call.

    Bytes may be a twentieth more or less, since identifiers and times are not equally long each time, and are 0 where
    paths of files travel.
    """

    calls: int
    statements: int
    rows: int
    bytes: int


COSTS = {
    "find": Cost(1, 1, 1, 231),
    "exists": Cost(2, 1, 1, 976),
    "expand": Cost(1, 1, 1, 1_165),
    "get": Cost(2, 1, 1, 1_909),
    "get by ref": Cost(2, 1, 1, 1_870),
    "get_many": Cost(2, 1, 200, 347_811),
    "stored_many": Cost(2, 1, 200, 160_524),
    "list": Cost(1, 2, 201, 5_407),
    "select": Cost(1, 2, 11, 500),
    "put": Cost(3, 2, 0, 3_375),
    "put_many": Cost(3, 13, 201, 439_771),
    "ingest_direct": Cost(3, 13, 201, 0),
    "ingest_copy": Cost(4, 13, 201, 0),
}
SHARED = {
    "exists": Cost(1, 1, 1, 692),
    "get": Cost(1, 1, 1, 692),
    "get by ref": Cost(1, 1, 1, 646),
    "get_many": Cost(1, 1, 200, 105_919),
    "stored_many": Cost(1, 1, 200, 105_919),
}
"""The same where clients see the files of the store."""
OBJECTS_PER_LISTED_REF = 6
"""The ref, its UUID with a number, its data ID with a tuple of values, of which one is a large number, the day."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A repository, all of whose traffic is counted."""

    butler: Butler
    counts: Counts
    folder: Path


@pytest.fixture(scope="module")
def counted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counted]:
    with _counted(request, tmp_path_factory.mktemp("counted"), shared=False) as made:
        yield made


@pytest.fixture(scope="module")
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counted]:
    with _counted(request, tmp_path_factory.mktemp("shared"), shared=True) as made:
        yield made


@contextmanager
def _counted(request: pytest.FixtureRequest, folder: Path, *, shared: bool) -> Iterator[Counted]:
    server, counts = request.getfixturevalue("postgres_server"), Counts()
    (folder / "drop").mkdir()
    store = {"root": f"{folder}/artifacts/{{repository}}", "shared_path": shared}
    with ExitStack() as stack:
        database = server.create_database()
        stack.callback(server.drop_database, database)
        address = _served(stack, _tapped(stack, database, counts), store, folder, counts)
        Butler.makeRepo(f"grpc://{address}/main")
        butler = stack.enter_context(Butler(f"grpc://{address}/main", run=RUN))
        _fill(butler, folder / "drop")
        yield Counted(butler, counts, folder / "drop")


def _tapped(stack: ExitStack, database: str, counts: Counts) -> str:
    parts = urlsplit(database)
    user, _, _ = parts.netloc.rpartition("@")
    tap = stack.enter_context(postgresql_tap(f"{parts.hostname}:{parts.port}", counts))
    query = "sslmode=disable&gssencmode=disable"
    return urlunsplit(parts._replace(netloc=f"{user}@{tap}", query=query))


def _served(
    stack: ExitStack, database: str, store: Mapping[str, object], folder: Path, counts: Counts
) -> str:
    """Run both services in this process, with no worker, and give the address of a tap on the registry."""
    signer = TokenSigner([secrets.token_bytes(32)])
    places = store_configs({"main": store})
    datastore = DatastoreApplication(places, signer, ingest_roots=[str(folder / "drop")])
    stack.callback(datastore.close)
    datastore_server = build_server(datastore_services(datastore, Limits()), "127.0.0.1:0")
    stack.callback(datastore_server.stop, 0)
    datastore_server.start()
    endpoint = stack.enter_context(grpc_tap(datastore_server.address, counts))
    registry = RegistryApplication(database, signer, stores=(Store("main"),), datastore_endpoint=endpoint)
    stack.callback(registry.close)
    registry_server = build_server(registry_services(registry, Limits()), "127.0.0.1:0")
    stack.callback(registry_server.stop, 0)
    registry_server.start()
    return stack.enter_context(grpc_tap(registry_server.address, counts))


def _fill(butler: Butler, folder: Path) -> None:
    insert = butler.registry.insertDimensionData
    camera = {"instrument": "Cam"}
    insert("instrument", {"name": "Cam", "detector_max": 100, "visit_max": 1000, "exposure_max": 1000})
    insert("physical_filter", {**camera, "name": "R", "band": "r"})
    insert("day_obs", {**camera, "id": 20250101})
    insert("detector", *({**camera, "id": i, "full_name": f"D{i:02d}"} for i in range(10)))
    visit = {**camera, "physical_filter": "R", "day_obs": 20250101, "timespan": Timespan.from_nsec(10, 20)}
    insert("visit", *({**visit, "id": i, "name": f"v{i:03d}"} for i in range(TURNS * MANY // 10)))
    for name in ("metric", "other"):
        butler.registry.registerDatasetType(
            DatasetType(name, ("visit", "detector"), "StructuredDataDict", universe=butler.dimensions)
        )
    butler.put_many(_items("metric", range(MANY)))
    for number in range(TURNS * MANY):
        (folder / f"{number:03d}.json").write_text(json.dumps(_content(number)))
    for run in ("warm-up", *PUTS):
        butler.collections.register(run)
    # The service keeps the dimension records of data IDs that were put, so the order of tests would matter otherwise.
    butler.ingest(*_files(butler, folder, range(TURNS * MANY)), transfer="direct", run="warm-up")


def _data_id(number: int) -> dict[str, Any]:
    return {"instrument": "Cam", "visit": number // 10, "detector": number % 10}


def _content(number: int) -> dict[str, Any]:
    return {"number": number, "values": [1000 + i for i in range(150)]}


def _items(dataset_type: str, numbers: range) -> list[tuple[object, str, dict[str, Any]]]:
    return [(_content(i), dataset_type, _data_id(i)) for i in numbers]


def _files(butler: Butler, folder: Path, numbers: range) -> list[FileDataset]:
    of_type = butler.get_dataset_type("other")
    return [FileDataset(folder / f"{i:03d}.json", DatasetRef(of_type, _data_id(i))) for i in numbers]


def _ingest(counted: Counted, transfer: str, numbers: range) -> Callable[[], object]:
    files = _files(counted.butler, counted.folder, numbers)
    return lambda: counted.butler.ingest(*files, transfer=transfer, run=f"ingest_{transfer}")


def _call(counted: Counted, operation: str, turn: int) -> Callable[[], object]:
    """Return the call; in the turns before the one that counts, everything that can be kept is."""
    butler, numbers = counted.butler, range(turn * MANY, (turn + 1) * MANY)
    refs = butler.query_datasets("metric", RUN)
    calls: dict[str, Callable[[], Callable[[], object]]] = {
        "find": lambda: lambda: butler.find_dataset("metric", _data_id(turn)),
        "exists": lambda: lambda: butler.exists("metric", _data_id(turn)),
        "get": lambda: lambda: butler.get("metric", _data_id(turn)),
        "get by ref": lambda: lambda: butler.getDirect(refs[turn]),
        "get_many": lambda: lambda: butler.get_many(refs),
        "put": lambda: lambda: butler.put(_content(turn), "other", _data_id(turn), run="put"),
        "put_many": lambda: lambda: butler.put_many(_items("other", numbers), run="put_many"),
        "ingest_direct": lambda: _ingest(counted, "direct", numbers),
        "ingest_copy": lambda: _ingest(counted, "copy", numbers),
        "list": lambda: lambda: butler.query_datasets("metric", RUN),
        "select": lambda: (
            lambda: butler.query_datasets("metric", RUN, where="instrument = 'Cam' AND visit = 3")
        ),
        "expand": lambda: lambda: butler.registry.expandDataId(_data_id(0)),
        "stored_many": lambda: lambda: butler.stored_many(refs),
    }
    return calls[operation]()


@pytest.mark.parametrize("operation", COSTS)
def test_a_call_costs_what_it_did(counted: Counted, operation: str) -> None:
    _check(counted, operation, COSTS[operation])


@pytest.mark.parametrize("operation", SHARED)
def test_a_call_costs_less_where_files_are_shared(shared: Counted, operation: str) -> None:
    _check(shared, operation, SHARED[operation])


def _check(counted: Counted, operation: str, bound: Cost) -> None:
    found = []
    for call in [_call(counted, operation, turn) for turn in range(TURNS)]:
        counted.counts.reset()
        call()
        found.append(counted.counts.numbers())
    # Not of the first turns, which fill caches; and the least, since what else goes on may empty one.
    cost = Cost(*map(min, zip(*found[WARM_UP:], strict=True)))
    for name in ("calls", "statements", "rows"):
        number, wanted = getattr(cost, name), getattr(bound, name)
        assert number <= wanted, f"{operation} has become dearer: {cost}, {name} was {wanted}"
        assert number >= wanted, f"{operation} has become cheaper, lower its numbers in COSTS: {cost}"
    if not bound.bytes:
        return
    assert cost.bytes <= 1.05 * bound.bytes, f"{operation} moves more than it did: {cost}"
    assert cost.bytes >= 0.95 * bound.bytes, f"{operation} moves less, lower its bytes in COSTS: {cost}"


def _reached(start: object) -> dict[int, object]:
    """Return what an object holds, and what that holds, by identity; without what programs are made of."""
    reached: dict[int, object] = {}
    ahead = [start]
    while ahead:
        each = ahead.pop()
        if id(each) not in reached and not isinstance(each, type | ModuleType | FunctionType):
            reached[id(each)] = each
            ahead += gc.get_referents(each)
    return reached


def test_a_listed_ref_is_made_of_as_few_objects_as_before(counted: Counted) -> None:
    one, other, *_ = counted.butler.query_datasets("metric", RUN)
    # What another ref of the list leads to as well was not made for this one.
    made = len(_reached(one).keys() - _reached(other).keys())
    assert made <= OBJECTS_PER_LISTED_REF, f"{made} objects for each ref"
    assert made >= OBJECTS_PER_LISTED_REF, f"{made} objects for each ref: lower the number"
