# SPDX-License-Identifier: BSD-3-Clause
"""The service for dataset types; implements `butler_model.ports.DatasetTypes`."""

from __future__ import annotations

__all__ = ["DatasetTypeService"]

from collections.abc import Sequence
from fnmatch import fnmatchcase
from uuid import UUID

from butler_model.dataset import DatasetType
from butler_model.errors import ConflictingDefinitionError, InvalidRequestError
from butler_registry.storage.database import Database

from .definitions import Definitions
from .limits import check_patterns


class DatasetTypeService:
    """Registers and lists dataset types."""

    def __init__(self, database: Database, definitions: Definitions) -> None:
        self._database = database
        self._definitions = definitions

    def register(self, dataset_type: DatasetType, *, request_id: UUID) -> bool:
        if dataset_type.isComponent():
            raise InvalidRequestError(
                f"{dataset_type.name!r} is a component; register its composite "
                f"{dataset_type.nameAndComponent()[0]!r}.",
                dataset_type=dataset_type.name,
            )
        store = self._definitions.dataset_types
        with self._database.writing() as connection:
            if store.insert(connection, dataset_type):
                self._definitions.advance(connection)
                return True
            self._definitions.snapshot(connection)
            existing = store.by_name(connection, [dataset_type.name])[dataset_type.name].dataset_type
        if existing != dataset_type:
            raise ConflictingDefinitionError(
                f"Dataset type {dataset_type.name!r} is registered as {existing}, which differs from {dataset_type}.",
                dataset_type=dataset_type.name,
            )
        return False

    def get(self, name: str) -> DatasetType:
        with self._database.reading() as connection:
            return self._definitions.snapshot(connection).dataset_type(name).dataset_type

    def find(self, patterns: Sequence[str]) -> list[DatasetType]:
        check_patterns(patterns)
        with self._database.reading() as connection:
            self._definitions.snapshot(connection)
            everything = self._definitions.dataset_types.all(connection)
        return [t for t in everything if any(fnmatchcase(t.name, pattern) for pattern in patterns)]
