# SPDX-License-Identifier: BSD-3-Clause
"""The service for collections; implements `butler_model.ports.Collections`."""

from __future__ import annotations

__all__ = ["CollectionService"]

from collections.abc import Sequence
from fnmatch import fnmatchcase
from uuid import UUID

from butler_model.collection import Collection, CollectionType
from butler_model.errors import ConflictingDefinitionError, UnsupportedOperationError
from butler_registry.storage.database import Database

from .definitions import Definitions
from .limits import check_patterns


class CollectionService:
    """Registers and lists collections."""

    def __init__(self, database: Database, definitions: Definitions) -> None:
        self._database = database
        self._definitions = definitions

    def register(self, collection: Collection, *, request_id: UUID) -> bool:
        if collection.type is not CollectionType.RUN:
            raise UnsupportedOperationError(
                f"{collection.name!r}: this release registers RUN collections only, not {collection.type.name}.",
                collection=collection.name,
            )
        with self._database.writing() as connection:
            if self._definitions.collections.insert(connection, collection):
                self._definitions.advance(connection)
                return True
            self._definitions.snapshot(connection)
            existing = self._definitions.collections.by_name(connection, [collection.name])[collection.name]
        if existing.collection.type is not collection.type:
            raise ConflictingDefinitionError(
                f"There is a collection {collection.name!r} already, and it is {existing.collection.type.name}, not "
                f"{collection.type.name}.",
                collection=collection.name,
            )
        return False

    def get(self, name: str) -> Collection:
        with self._database.reading() as connection:
            return self._definitions.snapshot(connection).collections([name])[0].collection

    def find(
        self, patterns: Sequence[str], types: frozenset[CollectionType] | None = None
    ) -> list[Collection]:
        check_patterns(patterns)
        with self._database.reading() as connection:
            self._definitions.snapshot(connection)
            everything = self._definitions.collections.all(connection)
        return [
            collection
            for collection in everything
            if (types is None or collection.type in types)
            and any(fnmatchcase(collection.name, pattern) for pattern in patterns)
        ]
