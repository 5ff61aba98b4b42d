# SPDX-License-Identifier: BSD-3-Clause
"""Connections that stay open between reads are in nobody's way, and one that broke costs one read."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from sqlalchemy import text

from butler_model.errors import ServiceUnavailableError
from butler_registry.storage.database import Database, connect_postgresql

_POOL = 2
_ME = text("SELECT pg_backend_pid()")


@pytest.fixture
def database(postgres_database: str) -> Iterator[Database]:
    opened = Database(connect_postgresql(postgres_database, _POOL))
    yield opened
    opened.close()


def read(database: Database) -> int:
    with database.reading() as connection:
        return int(connection.execute(_ME).scalar_one())


def test_reads_that_follow_one_another_use_one_connection(database: Database) -> None:
    assert len({read(database) for _ in range(10)}) == 1


def test_a_writer_gets_a_connection_however_many_are_kept(database: Database) -> None:
    with ExitStack() as stack:
        for _ in range(_POOL):
            stack.enter_context(database.reading()).execute(_ME)
    with ExitStack() as stack:
        writers = [stack.enter_context(database.writing()) for _ in range(_POOL)]
        assert len({writer.execute(_ME).scalar_one() for writer in writers}) == _POOL


def test_many_readers_and_writers_share_a_small_pool(database: Database) -> None:
    def use(number: int) -> int:
        if number % 2:
            return read(database)
        with database.writing() as connection:
            return int(connection.execute(_ME).scalar_one())

    with ThreadPoolExecutor(8) as threads:
        backends = set(threads.map(use, range(400)))
    assert len(backends) <= _POOL


def test_a_read_leaves_no_transaction_behind(database: Database) -> None:
    me = read(database)
    with database.writing() as connection:
        query = text("SELECT state FROM pg_stat_activity WHERE pid = :pid AND pid <> pg_backend_pid()")
        assert connection.execute(query, {"pid": me}).scalars().all() in ([], ["idle"])


def test_connections_that_the_server_ended_fail_one_read(database: Database) -> None:
    with ExitStack() as stack:
        readers = [stack.enter_context(database.reading()) for _ in range(_POOL)]
        first, second = (int(reader.execute(_ME).scalar_one()) for reader in readers)
    ending = text("SELECT pg_terminate_backend(:pid)")
    with database.reading() as connection:
        mine = int(connection.execute(_ME).scalar_one())
        connection.execute(ending, {"pid": first if mine == second else second})
        with pytest.raises(ServiceUnavailableError), database.reading() as other:
            other.execute(_ME)
    assert read(database)
