# SPDX-License-Identifier: BSD-3-Clause
"""The registry through PgBouncer in transaction mode, and how many database connections it takes, whoever calls."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import grpc
import psycopg
import pytest

from butler import Butler, DatasetType
from butler.remote import RemoteRepositories
from butler_api.v1.collection_service_pb2 import ListCollectionsRequest
from butler_api.v1.collection_service_pb2_grpc import CollectionServiceStub
from butler_model.collection import CollectionType
from butler_model.universe import DimensionUniverse
from tests.support.pgbouncer import PgBouncer, pgbouncer_in_front_of
from tools.servers.postgres import PostgresServer
from tools.servers.services import own_services

CLIENTS = 500
WORKERS = 16
POOL = WORKERS + WORKERS // 4
"""A registry service has a connection for each worker, and one for each transaction."""
POOLER = 8


@pytest.fixture(scope="module")
def pgbouncer(postgres_server: PostgresServer) -> Iterator[PgBouncer]:
    with pgbouncer_in_front_of(postgres_server.url, pool_size=POOLER) as pooler:
        yield pooler


@pytest.fixture
def pooled(
    pgbouncer: PgBouncer, postgres_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Give the address of a registry service behind the pooler, with an empty repository ``r``."""
    monkeypatch.setenv("BUTLER_REGISTRY_DATABASE_POOLER", "true")
    with own_services(pgbouncer.url(postgres_database), tmp_path) as address:
        make_repository(address)
        yield address


def make_repository(address: str) -> None:
    repositories = RemoteRepositories(address)
    repositories.create("r", DimensionUniverse(), request_id=uuid4())
    repositories.close()


@contextmanager
def most_connections(database: str, condition: str) -> Iterator[Callable[[], int]]:
    """Count clients' connections to a database all the time; give what tells the most that there were at once.

    The database's own workers, such as those of autovacuum, are in the same table.
    """
    seen = [0]
    stopping = threading.Event()
    url = database.replace("postgresql+psycopg", "postgresql")
    query = f"""SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND backend_type = 'client backend' AND {condition}"""

    def count() -> None:
        with psycopg.connect(url, autocommit=True, application_name="counter") as connection:
            while not stopping.wait(0.02):
                ((now,),) = connection.execute(query).fetchall()
                seen[0] = max(seen[0], now)

    thread = threading.Thread(target=count)
    thread.start()
    try:
        yield lambda: seen[0]
    finally:
        stopping.set()
        thread.join()


def test_everything_that_a_client_does_works_through_a_pooler(pooled: str) -> None:
    address = f"grpc://{pooled}/r"
    with Butler(address, run="run") as butler:
        butler.registry.insertDimensionData("instrument", {"name": "Cam", "detector_max": 200})
        names = ("instrument", "id", "full_name", "raft", "name_in_raft")
        rows = [dict(zip(names, ("Cam", i, f"D{i}", "R", str(i)), strict=True)) for i in range(120)]
        butler.registry.insertDimensionData("detector", *rows)
        butler.registry.registerDatasetType(
            DatasetType("flat", ("instrument", "detector"), "StructuredDataDict", universe=butler.dimensions)
        )
        data_ids = [{"instrument": "Cam", "detector": i} for i in range(100)]
        # Often enough that the driver would prepare each statement, and on sessions that change all the time.
        refs = [butler.put({"n": i}, "flat", data_id) for i, data_id in enumerate(data_ids[:30])]
        refs += butler.put_many(({"n": i}, "flat", data_ids[i]) for i in range(30, 100))
        assert [butler.get(ref) for ref in refs] == [{"n": i} for i in range(100)]
        assert len(list(butler.registry.queryDatasets("flat", where="detector.full_name = 'D7'"))) == 1
        assert len(list(butler.registry.queryDatasets("flat", collections="run"))) == 100
        butler.registry.registerCollection("tag", CollectionType.TAGGED)
        with butler.transaction():
            butler.registry.associate("tag", refs[:10])
            butler.put({"n": 100}, "flat", instrument="Cam", detector=100)
        with suppress(RuntimeError), butler.transaction():
            butler.put({"n": 101}, "flat", instrument="Cam", detector=101)
            raise RuntimeError
        assert len(list(butler.registry.queryDatasets("flat", collections="tag"))) == 10
        butler.pruneDatasets(refs[:50], unstore=True, purge=True, disassociate=True)
        butler.removeRuns(["run"])
        assert list(butler.registry.queryDatasets("flat", collections="*")) == []


def test_many_threads_put_and_get_through_a_pooler_that_has_fewer_connections(
    pooled: str, postgres_database: str
) -> None:
    address = f"grpc://{pooled}/r"
    with Butler(address, run="run") as butler:
        butler.registry.registerDatasetType(DatasetType("blob", (), "Bytes", universe=butler.dimensions))
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            with Butler(address, run=f"run/{number}") as own:
                ref = own.put(b"%d" % number, "blob")
                assert own.get(ref) == b"%d" % number
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    with most_connections(postgres_database, "application_name <> 'counter'") as most:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(60)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []
    assert 0 < most() <= POOLER


def call_from_many_clients(address: str, rounds: int) -> int:
    """Have 500 clients, each with a connection of its own, call at the same time; return how many calls succeeded."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    request = ListCollectionsRequest(repository="r", patterns=["*"])
    succeeded = 0
    with ExitStack() as stack:
        channels = [
            stack.enter_context(grpc.insecure_channel(address, options=options)) for _ in range(CLIENTS)
        ]
        stubs = [CollectionServiceStub(channel) for channel in channels]
        for _ in range(rounds):
            futures = [
                stub.ListCollections.future(request, timeout=60, wait_for_ready=True) for stub in stubs
            ]
            for future in futures:
                future.result(60)
                succeeded += 1
    return succeeded


def test_five_hundred_clients_take_no_more_database_connections_than_the_pool_has(
    postgres_database: str, tmp_path: Path
) -> None:
    with own_services(postgres_database, tmp_path) as address:
        make_repository(address)
        with most_connections(postgres_database, "application_name = 'butler-registry'") as most:
            begun = time.monotonic()
            assert call_from_many_clients(address, rounds=4) == 4 * CLIENTS
            assert time.monotonic() - begun < 120
        assert 0 < most() <= POOL


def test_five_hundred_clients_behind_a_pooler_take_no_more_than_the_pooler_has(
    pooled: str, postgres_database: str
) -> None:
    with most_connections(postgres_database, "application_name <> 'counter'") as most:
        assert call_from_many_clients(pooled, rounds=2) == 2 * CLIENTS
    assert 0 < most() <= POOLER
