# SPDX-License-Identifier: BSD-3-Clause
"""Building the plan of a query: which tables are joined, which conditions hold, what is selected in which order."""

from __future__ import annotations

__all__ = ["plan_query"]

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Select, and_, case, func, or_, select
from sqlalchemy.sql.elements import NamedColumn

from butler_model.collection import CollectionType
from butler_model.data_id import check_value
from butler_model.dimensions import ColumnType, DimensionElement
from butler_model.errors import InvalidRequestError, UnsupportedOperationError
from butler_model.paging import ResultType
from butler_model.query.typed import Column, DatasetColumn, columns_of
from butler_model.timespan import MAX_NSEC, MIN_NSEC
from butler_registry.storage.bound_rows import bound_rows
from butler_registry.storage.dimension_tables import TIMESPAN_BEGIN, TIMESPAN_END, DimensionTables
from butler_registry.storage.schema import StaticTables

from .dataset_columns import DatasetColumns
from .dataset_search import Places, dataset_places, existing_data_ids
from .expression_sql import compile_expression
from .joins import Joins
from .ordering import SortTerm
from .plan import DatasetPlace, ExactPair, PixelColumn, PlannedColumn, QueryPlan, QueryRequest
from .spatial import PixelExpansion, join_families


def plan_query(
    static: StaticTables, tables: DimensionTables, request: QueryRequest, connection: Connection
) -> QueryPlan:
    """Plan a query.

    Raises
    ------
    UnsupportedOperationError
        Raised for pixels that nothing in the query gives.
    InvalidRequestError
        Raised for an order by what the rows of the result do not determine.
    """
    return _Builder(static, tables, request, connection).build()


