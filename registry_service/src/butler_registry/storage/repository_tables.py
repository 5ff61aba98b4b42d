# SPDX-License-Identifier: BSD-3-Clause
"""All tables of one repository: declared once per process, and made at once."""

from __future__ import annotations

__all__ = ["KEPT_TABLES", "RepositoryTables", "create_tables", "repository_tables", "static_tables"]

from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, create_mock_engine
from sqlalchemy.schema import ExecutableDDLElement

from butler_model.universe import DimensionUniverse

from .dimension_tables import DimensionTables
from .schema import NAMING, SCHEMA_REVISION, StaticTables
from .tag_tables import TagTables

KEPT_TABLES = 16
"""Of how many pairs of schema and universe a process keeps what it declared."""
# No repository has capitals in its name, so this is always quoted, as what takes its place then may be, too.
_ANY_SCHEMA = "butler_ANY"


@dataclass(frozen=True, slots=True, eq=False)
class RepositoryTables:
    """The tables of a repository; `tags` declares further ones as dataset types come."""

    static: StaticTables
    dimensions: DimensionTables
    tags: TagTables


def repository_tables(schema: str | None, universe: DimensionUniverse) -> RepositoryTables:
    """Declare the tables in a database schema (`None`: the default one)."""
    static = static_tables(schema)
    dimensions = DimensionTables(MetaData(schema=schema, naming_convention=NAMING), universe)
    return RepositoryTables(static, dimensions, TagTables(static))


@lru_cache(4 * KEPT_TABLES)
def static_tables(schema: str | None) -> StaticTables:
    """Return the tables in a database schema that all repositories have."""
    return StaticTables.declare(schema)


def create_tables(connection: Connection, schema: str | None, universe: DimensionUniverse) -> None:
    """Make the tables of a new repository, as the newest migration would leave them, and say so for the next one."""
    dialect = connection.dialect
    statements = _statements(f"{dialect.name}+{dialect.driver}", schema is not None, universe)
    if schema is not None:
        statements = tuple(statement.replace(_ANY_SCHEMA, schema) for statement in statements)
    if dialect.name == "postgresql":
        # It takes them at once, and so waits once.
        statements = (";\n".join(statements),)
    for statement in statements:
        connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
    version = _version_table(schema)
    connection.execute(version.insert(), {"version_num": SCHEMA_REVISION})


@lru_cache(KEPT_TABLES)
def _statements(dialect: str, has_schema: bool, universe: DimensionUniverse) -> tuple[str, ...]:
    """Return what makes the tables: to render it takes much longer than to execute it."""
    statements: list[str] = []

    def note(ddl: ExecutableDDLElement, *_: object, **__: object) -> None:
        statements.append(str(ddl.compile(dialect=engine.dialect)))

    engine = create_mock_engine(f"{dialect}://", note)
    schema = _ANY_SCHEMA if has_schema else None
    tables = repository_tables(schema, universe)
    every = (tables.static.attribute, *tables.dimensions.all, _version_table(schema))
    for metadata in dict.fromkeys(table.metadata for table in every):
        metadata.create_all(engine, checkfirst=False)
    return tuple(statements)


def _version_table(schema: str | None) -> Table:
    """Return the table in which Alembic notes the revision."""
    return Table(
        "schema_version",
        MetaData(schema=schema),
        Column("version_num", String(32), nullable=False),
        PrimaryKeyConstraint("version_num", name="schema_version_pkc"),
    )
