# SPDX-License-Identifier: BSD-3-Clause
"""A stream that its client gives up is stopped in the database, also before its first row."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from butler import Butler
from butler_model.cancellation import Cancellation
from butler_model.errors import ButlerError
from butler_model.query.spec import QuerySpec, ResultKind
from tests.support.butlers import deployment
from tools.servers.postgres import PostgresServer

VISITS = 400
RUNNING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'butler-registry' AND state <> 'idle'
"""


@pytest.fixture(params=["embedded-postgresql", "grpc-postgresql"])
def served(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_server: PostgresServer
) -> Iterator[tuple[Butler, str]]:
    """Give a butler with many visits and exposures, of which there is an immense product, and its database."""
    with ExitStack() as stack:
        database = postgres_server.create_database()
        stack.callback(postgres_server.drop_database, database)
        place = stack.enter_context(deployment(request.param, tmp_path, database))
        Butler.makeRepo(place.root, **place.options)
        butler = stack.enter_context(Butler(place.root, writeable=True))
        cam = {"instrument": "Cam1"}
        insert = butler.registry.insertDimensionData
        insert("instrument", {"name": "Cam1"})
        insert("physical_filter", {**cam, "name": "G", "band": "g"})
        insert("day_obs", {**cam, "id": 20200101})
        insert("detector", *({**cam, "id": i, "full_name": f"d{i}"} for i in range(VISITS)))
        shared = {**cam, "physical_filter": "G", "day_obs": 20200101}
        insert("visit", *({**shared, "id": i, "name": f"v{i}"} for i in range(VISITS)))
        insert("group", *({**cam, "name": f"g{i}"} for i in range(VISITS)))
        url = database.replace("postgresql+psycopg://", "postgresql://")
        with psycopg.connect(url, autocommit=True) as connection:
            # The server does so itself, within a minute.
            connection.execute("ANALYZE")
        yield butler, url


def statements(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(RUNNING).fetchone()
        return int(row[0]) if row else 0


def soon(condition: Any, seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def immense(butler: Butler) -> QuerySpec:
    # 64,000,000 rows, in an order that no index gives: nothing comes before all were sorted.
    dimensions = tuple(butler.dimensions.conform(["visit", "detector", "group"]).required)
    return QuerySpec(
        ResultKind.DATA_IDS, dimensions=dimensions, order_by=("-visit.name", "detector.full_name")
    )


def test_a_stream_that_was_cancelled_before_its_first_row_leaves_nothing_running(
    served: tuple[Butler, str],
) -> None:
    # D80
    butler, url = served
    cancellation, ended = Cancellation(), threading.Event()

    def listen() -> None:
        try:
            next(butler._connection.registry.queries.stream(immense(butler), cancellation=cancellation))
        except ButlerError:
            ended.set()

    listener = threading.Thread(target=listen)
    listener.start()
    assert soon(lambda: statements(url) == 1)
    cancellation.cancel()
    assert soon(lambda: statements(url) == 0)
    listener.join(20)
    assert ended.is_set()
    assert butler.registry.queryDataIds(["visit"]).count() == VISITS


def test_a_stream_that_is_left_in_the_middle_leaves_nothing_running(served: tuple[Butler, str]) -> None:
    # D80
    butler, url = served
    spec = QuerySpec(ResultKind.DATA_IDS, dimensions=immense(butler).dimensions)
    began = time.monotonic()
    pages = butler._connection.registry.queries.stream(spec, 100)
    assert next(pages).rows == 100
    # To sort all of them first would take a minute.
    assert time.monotonic() - began < 5
    assert soon(lambda: statements(url) == 1)
    pages.close()  # type: ignore[attr-defined] # a generator
    assert soon(lambda: statements(url) == 0)
