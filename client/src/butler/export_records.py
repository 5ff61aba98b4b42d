# SPDX-License-Identifier: BSD-3-Clause
"""The dimension records of an export: those that are named, and those that data IDs need."""

from __future__ import annotations

__all__ = ["ExportRecords"]

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from butler_model.data_id import DataCoordinate
from butler_model.dimensions import DimensionElement
from butler_model.errors import NotInsertableError
from butler_model.query.spec import DataIdTable, QuerySpec, ResultKind
from butler_model.records import DimensionRecord
from butler_model.universe import DimensionGroup

from .connect import Connection
from .results import DimensionRecordResults, expanded

_ROWS = 10_000
"""Data IDs that are sent along with one query."""


class ExportRecords:
    """Gathers dimension records, each once."""

    def __init__(self, connection: Connection) -> None:
        self._registry = connection.registry
        self._universe = connection.info.universe
        self._found: dict[str, dict[tuple[Any, ...], DimensionRecord]] = {}
        self._seen: dict[tuple[DimensionGroup, frozenset[str] | None], set[DataCoordinate]] = {}
        self._populating: dict[str, dict[tuple[Any, ...], None]] = {}

    def add(self, element: DimensionElement, records: Iterable[DimensionRecord]) -> None:
        """Add records of an element; `NotInsertableError` if it has none of its own."""
        if not element.has_table:
            raise NotInsertableError(
                f"Records of {element} cannot be exported: they are computed, or come with those of another element.",
                element=element.name,
            )
        found = self._found.setdefault(element.name, {})
        for record in records:
            found[record.key] = record

    def add_data_ids(self, data_ids: Sequence[DataCoordinate], elements: Collection[str] | None) -> None:
        """Add the records of data IDs of the same dimensions.

        Parameters
        ----------
        elements
            Only those of these elements; if `None`, those of all elements of the data IDs, and of what their records
            populate: with a visit, which exposures it consists of, and these.

        Raises
        ------
        DataIdValueError, InconsistentDataIdError
            Raised if a value has no record, or values contradict the records.
        """
        if not data_ids:
            return
        group = data_ids[0].dimensions
        wanted = None if elements is None else frozenset(elements)
        seen = self._seen.setdefault((group, wanted), set())
        new = list(dict.fromkeys(data_id for data_id in data_ids if data_id not in seen))
        seen.update(DataCoordinate.from_required_values(group, tuple(each.required.values())) for each in new)
        if wanted is None:
            self._note_populating(group, new)
        names = [
            name
            for name in group.elements
            if (wanted is None or name in wanted) and self._universe[name].has_table
        ]
        bare = [data_id for data_id in new if not data_id.hasRecords()]
        complete = [data_id for data_id in new if data_id.hasRecords()]
        for data_id in (*complete, *expanded(self._registry, group, bare)) if names else ():
            for name in names:
                record = data_id.records[name]
                if record is not None:
                    self._found.setdefault(name, {}).setdefault(record.key, record)

    def complete(self) -> None:
        """Add the records that others populate, once all data IDs are known."""
        populating, self._populating = self._populating, {}
        for name, keys in populating.items():
            element = self._universe[name]
            populated = [each for each in self._universe if each.populated_by == name and each.has_table]
            for each in populated:
                group = self._universe.conform(each.required)
                for record in self._records_for(each, element, list(keys)):
                    self.add_data_ids([record.dataId.subset(group)], None)

    def __iter__(self) -> Iterator[tuple[str, list[DimensionRecord]]]:
        """Yield elements in the order of the universe, each with its records in the order of their keys."""
        for name in self._universe.sorted(self._found):
            found = self._found[name]
            if found:
                yield name, [found[key] for key in sorted(found)]

    def _note_populating(self, group: DimensionGroup, data_ids: Sequence[DataCoordinate]) -> None:
        for name in {each.populated_by for each in self._universe if each.populated_by} & set(group.required):
            keys = self._populating.setdefault(str(name), {})
            required = self._universe[str(name)].required
            keys.update((tuple(data_id[part] for part in required), None) for data_id in data_ids)

    def _records_for(
        self, populated: DimensionElement, populating: DimensionElement, keys: Sequence[tuple[Any, ...]]
    ) -> Iterator[DimensionRecord]:
        for start in range(0, len(keys), _ROWS):
            table = DataIdTable(populating.required, keys[start : start + _ROWS])
            spec = QuerySpec(ResultKind.DIMENSION_RECORDS, element=populated.name, uploads=(table,))
            yield from DimensionRecordResults(self._registry, [spec], populated)
