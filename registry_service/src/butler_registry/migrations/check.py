# SPDX-License-Identifier: BSD-3-Clause
"""Check that the migrations lead to the declared tables: ``python -m butler_registry.migrations.check``."""

from __future__ import annotations

__all__ = ["differences", "newest_revision"]

import sys
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine

from butler_registry.migrations import alembic_config, upgrade
from butler_registry.storage.schema import SCHEMA_REVISION, StaticTables


def newest_revision(connection: Connection) -> str | None:
    """Return the newest revision there is a migration for."""
    return ScriptDirectory.from_config(alembic_config(connection, None)).get_current_head()


def differences(connection: Connection, schema: str | None) -> list[Any]:
    """Run all migrations in an empty schema, and return how the result differs from the declared tables."""
    upgrade(connection, schema)
    declared = StaticTables.declare(schema).metadata

    def is_ours(name: str | None, kind: str, _parents: Any) -> bool:
        return name == schema if kind == "schema" else name != "schema_version"

    options = {
        "version_table": "schema_version",
        "version_table_schema": schema,
        "include_schemas": schema is not None,
        "include_name": is_ours,
        "compare_type": True,
    }
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), declared))


def _main() -> int:
    with create_engine("sqlite://").begin() as connection:
        found = differences(connection, None)
        newest = newest_revision(connection)
    for difference in found:
        sys.stderr.write(f"declared but not migrated, or the reverse: {difference}\n")
    if newest != SCHEMA_REVISION:
        sys.stderr.write(f"SCHEMA_REVISION is {SCHEMA_REVISION}, the newest migration {newest}\n")
    return int(bool(found) or newest != SCHEMA_REVISION)


if __name__ == "__main__":
    sys.exit(_main())
