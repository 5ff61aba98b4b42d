# SPDX-License-Identifier: BSD-3-Clause
"""A growing FROM clause: tables of dimensions, and of what else has their values, joined on what they share."""

from __future__ import annotations

__all__ = ["Joins"]

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, Table, select, true
from sqlalchemy.sql import and_

from butler_model.dimensions import DimensionElement
from butler_model.universe import DimensionGroup, DimensionUniverse
from butler_registry.storage.dimension_tables import DimensionTables


class Joins:
    """Tables that are joined so far.

    Attributes
    ----------
    columns
        For each dimension, a column that has its value.
    """

    def __init__(self, tables: DimensionTables) -> None:
        self._tables = tables
        self._source: FromClause | None = None
        self._elements: set[str] = set()
        self._related: list[frozenset[str]] = []
        self._given: set[str] = set()
        self.columns: dict[str, ColumnElement[Any]] = {}
        self.conditions: list[ColumnElement[bool]] = []
        """What every row must satisfy besides being joined."""

    @property
    def universe(self) -> DimensionUniverse:
        """The dimensions there are."""
        return self._tables.universe

    def join(self, table: FromClause, columns: Mapping[str, ColumnElement[Any]]) -> None:
        """Join a table on the dimensions that it shares with what is joined; the others are new."""
        self._given.update(columns)
        self._join(table, columns)

    def _join(self, table: FromClause, columns: Mapping[str, ColumnElement[Any]]) -> None:
        shared = [self.columns[name] == column for name, column in columns.items() if name in self.columns]
        self.join_on(table, and_(true(), *shared))
        self.columns.update({n: column for n, column in columns.items() if n not in self.columns})

    def join_on(self, table: FromClause, condition: ColumnElement[bool]) -> None:
        """Join a table on a condition."""
        self._source = table if self._source is None else self._source.join(table, condition)

    def element(self, element: DimensionElement) -> Table:
        """Return the table of an element, joined if it was not yet."""
        table = self._tables[element.name]
        if element.name not in self._elements:
            self._elements.add(element.name)
            self._join(table, {n: table.c[element.field_name(n)] for n in element.key_columns})
        return table

    def relate(self, dimensions: Iterable[str]) -> None:
        """Say that what is joined has one row for each combination of some required dimensions that is wanted.

        Their own tables need not be joined then: rows of dataset types and overlaps refer to records, which so exist.
        """
        self._related.append(frozenset(dimensions))

    def is_related(self, dimensions: Iterable[str]) -> bool:
        """Return whether one thing that is joined relates all of these dimensions."""
        return any(group.issuperset(dimensions) for group in self._related)

    def group(self, group: DimensionGroup, *, implied: bool = True) -> None:
        """Join what is needed for the values of all dimensions of a group, or of the required ones only."""
        universe = self.universe
        known = set().union(*self._related)
        for element in group.lookup_order:
            if not set(element.required) <= known:
                continue
            # What is implied may have come from elsewhere, and is compared then.
            needed = any(n not in self.columns or n in self._given for n in element.implied)
            if implied and element.has_table and needed:
                self.element(element)
            # Records of what is implied exist, since a record refers to them.
            known.update(name for name in element.implied if name in group)
        for name in group.elements:
            element = universe[name]
            joined = element.name in known if element.is_dimension else self.is_related(element.required)
            if element.has_table and not joined and (element.is_dimension or element.always_join):
                self.element(element)
        for name in group.names if implied else group.required:
            if name not in self.columns and universe[name].view_of is not None:
                self._values(universe[name])

    def _values(self, element: DimensionElement) -> None:
        """Join the distinct values of a dimension without a table of its own."""
        table, field = self._tables.source(element.name)
        values = select(table.c[field].label(element.name)).distinct().subquery(f"{element.name}_values")
        self.join(values, {element.name: values.c[element.name]})

    def source(self, dimension: str) -> tuple[Table, str]:
        """Return table and field that hold the values of a dimension; it is not joined by this."""
        return self._tables.source(dimension)

    def overlaps(self, element: DimensionElement) -> Table:
        """Return the table of the pixels of an element's regions; it is not joined by this."""
        return self._tables.overlaps[element.name]

    def select(self, columns: Sequence[ColumnElement[Any]]) -> Select[Any]:
        """Return the statement for some columns of the joined rows."""
        query = select(*(columns or [true().label("exists")]))
        if self._source is not None:
            query = query.select_from(self._source)
        return query.where(*self.conditions)
