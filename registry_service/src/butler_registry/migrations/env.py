# SPDX-License-Identifier: BSD-3-Clause
"""How Alembic runs a migration: on the connection that it is given, in the schema of one repository."""

from __future__ import annotations

__all__: list[str] = []

from alembic import context

_attributes = context.config.attributes
_schema: str | None = _attributes.get("schema")

context.configure(
    connection=_attributes["connection"],
    target_metadata=_attributes.get("metadata"),
    version_table="schema_version",
    version_table_schema=_schema,
    include_schemas=_schema is not None,
    compare_type=True,
)
context.run_migrations()
