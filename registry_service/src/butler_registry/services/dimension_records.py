# SPDX-License-Identifier: BSD-3-Clause
"""The service for dimension records; implements `butler_model.ports.DimensionRecords`."""

from __future__ import annotations

__all__ = ["DimensionRecordService"]

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from butler_model.data_id import DataCoordinate
from butler_model.dimensions import DimensionElement
from butler_model.errors import ConflictingDefinitionError, InvalidRequestError, NotInsertableError
from butler_model.records import DimensionRecord
from butler_model.repository import Limits
from butler_model.universe import DimensionGroup
from butler_registry.storage.database import Connection, Database
from butler_registry.storage.statistics import Statistics

from .data_id_expansion import expand
from .data_id_rewriting import required_values
from .definitions import Definitions
from .limits import check_batch
from .repeats import Repeats


class DimensionRecordService:
    """Inserts records and expands data IDs."""

    def __init__(
        self,
        database: Database,
        definitions: Definitions,
        repeats: Repeats,
        statistics: Statistics,
        limits: Limits,
    ) -> None:
        self._database = database
        self._repeats = repeats
        self._statistics = statistics
        self._definitions = definitions
        self._limits = limits

    def insert(
        self,
        element: str,
        records: Sequence[DimensionRecord],
        *,
        request_id: UUID,
        skip_existing: bool = False,
        replace: bool = False,
    ) -> int:
        if skip_existing and replace:
            raise InvalidRequestError("Records that exist are either skipped or replaced, not both.")
        definition = self._stored_element(element)
        check_batch(len(records), self._limits, "dimension records")
        for record in records:
            if record.definition is not definition:
                raise InvalidRequestError(f"A record of {record.definition} was given as one of {element!r}.")
        what = ("insert records", element, [record.key for record in records], skip_existing, replace)
        with self._database.writing() as connection:
            inserted = self._repeats.once(
                connection,
                request_id,
                what,
                lambda: self._insert(connection, definition, records, skip_existing, replace),
            )
        self._statistics.wrote(self._definitions.dimensions.tables_of(definition), inserted)
        return inserted

    def _insert(
        self,
        connection: Connection,
        definition: DimensionElement,
        records: Sequence[DimensionRecord],
        skip_existing: bool,
        replace: bool,
    ) -> int:
        self._definitions.snapshot(connection)
        store = self._definitions.dimensions
        if replace:
            inserted = store.replace(connection, definition, records)
        else:
            inserted = store.insert(connection, definition, records, skip_existing)
        if inserted or (replace and records):
            self._definitions.advance(connection)
        return inserted

    def sync(self, record: DimensionRecord, *, request_id: UUID, update: bool = False) -> bool:
        definition = self._stored_element(record.definition.name)
        what = ("sync record", definition.name, record.key, update)
        with self._database.writing() as connection:
            self._definitions.snapshot(connection)
            inserted = self._definitions.dimensions.insert(
                connection, definition, [record], skip_existing=True
            )
            if inserted:
                self._definitions.advance(connection)
                return self._repeats.noted(connection, request_id, what, changed=True)
            existing = self._definitions.dimensions.fetch(connection, definition, [record.key])[record.key]
            differences = record.differences(existing)
            if differences and update:
                self._definitions.dimensions.replace(connection, definition, [record])
                self._definitions.advance(connection)
                return self._repeats.noted(connection, request_id, what, changed=True)
            repeated = self._repeats.noted(connection, request_id, what, changed=False)
        if differences and not repeated:
            shown = ", ".join(
                f"{name} is {theirs!r:.100}, not {mine!r:.100}"
                for name, (mine, theirs) in differences.items()
            )
            raise ConflictingDefinitionError(
                f"The record of {definition} {record.dataId.required} exists already and differs: {shown}.",
                element=definition.name,
            )
        return repeated

    def expand(
        self, dimensions: DimensionGroup, data_ids: Sequence[Mapping[str, Any]]
    ) -> list[DataCoordinate]:
        check_batch(len(data_ids), self._limits, "data IDs")
        with self._database.reading() as connection:
            snapshot = self._definitions.snapshot(connection)
            group = snapshot.universe.conform(dimensions.names)
            return expand(snapshot, group, required_values(snapshot, group, data_ids))

    def _stored_element(self, name: str) -> DimensionElement:
        element = self._definitions.universe[name]
        if not element.has_table:
            raise NotInsertableError(
                f"{name!r} has no records of its own: "
                + (
                    f"its values come from {element.view_of}."
                    if element.view_of
                    else "its pixels are computed."
                ),
                name=name,
            )
        return element
