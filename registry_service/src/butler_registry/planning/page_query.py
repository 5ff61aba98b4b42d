# SPDX-License-Identifier: BSD-3-Clause
"""Planning: from what is asked to one SQL statement whose rows are distinct and ordered by a key.

Dimension tables are joined on the dimensions that they share; dimensions that share none give all combinations.
"""

from __future__ import annotations

__all__ = ["PagePlan", "PlannedColumn", "plan_data_ids", "plan_datasets", "plan_records"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, case, func, select, true, tuple_
from sqlalchemy.sql import and_

from butler_model.data_id import DataIdValue, check_value
from butler_model.dimensions import ColumnType, DimensionElement
from butler_model.errors import DimensionNameError, UnsupportedOperationError
from butler_model.paging import ResultType
from butler_model.universe import DimensionGroup
from butler_registry.storage.dataset_type_store import DatasetTypeRow
from butler_registry.storage.dimension_tables import TIMESPAN_BEGIN, TIMESPAN_END, DimensionTables
from butler_registry.storage.schema import StaticTables


@dataclass(frozen=True, slots=True)
class PlannedColumn:
    """A column of the result: its name and type, and how many columns of the statement it takes (a timespan: 2)."""

    name: str
    type: ResultType
    width: int = 1


@dataclass(frozen=True, slots=True)
class PagePlan:
    """A statement without limits, the columns of its rows, and the positions of the columns that order them.

    The statement may select more than the columns of the result, after these, for the order.
    """

    statement: Select[Any]
    columns: tuple[PlannedColumn, ...]
    key: tuple[int, ...]

    def page(self, after: tuple[Any, ...] | None, rows: int) -> Select[Any]:
        """Return the statement for the rows after a key, one more than ``rows`` so that a next page shows."""
        selected = list(self.statement.selected_columns)
        key = [selected[i] for i in self.key]
        statement = self.statement
        if after is not None and key:
            statement = statement.where(tuple_(*key) > tuple_(*after))
        elif after is not None:
            statement = statement.where(~true())
        return statement.order_by(*key).limit(rows + 1)


def plan_records(
    tables: DimensionTables, element: DimensionElement, data_id: Mapping[str, DataIdValue]
) -> PagePlan:
    """Plan a query for the records of an element."""
    if element.skypix:
        raise UnsupportedOperationError(
            f"The pixels of {element} are not listed; ask for them with a region."
        )
    for name in data_id:
        if name not in element.key_columns:
            raise DimensionNameError(
                f"Records of {element} cannot be restricted by {name!r}; use {', '.join(element.key_columns)}.",
                name=name,
            )
    columns = tuple(_result_column(c.name, c.type) for c in element.columns)
    key = tuple(range(len(element.required)))
    if element.view_of is not None:
        table, field = tables.source(element.name)
        source = select(table.c[field].label(element.columns[0].name)).distinct().subquery(element.name)
        return PagePlan(
            _restricted(select(*source.c), {element.name: source.c[0]}, data_id, element), columns, key
        )
    table = tables[element.name]
    selected: list[ColumnElement[Any]] = []
    for column in element.columns:
        names = [TIMESPAN_BEGIN, TIMESPAN_END] if column.type is ColumnType.TIMESPAN else [column.name]
        selected += [table.c[name] for name in names]
    available = {name: table.c[element.field_name(name)] for name in element.key_columns}
    return PagePlan(_restricted(select(*selected), available, data_id, element), columns, key)


def plan_data_ids(
    tables: DimensionTables, group: DimensionGroup, data_id: Mapping[str, DataIdValue]
) -> PagePlan:
    """Plan a query for data IDs: every combination of values whose records relate them."""
    joined = _Join(tables)
    joined.add_group(_related(group, data_id))
    selected = [joined.columns[name].label(name) for name in group.names]
    statement = _restricted(joined.select(selected), joined.columns, data_id, group).distinct()
    return PagePlan(statement, _dimension_columns(group), tuple(range(len(group.required))))


def plan_datasets(
    static: StaticTables,
    tables: DimensionTables,
    row: DatasetTypeRow,
    ranks: Mapping[int, int],
    data_id: Mapping[str, DataIdValue],
    *,
    find_first: bool,
) -> PagePlan:
    """Plan a query for datasets of one type.

    Parameters
    ----------
    ranks
        For each collection searched, its position in the order of search.
    find_first
        Whether to give only the dataset of the first collection for each data ID.
    """
    group = row.dataset_type.dimensions
    tags = row.tags
    found: FromClause = tags
    where = and_(tags.c.dataset_type_id == row.id, tags.c.collection_id.in_(list(ranks)))
    names = [tags.c[name] for name in group.required]
    if find_first and len(ranks) > 1:
        rank = case(*((tags.c.collection_id == i, r) for i, r in ranks.items()))
        order = func.row_number().over(partition_by=names, order_by=rank).label("search_order")
        inner = select(tags.c.dataset_id, tags.c.collection_id, *names, order).where(where).subquery("ranked")
        found, where = inner, inner.c.search_order == 1
    joined = _Join(tables)
    joined.start(found, {name: found.c[name] for name in group.required})
    restricted_elsewhere = not set(data_id) <= set(group.names)
    if restricted_elsewhere:
        joined.add_group(_related(group, data_id, by_datasets=True))
    else:
        joined.add_implied(group)
    dataset, runs = static.dataset, static.collection
    joined.join(dataset, dataset.c.id == found.c.dataset_id)
    joined.join(runs, runs.c.id == dataset.c.run_id)
    selected: list[ColumnElement[Any]] = [joined.columns[name].label(name) for name in group.names]
    selected += [dataset.c.id.label("id"), runs.c.name.label("run"), found.c.collection_id]
    statement = _restricted(joined.select(selected).where(where), joined.columns, data_id, group)
    columns = (
        *_dimension_columns(group),
        PlannedColumn("id", ResultType.UUID),
        PlannedColumn("run", ResultType.STRING),
    )
    # All in the tag table, so that a page starts where its index says and not with the first row.
    key = (*range(len(group.required)), len(selected) - 1)
    # A dataset is in one run, so its row comes once unless other dimensions multiply it.
    return PagePlan(statement.distinct() if restricted_elsewhere else statement, columns, key)


class _Join:
    """A growing FROM clause, and the column that holds each dimension in it."""

    def __init__(self, tables: DimensionTables) -> None:
        self._tables = tables
        self._source: FromClause | None = None
        self.columns: dict[str, ColumnElement[Any]] = {}

    def start(self, source: FromClause, columns: dict[str, ColumnElement[Any]]) -> None:
        self._source = source
        self.columns.update(columns)

    def join(self, table: FromClause, condition: ColumnElement[bool]) -> None:
        self._source = table if self._source is None else self._source.join(table, condition)

    def add_group(self, group: DimensionGroup) -> None:
        """Join the tables of all dimensions of a group, and of the elements that always relate them."""
        universe = group.universe
        for name in group.elements:
            element = universe[name]
            if element.has_table and (element.is_dimension or element.always_join):
                self._add(element, group)
        for name in group.names:
            if name not in self.columns:
                self._add_value_source(universe[name])

    def add_implied(self, group: DimensionGroup) -> None:
        """Join only the tables that tell the values of implied dimensions."""
        for element in group.lookup_order:
            if element.has_table and any(name not in self.columns for name in element.implied):
                self._add(element, group)

    def _add(self, element: DimensionElement, group: DimensionGroup) -> None:
        table = self._tables[element.name]
        own = {name: table.c[element.field_name(name)] for name in element.key_columns if name in group.index}
        shared = [self.columns[name] == column for name, column in own.items() if name in self.columns]
        self.join(table, and_(true(), *shared))
        self.columns.update({name: column for name, column in own.items() if name not in self.columns})

    def _add_value_source(self, element: DimensionElement) -> None:
        if element.skypix:
            raise UnsupportedOperationError(f"Data IDs with {element} cannot be listed by this release.")
        table, field = self._tables.source(element.name)
        values = select(table.c[field].label(element.name)).distinct().subquery(f"{element.name}_values")
        self.join(values, true())
        self.columns[element.name] = values.c[element.name]

    def select(self, columns: Sequence[ColumnElement[Any]]) -> Select[Any]:
        if not columns:
            columns = [true().label("exists")]
        query = select(*columns)
        return query if self._source is None else query.select_from(self._source)


def _related(
    group: DimensionGroup, data_id: Mapping[str, DataIdValue], by_datasets: bool = False
) -> DimensionGroup:
    """Return the group together with the dimensions that restrict it; spatial relations are not there yet.

    Where the rows come from datasets, these relate the dimensions of the group already.
    """
    joined = group | group.universe.conform(data_id)
    families = _spatial_families(joined)
    if len(families) > 1 and not (by_datasets and families == _spatial_families(group)):
        raise UnsupportedOperationError(
            f"Dimensions {', '.join(joined.names)} are related by overlaps on the sky, which this release "
            "does not join."
        )
    return joined


def _spatial_families(group: DimensionGroup) -> set[str]:
    elements = (group.universe[name] for name in group.names)
    return {element.spatial for element in elements if element.spatial}


def _restricted(
    statement: Select[Any],
    columns: Mapping[str, ColumnElement[Any]],
    data_id: Mapping[str, DataIdValue],
    source: DimensionElement | DimensionGroup,
) -> Select[Any]:
    universe = source.universe
    for name, value in data_id.items():
        statement = statement.where(columns[name] == check_value(universe.dimension(name), value))
    return statement


def _dimension_columns(group: DimensionGroup) -> tuple[PlannedColumn, ...]:
    elements = group.universe.elements
    return tuple(_result_column(name, elements[name].key_columns[name].type) for name in group.names)


def _result_column(name: str, type_: ColumnType) -> PlannedColumn:
    result = ResultType.BYTES if type_ is ColumnType.HASH else ResultType(type_.value)
    return PlannedColumn(name, result, 2 if type_ is ColumnType.TIMESPAN else 1)
