# SPDX-License-Identifier: BSD-3-Clause
"""The migrations lead to the tables that the code declares, and back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alembic import command
from sqlalchemy import Connection, create_engine, inspect, text

from butler_registry.migrations import alembic_config, upgrade
from butler_registry.migrations.check import differences, newest_revision
from butler_registry.storage.schema import SCHEMA_REVISION, StaticTables

SCHEMAS = [("sqlite", None), ("postgresql", None), ("postgresql", "butler_main")]


@pytest.fixture(params=SCHEMAS, ids=lambda param: f"{param[0]}-{param[1]}")
def place(request: pytest.FixtureRequest) -> Iterator[tuple[Connection, str | None]]:
    """Give a connection to an empty database, in a transaction, and the schema to use."""
    kind, schema = request.param
    engine = create_engine("sqlite://" if kind == "sqlite" else request.getfixturevalue("postgres_database"))
    with engine.begin() as connection:
        if schema:
            connection.execute(text(f"CREATE SCHEMA {schema}"))
        yield connection, schema
    engine.dispose()


def tables(connection: Connection, schema: str | None) -> set[str]:
    return set(inspect(connection).get_table_names(schema=schema))


def declared(schema: str | None) -> set[str]:
    return {table.name for table in StaticTables.declare(schema).metadata.tables.values()}


def test_the_migrations_lead_to_the_declared_tables(place: tuple[Connection, str | None]) -> None:
    assert differences(*place) == []
    assert tables(*place) == declared(place[1]) | {"schema_version"}


def test_the_software_works_with_the_newest_revision(place: tuple[Connection, str | None]) -> None:
    connection, schema = place
    assert newest_revision(connection) == SCHEMA_REVISION
    upgrade(connection, schema)
    prefix = f"{schema}." if schema else ""
    assert connection.execute(text(f"SELECT version_num FROM {prefix}schema_version")).scalars().all() == [
        SCHEMA_REVISION
    ]


def test_what_was_migrated_can_be_undone_and_done_again(place: tuple[Connection, str | None]) -> None:
    connection, schema = place
    for _ in range(2):
        upgrade(connection, schema)
        assert declared(schema) <= tables(connection, schema)
        command.downgrade(alembic_config(connection, schema), "base")
        assert tables(connection, schema) == {"schema_version"}
    assert differences(connection, schema) == []


def test_migrating_again_changes_nothing(place: tuple[Connection, str | None]) -> None:
    for _ in range(2):
        upgrade(*place)
    assert differences(*place) == []


def test_a_migration_stays_in_its_schema(postgres_database: str) -> None:
    engine = create_engine(postgres_database)
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA butler_a"))
        upgrade(connection, "butler_a")
        assert tables(connection, None) == set()
        connection.execute(text("CREATE SCHEMA butler_b"))
        assert differences(connection, "butler_b") == []
    engine.dispose()


def test_a_table_that_nobody_declared_is_noticed(place: tuple[Connection, str | None]) -> None:
    connection, schema = place
    upgrade(connection, schema)
    prefix = f"{schema}." if schema else ""
    connection.execute(text(f"ALTER TABLE {prefix}collection ADD COLUMN extra integer"))
    connection.execute(text(f"DROP TABLE {prefix}put_intent"))
    found = str(differences(connection, schema))
    assert "extra" in found
    assert "put_intent" in found
