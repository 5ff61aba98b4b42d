# SPDX-License-Identifier: BSD-3-Clause
"""All tables of one repository: declared once per process, and made at once."""

from __future__ import annotations

__all__ = ["KEPT_TABLES", "RepositoryTables", "create_tables", "repository_tables"]

from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, create_mock_engine
from sqlalchemy.schema import ExecutableDDLElement

from butler_model.universe import DimensionUniverse

from .dimension_tables import DimensionTables
from .schema import SCHEMA_REVISION, StaticTables
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
    static = StaticTables.declare(schema)
    return RepositoryTables(static, DimensionTables(static.metadata, universe), TagTables(static))


def create_tables(connection: Connection, schema: str | None, universe: DimensionUniverse) -> None:
    """Make the tables of a new repository, as the newest migration would leave them, and say so for the next one."""
    dialect = connection.dialect
    for statement in _statements(f"{dialect.name}+{dialect.driver}", schema is not None, universe):
        text = statement if schema is None else statement.replace(_ANY_SCHEMA, schema)
        connection.exec_driver_sql(text)
    version = _version_table(MetaData(schema=schema))
    connection.execute(version.insert(), {"version_num": SCHEMA_REVISION})


@lru_cache(KEPT_TABLES)
def _statements(dialect: str, has_schema: bool, universe: DimensionUniverse) -> tuple[str, ...]:
    """Return what makes the tables: to render it takes much longer than to execute it."""
    statements: list[str] = []

    def note(ddl: ExecutableDDLElement, *_: object, **__: object) -> None:
        statements.append(str(ddl.compile(dialect=engine.dialect)))

    engine = create_mock_engine(f"{dialect}://", note)
    metadata = StaticTables.declare(_ANY_SCHEMA if has_schema else None).metadata
    DimensionTables(metadata, universe)
    _version_table(metadata)
    metadata.create_all(engine, checkfirst=False)
    return tuple(statements)


def _version_table(metadata: MetaData) -> Table:
    """Return the table in which Alembic notes the revision."""
    return Table(
        "schema_version",
        metadata,
        Column("version_num", String(32), nullable=False),
        PrimaryKeyConstraint("version_num", name="schema_version_pkc"),
    )
