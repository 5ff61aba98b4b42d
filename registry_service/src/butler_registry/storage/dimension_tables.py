# SPDX-License-Identifier: BSD-3-Clause
"""The tables of dimension records, derived from the universe of a repository."""

from __future__ import annotations

__all__ = ["TIMESPAN_BEGIN", "TIMESPAN_END", "DimensionTables", "key_type"]

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

from butler_model.dimensions import Column as ModelColumn
from butler_model.dimensions import ColumnType, DimensionElement
from butler_model.universe import DimensionUniverse

from .column_types import RegionBytes, name_column_type

TIMESPAN_BEGIN, TIMESPAN_END = "timespan_begin", "timespan_end"


def key_type(column: ModelColumn) -> TypeEngine[Any]:
    """Return the SQL type of a dimension's key."""
    return BigInteger() if column.type is ColumnType.INT else name_column_type(column.length)


class DimensionTables:
    """The tables of a universe.

    Attributes
    ----------
    tables
        ``dimension_<element>`` for each element that has records of its own.
    overlaps
        ``overlap_<element>`` for each of these that has regions: which pixels of the common skypix dimension a record's
        region may touch (its envelope), in the column of the dimension's name.
    """

    def __init__(self, metadata: MetaData, universe: DimensionUniverse) -> None:
        self.universe = universe
        self.tables: Mapping[str, Table] = {}
        self.overlaps: Mapping[str, Table] = {}
        tables: dict[str, Table] = {}
        for element in universe:
            if element.has_table:
                tables[element.name] = _declare(metadata, element, tables)
        self.tables = tables
        self.overlaps = {
            element.name: _declare_overlaps(metadata, element, tables[element.name])
            for element in universe
            if element.has_table and element.spatial
        }

    @property
    def all(self) -> list[Table]:
        """All tables, parents first."""
        return [*self.tables.values(), *self.overlaps.values()]

    def __getitem__(self, element: str) -> Table:
        return self.tables[element]

    def source(self, dimension: str) -> tuple[Table, str]:
        """Return table and column that hold the values of a dimension, also if it is a view of another's."""
        element = self.universe[dimension]
        if element.view_of is not None:
            return self.tables[element.view_of], dimension
        return self.tables[dimension], element.field_name(dimension)


def _declare(metadata: MetaData, element: DimensionElement, tables: Mapping[str, Table]) -> Table:
    columns: list[Column[Any]] = []
    for column in element.columns:
        columns += _sql_columns(column)
    keys = [element.field_name(name) for name in element.required]
    constraints: list[Any] = [PrimaryKeyConstraint(*keys)]
    constraints += [UniqueConstraint(*keys[:-1], alternate.name) for alternate in element.alternate_keys]
    constraints += _foreign_keys(element, tables)
    return Table(f"dimension_{element.name}", metadata, *columns, *constraints)


def _declare_overlaps(metadata: MetaData, element: DimensionElement, records: Table) -> Table:
    skypix = element.universe.commonSkyPix.name
    fields = [element.field_name(name) for name in element.required]
    keys = [Column(name, records.c[field].type) for name, field in zip(element.required, fields, strict=True)]
    return Table(
        f"overlap_{element.name}",
        metadata,
        Column(skypix, BigInteger),
        *keys,
        PrimaryKeyConstraint(skypix, *element.required),
        ForeignKeyConstraint(
            list(element.required), [records.c[field] for field in fields], ondelete="CASCADE"
        ),
        Index(None, *element.required),
    )


def _sql_columns(column: ModelColumn) -> list[Column[Any]]:
    if column.type is ColumnType.TIMESPAN:
        return [
            Column(name, BigInteger, comment="TAI nanoseconds") for name in (TIMESPAN_BEGIN, TIMESPAN_END)
        ]
    types: dict[ColumnType, TypeEngine[Any]] = {
        ColumnType.STRING: name_column_type(column.length),
        ColumnType.INT: BigInteger(),
        ColumnType.FLOAT: Double(),
        ColumnType.BOOL: Boolean(),
        ColumnType.HASH: LargeBinary(column.nbytes),
        ColumnType.REGION: RegionBytes(),
    }
    return [Column(column.name, types[column.type], nullable=column.nullable)]


def _foreign_keys(element: DimensionElement, tables: Mapping[str, Table]) -> list[ForeignKeyConstraint]:
    """Point to each parent that is not a parent of another parent: the others follow."""
    universe = element.universe
    parents = [*element.required, *element.implied]
    parents = [name for name in parents if name != element.name and name in tables]
    indirect = {grand for name in parents for grand in universe[name].required if grand != name}
    constraints = []
    for name in parents:
        if name in indirect:
            continue
        parent = universe[name]
        constraints.append(
            ForeignKeyConstraint(
                [element.field_name(required) for required in parent.required],
                [tables[name].c[parent.field_name(required)] for required in parent.required],
            )
        )
    return constraints
