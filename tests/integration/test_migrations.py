# SPDX-License-Identifier: BSD-3-Clause
"""The migrations lead to the tables that the code declares, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, MetaData, create_engine, inspect, text

from butler_model.universe import DimensionUniverse
from butler_registry.migrations import alembic_config, upgrade
from butler_registry.migrations.check import differences, newest_revision
from butler_registry.storage.repository_tables import create_tables
from butler_registry.storage.schema import SCHEMA_REVISION, StaticTables

UNIVERSE = DimensionUniverse()
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


def described(connection: Connection, schema: str | None) -> dict[str, Any]:
    """Return all that the database says of the tables that migrations make, but the order of their columns."""
    inspector = inspect(connection)
    described = {}
    for table in declared(schema) | {"schema_version"}:
        described[table] = {
            "columns": {
                column["name"]: {
                    **column,
                    "type": column["type"].compile(dialect=connection.dialect),
                    "default": str(column["default"]).replace(f"{schema}.", ""),
                }
                for column in inspector.get_columns(table, schema)
            },
            "primary key": inspector.get_pk_constraint(table, schema),
            "foreign keys": {
                key["name"]: {**key, "referred_schema": key["referred_schema"] == schema}
                for key in inspector.get_foreign_keys(table, schema)
            },
            "unique": {each["name"]: each for each in inspector.get_unique_constraints(table, schema)},
            "checks": inspector.get_check_constraints(table, schema),
            "indexes": {
                each["name"]: {**each, "dialect_options": options_of(each)}
                for each in inspector.get_indexes(table, schema)
            },
            "options": inspector.get_table_options(table, schema),
        }
    return described


def options_of(index: Mapping[str, Any]) -> dict[str, str]:
    # On SQLite the condition of an index is no text.
    return {name: str(value) for name, value in index.get("dialect_options", {}).items()}


def test_a_new_repository_has_the_tables_that_the_migrations_lead_to(
    place: tuple[Connection, str | None],
) -> None:
    connection, schema = place
    create_tables(connection, schema, UNIVERSE)
    made = described(connection, schema)
    everything = MetaData(schema=schema)
    everything.reflect(connection)
    assert "dimension_visit" in {table.name for table in everything.sorted_tables}
    everything.drop_all(connection)
    upgrade(connection, schema)
    assert made == described(connection, schema)


def test_the_next_migration_goes_on_from_a_new_repository(place: tuple[Connection, str | None]) -> None:
    create_tables(*place, UNIVERSE)
    upgrade(*place)
    prefix = f"{place[1]}." if place[1] else ""
    versions = place[0].execute(text(f"SELECT version_num FROM {prefix}schema_version")).scalars().all()
    assert versions == [SCHEMA_REVISION]


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
