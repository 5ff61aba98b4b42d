# SPDX-License-Identifier: BSD-3-Clause
"""Results whose rows are read as they come, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Column, Integer, MetaData, Select, Table, func, insert, literal, select
from sqlalchemy.exc import DBAPIError

from butler_model.errors import InternalError
from butler_registry.storage.column_types import UuidBytes
from butler_registry.storage.database import Database, connect_postgresql, connect_sqlite
from butler_registry.storage.prepared import PreparedStatement
from butler_registry.storage.result_columns import ResultColumns

ROWS = 25
IDS = [UUID(int=number) for number in range(1, ROWS + 1)]
_TABLE = Table("flowing", MetaData(), Column("number", Integer), Column("id", UuidBytes))
_ALL = select(_TABLE.c.number, _TABLE.c.id).order_by(_TABLE.c.number)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Give a database with a table of some rows."""
    if request.param == "sqlite":
        opened = Database(connect_sqlite(tmp_path / "some.sqlite3", 2))
    else:
        opened = Database(connect_postgresql(request.getfixturevalue("postgres_database"), 2))
    with opened.writing() as connection:
        _TABLE.create(connection)
        connection.execute(insert(_TABLE), [{"number": n, "id": i} for n, i in enumerate(IDS)])
    yield opened
    opened.close()


def taken(database: Database, statement: Select[tuple[object, ...]], rows: int) -> list[list[list[object]]]:
    """Return the columns of each part of a result."""
    parts = []
    with database.reading() as connection, closing(ResultColumns(connection, statement, rows)) as result:
        number = rows
        while number == rows:
            number, columns = result.take()
            parts.append([list(column) for column in columns])
    return parts


@pytest.mark.parametrize("rows", [1, 10, ROWS, ROWS + 1])
def test_the_parts_of_a_result_have_all_its_rows_in_order(database: Database, rows: int) -> None:
    parts = taken(database, _ALL, rows)
    numbers = [number for part in parts if part for number in part[0]]
    ids = [each for part in parts if part for each in part[1]]
    assert (numbers, ids) == (list(range(ROWS)), IDS)
    assert len(parts) == ROWS // rows + 1


def test_a_result_without_rows_has_no_columns(database: Database) -> None:
    assert taken(database, _ALL.where(_TABLE.c.number < 0), 10) == [[]]


def test_what_is_none_stays_none_among_uuids(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(_TABLE.update().where(_TABLE.c.number == 1).values(id=None))
    ((_, ids),) = taken(database, _ALL.where(_TABLE.c.number < 3), 10)
    assert ids == [IDS[0], None, IDS[2]]


def test_rows_are_those_of_all_parts(database: Database) -> None:
    with database.reading() as connection, closing(ResultColumns(connection, _ALL, 10)) as result:
        assert list(result.rows()) == list(enumerate(IDS))


@pytest.mark.parametrize("rows", [10, ROWS])
def test_a_connection_goes_on_after_a_result_that_was_let_go_of(database: Database, rows: int) -> None:
    with database.reading() as connection:
        with closing(ResultColumns(connection, _ALL, rows)) as result:
            assert result.take()[0] == rows
        assert connection.execute(select(func.count()).select_from(_TABLE)).scalar_one() == ROWS


def test_another_statement_is_refused_while_rows_flow(postgres_database: str) -> None:
    database = Database(connect_postgresql(postgres_database, 2))
    statement = select(func.generate_series(1, 10_000).label("number"))
    with database.reading() as connection, closing(ResultColumns(connection, statement, 10)) as result:
        assert result.take()[0] == 10
        for ask in (
            connection.execute,
            lambda other: PreparedStatement(other).rows(connection, {}),
            lambda other: ResultColumns(connection, other, 1),
        ):
            with pytest.raises(InternalError):
                ask(select(literal(1)))
        assert result.take()[1] == [tuple(range(11, 21))]
    database.close()


def test_what_fails_in_the_middle_is_an_error_of_the_database(database: Database) -> None:
    # Of SQLite a division by zero is NULL, and a JSON text that is none an error.
    bad = literal("[").op("||")(_TABLE.c.number)
    failing = func.json(bad) if not database.is_postgresql else 1 / (_TABLE.c.number - 20)
    statement = select(_TABLE.c.number, failing).order_by(_TABLE.c.number)
    with (
        database.engine.connect() as connection,
        pytest.raises(DBAPIError),
        closing(ResultColumns(connection, statement, 5)) as result,
    ):
        list(result.rows())
