# SPDX-License-Identifier: BSD-3-Clause
"""The service for dataset types; implements `butler_model.ports.DatasetTypes`."""

from __future__ import annotations

__all__ = ["DatasetTypeService"]

from collections.abc import Sequence
from uuid import UUID

from butler_model.dataset import DatasetType
from butler_model.errors import ConflictingDefinitionError, InvalidRequestError, OrphanedRecordError
from butler_registry.storage.database import Connection, Database

from .definitions import Definitions
from .limits import check_patterns
from .name_patterns import NamePatterns
from .repeats import Repeats


class DatasetTypeService:
    """Registers and lists dataset types."""

    def __init__(self, database: Database, definitions: Definitions, repeats: Repeats) -> None:
        self._database = database
        self._repeats = repeats
        self._definitions = definitions

    def register(self, dataset_type: DatasetType, *, request_id: UUID) -> bool:
        if dataset_type.isComponent():
            raise InvalidRequestError(
                f"{dataset_type.name!r} is a component; register its composite "
                f"{dataset_type.nameAndComponent()[0]!r}.",
                dataset_type=dataset_type.name,
            )
        what = ("register dataset type", dataset_type.name)
        with self._database.writing() as connection:
            found = self._definitions.dataset_types.insert_or_get(connection, dataset_type)
            if found is None:
                self._definitions.advance(connection)
                return self._repeats.noted(connection, request_id, what, changed=True)
            self._definitions.snapshot(connection)
            repeated = self._repeats.noted(connection, request_id, what, changed=False)
        existing = found.dataset_type
        if existing != dataset_type:
            raise ConflictingDefinitionError(
                f"Dataset type {dataset_type.name!r} is registered as {existing}, which differs from {dataset_type}.",
                dataset_type=dataset_type.name,
            )
        return repeated

    def get(self, name: str) -> DatasetType:
        with self._database.reading() as connection:
            return self._definitions.snapshot(connection).dataset_type(name).dataset_type

    def find(self, patterns: Sequence[str]) -> list[DatasetType]:
        check_patterns(patterns)
        with self._database.reading() as connection:
            self._definitions.snapshot(connection)
            everything = self._definitions.dataset_types.all(connection)
        wanted = NamePatterns(patterns)
        return [t for t in everything if wanted.match(t.name)]

    def remove(self, patterns: Sequence[str], *, request_id: UUID) -> list[str]:
        check_patterns(patterns)
        wanted = NamePatterns(patterns)
        what = ("remove dataset types", tuple(patterns))
        with self._database.writing() as connection:
            return self._repeats.once(connection, request_id, what, lambda: self._remove(connection, wanted))

    def _remove(self, connection: Connection, wanted: NamePatterns) -> list[str]:
        store = self._definitions.dataset_types
        self._definitions.lock(connection)
        rows = store.by_name(connection, [t.name for t in store.all(connection) if wanted.match(t.name)])
        # Whoever commits a put refers to its type. So those that are under way end first, and others are told.
        store.lock_for_removal(connection, [row.id for row in rows.values()])
        used = store.used(connection, rows.values())
        if used:
            names = sorted(name for name, row in rows.items() if row.id in used)
            raise OrphanedRecordError(
                f"There are datasets of type {', '.join(map(repr, names[:5]))}, or puts under way; remove "
                "them first.",
                dataset_type=names[0],
            )
        if rows:
            store.delete(connection, [row.id for row in rows.values()])
            self._definitions.advance(connection)
        return sorted(rows)
