# SPDX-License-Identifier: BSD-3-Clause
"""Columns of the datasets that a query searches for; tables are joined only for the columns that are used."""

from __future__ import annotations

__all__ = ["DatasetColumns"]

from typing import Any

from sqlalchemy import ColumnElement, Table, literal

from butler_model.collection import CollectionType
from butler_model.errors import UnsupportedOperationError
from butler_model.query.typed import DatasetColumn
from butler_model.timespan import MAX_NSEC, MIN_NSEC
from butler_registry.storage.schema import StaticTables

from .dataset_search import Places
from .joins import Joins
from .plan import DatasetPlace


class DatasetColumns:
    """The columns of one search for datasets."""

    def __init__(self, static: StaticTables, joins: Joins) -> None:
        self._static = static
        self._joins = joins
        self._place: DatasetPlace | None = None
        self._places: Places | None = None
        self._names: dict[str, Table] = {}
        self._has_dataset = False
        self._always = (literal(MIN_NSEC), literal(MAX_NSEC))

    def search(self, place: DatasetPlace, places: Places) -> None:
        """Take the columns from these places, which are joined."""
        self._place, self._places = place, places

    @property
    def dataset_id(self) -> ColumnElement[Any]:
        """UUID of the dataset."""
        return self._found.table.c.dataset_id

    @property
    def collection_id(self) -> ColumnElement[int]:
        """Collection that it was found in."""
        return self._found.table.c.collection_id

    @property
    def are_in_runs(self) -> bool:
        """Whether each is searched for in its run."""
        assert self._place is not None
        return all(c.collection.type is CollectionType.RUN for c in self._place.collections)

    @property
    def run_id(self) -> ColumnElement[int]:
        """Its run."""
        # No table has to be joined for the collection.
        return self.collection_id if self.are_in_runs else self._dataset.c.run_id

    @property
    def run(self) -> ColumnElement[str]:
        """Name of its run."""
        return self._name_of("run", self.run_id)

    @property
    def ingest_nsec(self) -> ColumnElement[int]:
        """When it was put, TAI nanoseconds."""
        return self._dataset.c.ingest_nsec

    @property
    def valid(self) -> tuple[ColumnElement[int], ColumnElement[int]]:
        """Begin and end of its validity; unbounded where it is not in a CALIBRATION collection."""
        return self._found.valid or self._always

    def column(self, column: DatasetColumn) -> ColumnElement[Any]:
        """Return a field that an expression names."""
        if self._place is None or column.dataset_type != self._place.row.dataset_type.name:
            raise UnsupportedOperationError(
                f"Fields of {column.dataset_type!r} can be used only in a query for its datasets.",
                dataset_type=column.dataset_type,
            )
        match column.field:
            case "id":
                return self.dataset_id
            case "ingest_date":
                return self.ingest_nsec
            case "run":
                return self.run
            case "collection":
                return self._name_of("collection", self.collection_id)
            case _:
                return self.valid[1] if column.end == "end" else self.valid[0]

    @property
    def _found(self) -> Places:
        assert self._places is not None, "a query for datasets"
        return self._places

    @property
    def _dataset(self) -> Table:
        if not self._has_dataset:
            self._has_dataset = True
            self._joins.join_on(self._static.dataset, self._static.dataset.c.id == self.dataset_id)
        return self._static.dataset

    def _name_of(self, role: str, collection_id: ColumnElement[int]) -> ColumnElement[Any]:
        if role not in self._names:
            table: Any = self._static.collection.alias(f"{role}_collection")
            self._names[role] = table
            self._joins.join_on(table, table.c.id == collection_id)
        return self._names[role].c.name