class _Builder:
    def __init__(
        self, static: StaticTables, tables: DimensionTables, request: QueryRequest, connection: Connection
    ) -> None:
        self._request = request
        self._connection = connection
        self._tables = tables
        self._universe = tables.universe
        self._joins = Joins(tables)
        self._datasets = DatasetColumns(static, self._joins)
        self._selected: list[ColumnElement[Any]] = []
        self._completes_late = False
        self._rank: ColumnElement[int] | None = None

    def build(self) -> QueryPlan:
        request, joins = self._request, self._joins
        self._join_datasets()
        self._join_uploads()
        if request.element is not None and request.element.has_table:
            joins.element(request.element)
        # Pairs that overlap come first: they relate dimensions whose product would be large.
        tests, expansions = join_families(joins, request.joined, request.overlaps)
        self._completes_late = self._may_complete_late and not (tests or expansions)
        joins.group(request.joined, implied=not (self._is_counted_by_keys or self._completes_late))
        self._restrict()
        columns = self._result_columns(expansions)
        terms = self._order_terms()
        n_key = len(terms)
        repeats = self._may_repeat()
        needs_more = bool(tests or expansions)
        if repeats and needs_more:
            terms += self._hidden_terms()
        order_at = tuple(self._at(term.column) for term in terms)
        if self._completes_late:
            late = {name: len(self._selected) + at for at, name in enumerate(request.result.implied)}
            columns = tuple(replace(each, at=late.get(each.name, each.at)) for each in columns)
        pairs = tuple(ExactPair(self._at(t.first), self._at(t.second), t.pixels) for t in tests)
        pixels = self._pixels(expansions)
        statement = joins.select(self._selected)
        if repeats and not needs_more:
            statement = statement.distinct()
        statement = self._of_first_collection(statement)
        given = list(statement.selected_columns)
        complete = self._complete if self._completes_late else None
        order = tuple(
            SortTerm(given[at], term.descending, term.nullable)
            for at, term in zip(order_at, terms, strict=True)
        )
        needs_more = repeats and needs_more
        return QueryPlan(statement, columns, order, order_at, n_key, needs_more, pairs, pixels, complete)

    def column(self, column: Column) -> ColumnElement[Any]:
        """Return a field of a record; of a timespan, one end (implements `ColumnSource`)."""
        element, joins = self._universe[column.element], self._joins
        for name in element.key_columns:
            if element.field_name(name) == column.field and name in joins.columns:
                return joins.columns[name]
        table = joins.element(element)
        if element.temporal and column.field == "timespan":
            return table.c[TIMESPAN_END if column.end == "end" else TIMESPAN_BEGIN]
        return table.c[column.field]

    def dataset_column(self, column: DatasetColumn) -> ColumnElement[Any]:
        """Return a field of a dataset; of a timespan, one end (implements `ColumnSource`)."""
        return self._datasets.column(column)

    def keys(self, element: str) -> Sequence[NamedColumn[Any]]:
        """Return the columns of the required dimensions of an element (implements `ColumnSource`)."""
        return [self._joins.columns[name].label(name) for name in self._universe[element].required]

    def _join_datasets(self) -> None:
        """Join what is searched for and what must exist."""
        request = self._request
        if request.dataset is not None:
            places = dataset_places(request.dataset.row, request.dataset.collections)
            places = self._first_places(request.dataset, places)
            self._join_places(request.dataset, places)
            self._datasets.search(request.dataset, places)
        for number, place in enumerate(request.joins):
            self._join_places(place, existing_data_ids(place.row, place.collections, number))

    def _join_places(self, place: DatasetPlace, places: Places) -> None:
        self._joins.join(places.table, places.dimensions(place.row))
        self._joins.relate(place.row.dataset_type.dimensions.required)
        self._joins.conditions += places.conditions
        element = self._time_of(place)
        if places.valid is not None and element is not None:
            # A record without times counts as unbounded.
            time = self._joins.element(element).c
            begin, end = places.valid
            overlap = and_(
                begin < func.coalesce(time[TIMESPAN_END], MAX_NSEC),
                end > func.coalesce(time[TIMESPAN_BEGIN], MIN_NSEC),
            )
            self._joins.conditions.append(overlap if places.always is None else or_(places.always, overlap))

    def _time_of(self, place: DatasetPlace) -> DimensionElement | None:
        """Return the element whose times decide which calibrations are meant; `None` if nothing does."""
        names = set(self._request.joined.names)
        own = set(place.row.dataset_type.dimensions.required)
        for members in self._universe.families["temporal"].values():
            for name in members:
                required = set(self._universe[name].required)
                if required <= names and not required <= own:
                    return self._universe[name]
        return None

    def _first_places(self, place: DatasetPlace, places: Places) -> Places:
        """Return the places of the first collection for each data ID, if no others are wanted."""
        if not self._request.find_first or len(place.collections) < 2:
            return places
        if places.valid is not None and self._time_of(place) is not None:
            self._rank = self._search_rank(
                place, places
            )  # of a calibration only its time tells which is first
            return places
        keys = places.dimensions(place.row)
        order = func.rank().over(partition_by=list(keys.values()), order_by=self._search_rank(place, places))
        columns = [places.table.c.dataset_id, places.table.c.collection_id, *keys.values()]
        ranked = select(*columns, order.label("search_order")).where(*places.conditions).subquery("ranked")
        return Places(ranked, None, (ranked.c.search_order == 1,))

    def _search_rank(self, place: DatasetPlace, places: Places) -> ColumnElement[int]:
        ids = {collection.id: rank for rank, collection in enumerate(place.collections)}
        return case(*((places.table.c.collection_id == i, rank) for i, rank in ids.items()))

    def _of_first_collection(self, statement: Select[Any]) -> Select[Any]:
        if self._rank is None:
            return statement
        keys = [self._joins.columns[name] for name in self._request.joined.required]
        order = func.rank().over(partition_by=keys, order_by=self._rank).label("search_order")
        inner = statement.add_columns(order).subquery("ranked")
        *columns, rank = inner.c
        return select(*columns).where(rank == 1)

    def _join_uploads(self) -> None:
        for number, table in enumerate(self._request.uploads):
            keys = [self._universe.dimension(name) for name in table.dimensions]
            typed = [self._key_column(element) for element in keys]
            rows = [
                tuple(check_value(element, value) for element, value in zip(keys, row, strict=True))
                for row in table.rows
            ]
            given = bound_rows(typed, rows, self._connection).distinct().subquery(f"given_{number}")
            self._joins.join(given, {element.name: given.c[element.name] for element in keys})

    def _key_column(self, element: DimensionElement) -> NamedColumn[Any]:
        table, field = self._joins.source(element.name)
        return table.c[field].label(element.name)

    @cached_property
    def _is_counted_by_keys(self) -> bool:
        """Whether the rows can be counted without what their dimensions imply: a record of it exists, just one.

        Not if anything else has values of that, which are then compared.
        """
        request = self._request
        used = {*(request.data_id or ()), *request.result.required}
        for place in request.joins:
            used.update(place.row.dataset_type.dimensions.required)
        for table in request.uploads:
            used.update(self._universe.dimension(name).name for name in table.dimensions)
        for column in columns_of(request.where) if request.where is not None else ():
            if isinstance(column, Column):
                element = self._universe[column.element]
                used.update(element.required, [element.name] if element.is_dimension else [])
        return request.counted and used <= set(request.joined.required)

    @property
    def _may_complete_late(self) -> bool:
        """Whether what the rows imply can be looked up for those of a page only, when it is known which these are.

        So it is for a listing of datasets: each of their data IDs has a record of all that it implies.
        """
        request = self._request
        is_listing = (
            request.dataset is not None and request.joined is request.result and request.result.implied
        )
        narrowed = request.where is not None or request.data_id or request.joins or request.uploads
        return bool(is_listing) and not (
            narrowed or request.order_by or request.counted or self._may_repeat()
        )

    def _complete(self, page: FromClause) -> Select[Any]:
        """Return the statement for the rows of a page with what their dimensions imply."""
        group = self._request.result
        joins = Joins(self._tables)
        joins.join(page, {name: page.c[self._joins.columns[name].name] for name in group.required})
        joins.relate(group.required)
        joins.group(group)
        return joins.select([*page.c, *(joins.columns[name] for name in group.implied)])

    def _restrict(self) -> None:
        request, joins = self._request, self._joins
        for name, value in (request.data_id or {}).items():
            if name in joins.columns:
                checked = check_value(self._universe.dimension(name), value)
                joins.conditions.append(joins.columns[name] == checked)
        if request.where is not None:
            keys = request.region_keys or {}
            joins.conditions.append(compile_expression(request.where, self, keys, self._connection))

    def _result_columns(self, expansions: Sequence[PixelExpansion]) -> tuple[PlannedColumn, ...]:
        request = self._request
        if request.element is not None:
            return tuple(self._field(request.element, c.name, c.type) for c in request.element.columns)
        columns = []
        listed = {expansion.dimension.name for expansion in expansions}
        for name in request.result.required if self._is_counted_by_keys else request.result.names:
            type_ = _result_type(self._universe[name].key_columns[name].type)
            is_elsewhere = name in listed or (self._completes_late and name in request.result.implied)
            columns.append(
                PlannedColumn(name, type_, None if is_elsewhere else self._at(self._joins.columns[name]))
            )
        if request.dataset is not None:
            columns.append(PlannedColumn("id", ResultType.UUID, self._at(self._datasets.dataset_id)))
            columns.append(self._run_of(request.dataset))
            columns += [self._dataset_field(name, request.dataset) for name in request.dataset_fields]
        return tuple(columns)

    def _field(self, element: DimensionElement, name: str, type_: ColumnType) -> PlannedColumn:
        if type_ is ColumnType.TIMESPAN:
            table = self._joins.element(element)
            at = self._at(table.c[TIMESPAN_BEGIN])
            self._selected.append(table.c[TIMESPAN_END])
            return PlannedColumn(name, ResultType.TIMESPAN, at)
        if element.has_table:
            return PlannedColumn(name, _result_type(type_), self._at(self._joins.element(element).c[name]))
        return PlannedColumn(name, _result_type(type_), self._at(self._joins.columns[element.name]))

    def _run_of(self, place: DatasetPlace) -> PlannedColumn:
        if self._request.counted or self._datasets.are_in_runs:
            return PlannedColumn("run", ResultType.STRING, self._at(self._datasets.run_id), _names(place))
        # Asked for afterwards, it might be gone.
        return PlannedColumn("run", ResultType.STRING, self._at(self._datasets.run))

    def _dataset_field(self, name: str, place: DatasetPlace) -> PlannedColumn:
        if name == "collection":
            at = self._at(self._datasets.collection_id)
            return PlannedColumn(name, ResultType.STRING, at, _names(place))
        if name == "ingest_date":
            return PlannedColumn(name, ResultType.INT, self._at(self._datasets.ingest_nsec))
        if name == "timespan":
            begin, end = self._datasets.valid
            at = self._at(begin)
            self._selected.append(end)
            return PlannedColumn(name, ResultType.TIMESPAN, at)
        raise InvalidRequestError(
            f"Datasets have no field {name!r} to be listed; there are collection, timespan and ingest_date.",
            field=name,
        )

    def _at(self, column: ColumnElement[Any]) -> int:
        """Return the position of a column in the statement; it is added if it is not there."""
        for position, selected in enumerate(self._selected):
            if selected is column:
                return position
        self._selected.append(column)
        return len(self._selected) - 1

    def _order_terms(self) -> list[SortTerm]:
        terms = []
        determined = set(self._request.result.names)
        for column, descending in self._request.order_by:
            if isinstance(column, Column) and not set(self._universe[column.element].required) <= determined:
                raise InvalidRequestError(
                    f"{_described(self._request)} cannot be ordered by {column.element}, of which each may have "
                    "several; order by a dimension of theirs, or add this one to the result.",
                    dimension=column.element,
                )
            if isinstance(column, DatasetColumn):
                self._check_determined(column)
            expression = self.column(column) if isinstance(column, Column) else self.dataset_column(column)
            terms.append(SortTerm(expression, descending, nullable=True))
        columns = self._joins.columns
        keys = [columns[n] for n in self._request.result.required if n in columns]
        if self._request.dataset is not None and not self._is_one_for_each(self._request.dataset):
            keys.append(self._datasets.dataset_id)
            if "collection" in self._request.dataset_fields:
                keys.append(self._datasets.collection_id)
            if "timespan" in self._request.dataset_fields:
                keys.append(self._datasets.valid[0])
        return terms + [SortTerm(key) for key in keys]

    def _is_one_for_each(self, place: DatasetPlace) -> bool:
        """Return whether there is one dataset at most for each data ID, in one collection."""
        is_single = self._request.find_first or len(place.collections) == 1
        return is_single and not any(collection.is_calibration for collection in place.collections)

    def _check_determined(self, column: DatasetColumn) -> None:
        several = column.field in ("collection", "timespan") and not self._request.find_first
        if several and column.field not in self._request.dataset_fields:
            raise InvalidRequestError(
                f"A dataset may have several values of {column.field}; ask for that field, or for the first found.",
                field=column.field,
            )

    def _hidden_terms(self) -> list[SortTerm]:
        columns, shown = self._joins.columns, self._request.result
        return [
            SortTerm(columns[n]) for n in self._request.joined.required if n in columns and n not in shown
        ]

    def _may_repeat(self) -> bool:
        request = self._request
        if request.joined is not request.result:
            return True
        places = (*request.joins, *((request.dataset,) if request.dataset else ()))
        if any(c.is_calibration for place in places for c in place.collections):
            return True
        found = request.dataset.collections if request.dataset and not request.find_first else ()
        runs_only = all(c.collection.type is CollectionType.RUN for c in found)
        return len(found) > 1 and not runs_only

    def _pixels(self, expansions: Sequence[PixelExpansion]) -> PixelColumn | None:
        if not expansions:
            return None
        if self._request.order_by:
            raise UnsupportedOperationError(
                "Rows with pixels come in the order of their keys only; leave order_by."
            )
        dimension = expansions[0].dimension
        only = (self._request.data_id or {}).get(dimension.name)
        shown = dimension.name in self._request.result
        value = None if only is None else check_value(dimension, only)
        assert value is None or isinstance(value, int)
        return PixelColumn(self._at(expansions[0].region), dimension, value, shown)


def _names(place: DatasetPlace) -> dict[int, str]:
    return {row.id: row.collection.name for row in place.collections}


def _result_type(type_: ColumnType) -> ResultType:
    return ResultType.BYTES if type_ is ColumnType.HASH else ResultType(type_.value)


def _described(request: QueryRequest) -> str:
    """Return what an error calls the rows of a query."""
    names = ", ".join(request.result.required) or "no dimensions"
    if request.dataset is not None:
        return f"Datasets of type {request.dataset.row.dataset_type.name!r}, which have {names},"
    return f"Rows of {names}"
