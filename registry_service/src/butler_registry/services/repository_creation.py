# SPDX-License-Identifier: BSD-3-Clause
"""Making a repository, and reading what it says of itself."""

from __future__ import annotations

__all__ = ["create_repository", "read_attributes"]

import json
from collections.abc import Sequence
from uuid import UUID

from butler_model.composites import Composites
from butler_model.errors import IncompatibleVersionError
from butler_model.repository import Store
from butler_model.universe import DimensionUniverse
from butler_registry.storage.attribute_store import AttributeStore
from butler_registry.storage.database import Connection
from butler_registry.storage.repositories import RepositoryDatabases
from butler_registry.storage.repository_tables import create_tables, static_tables
from butler_registry.storage.schema import SCHEMA_REVISION


def create_repository(
    databases: RepositoryDatabases,
    name: str,
    universe: DimensionUniverse,
    stores: Sequence[Store],
    composites: Composites,
    request_id: UUID,
) -> None:
    """Make a repository, whole or not at all: the tables that the newest migration leads to, and those of the universe.

    Raises `RepositoryExistsError` if there is one of that name.
    """

    def fill(connection: Connection, schema: str | None) -> None:
        create_tables(connection, schema, universe)
        AttributeStore(static_tables(schema)).initialise(
            connection,
            {
                "schema_revision": SCHEMA_REVISION,
                "universe": universe.config_json,
                "stores": json.dumps([store.as_mapping() for store in stores]),
                "composites": composites.config_json,
                "created_by": str(request_id),
            },
        )

    databases.create(name, fill)


def read_attributes(databases: RepositoryDatabases, name: str) -> dict[str, str]:
    """Return the attributes of a repository; `RepositoryNotFoundError` if there is none of that name."""
    database, schema = databases.open(name)
    try:
        with database.reading() as connection:
            return AttributeStore(static_tables(schema)).read_all(connection)
    except IncompatibleVersionError as error:
        raise IncompatibleVersionError(f"Repository {name!r}: {error.message}", repository=name) from error
