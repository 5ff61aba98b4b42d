# SPDX-License-Identifier: BSD-3-Clause
"""Bringing the tables of a repository to what this software works with."""

from __future__ import annotations

__all__ = ["Migration", "check_schema", "migrate_repository"]

from collections.abc import Mapping
from dataclasses import dataclass

from butler_model.errors import IncompatibleVersionError
from butler_registry.migrations import upgrade
from butler_registry.storage.attribute_store import AttributeStore
from butler_registry.storage.migration_lock import lock_migration
from butler_registry.storage.repositories import RepositoryDatabases
from butler_registry.storage.schema import SCHEMA_REVISION, StaticTables


@dataclass(frozen=True, slots=True)
class Migration:
    """From which revision of the tables to which one a repository was brought; the same one if it was there."""

    repository: str
    before: str
    after: str


def check_schema(name: str, attributes: Mapping[str, str]) -> None:
    """Raise `IncompatibleVersionError` unless the attributes of a repository tell the schema of this software."""
    found = attributes.get("schema_revision")
    if found != SCHEMA_REVISION:
        raise IncompatibleVersionError(
            f"Repository {name!r} has schema {found}, this software works with {SCHEMA_REVISION}; migrate the "
            "repository, or install the software that fits.",
            repository=name,
        )


def migrate_repository(databases: RepositoryDatabases, name: str) -> Migration:
    """Migrate a repository, wholly or not at all; of several that try at once, the others find it done.

    Raises
    ------
    IncompatibleVersionError
        Raised if its tables are of newer software, which this one must not touch.
    """
    database, schema = databases.open(name)
    attributes = AttributeStore(StaticTables.declare(schema))
    with database.writing() as connection:
        lock_migration(connection, schema)
        before = attributes.read_all(connection).get("schema_revision", "")
        if not before or before > SCHEMA_REVISION:
            check_schema(name, {"schema_revision": before or "none"})
        if before < SCHEMA_REVISION:
            upgrade(connection, schema, SCHEMA_REVISION)
            attributes.change(connection, "schema_revision", SCHEMA_REVISION)
    return Migration(name, before, SCHEMA_REVISION)
