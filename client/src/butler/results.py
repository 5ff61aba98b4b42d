# SPDX-License-Identifier: BSD-3-Clause
"""Results of queries: asked for when they are iterated, as often as they are, and read as a stream."""

from __future__ import annotations

__all__ = ["DataIdResults", "DatasetResults", "DimensionRecordResults", "QueryResults"]

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import repeat
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from butler_model.collecting import without_collection
from butler_model.data_id import DataCoordinate
from butler_model.dataset import DatasetRef, DatasetType
from butler_model.dimensions import DimensionElement
from butler_model.errors import InvalidRequestError
from butler_model.paging import PageRequest, ResultPage
from butler_model.ports import Registry
from butler_model.query.spec import QuerySpec, ResultKind
from butler_model.records import DimensionRecord
from butler_model.universe import DimensionGroup

from .query_arguments import both, bound_values, check_collections, order_terms, uploaded
from .result_tables import arrow_of_pages, pandas_of_arrow, table_of_pages

if TYPE_CHECKING:
    import astropy.table
    import pandas
    import pyarrow

_Row = TypeVar("_Row")

_SMALL = 1_000
"""Results known to have no more rows are asked for as one page."""


class QueryResults(ABC, Generic[_Row]):
    """What a query finds: distinct rows; each iteration asks anew, and holds one page at a time.

    Errors of the query (an unknown collection, a malformed expression) are raised when it is first asked. Methods that
    change what is asked return other results.
    """

    def __init__(self, registry: Registry, specs: Sequence[QuerySpec]) -> None:
        self._registry = registry
        self._specs = tuple(specs)
        self._limit: int | None = None

    def __iter__(self) -> Iterator[_Row]:
        for spec, page in self._pages():
            with without_collection():
                rows = list(self.rows_of(spec, page))
            yield from rows

    def order_by(self, *names: str) -> Self:
        """Return the rows in the order of some fields: ``visit``, ``-visit.exposure_time``, ``timespan.begin``.

        Rows without a value come last; those that agree come in the order of their keys.
        """
        return self._changed(lambda spec: replace(spec, order_by=order_terms(names)))

    def limit(self, rows: int | None) -> Self:
        """Return the first rows only; `None` for all."""
        changed = self._changed(lambda spec: replace(spec, limit=rows))
        changed._limit = rows
        return changed

    def where(self, where: str, bind: Mapping[str, Any] | None = None) -> Self:
        """Return the rows that satisfy an expression, too."""

        def restricted(spec: QuerySpec) -> QuerySpec:
            values = {**spec.bind, **bound_values(bind)}
            return replace(spec, where=both(spec.where, where), bind=values)

        return self._changed(restricted)

    def count(self, *, exact: bool = True) -> int:
        """Return the number of rows.

        With ``exact=False`` regions that share a pixel of the common pixelization count as overlapping, which is an
        upper bound that the database alone can tell.
        """
        rows = sum(self._registry.queries.count(spec, exact=exact) for spec in self._specs)
        return rows if self._limit is None else min(rows, self._limit)

    def any(self) -> bool:
        """Return whether there is a row; reads one at most."""
        return any(self._registry.queries.page(spec, PageRequest(size=1)).rows for spec in self._specs)

    def explain_no_results(self) -> list[str]:
        """Return reasons why there are no rows; none if there are some, or nobody knows why."""
        if not self._specs:
            return ["No registered dataset type, or no collection, is asked about."]
        if self.any():
            return []
        reasons = (self._registry.queries.explain_no_results(spec) for spec in self._specs)
        return list(dict.fromkeys(reason for some in reasons for reason in some))

    def toSet(self) -> set[_Row]:
        """Return all rows as a set."""
        return set(self)

    def to_arrow(self) -> pyarrow.Table:
        """Return the rows as a table of pyarrow, made of columns as they come, without an object for each row."""
        return arrow_of_pages(self._pages_of_one_shape())

    def to_pandas(self) -> pandas.DataFrame:
        """Return the rows as a data frame."""
        return pandas_of_arrow(self.to_arrow())

    def to_table(self) -> astropy.table.Table:
        """Return the rows as a table of astropy; UUIDs are text, timespans two columns of TAI nanoseconds."""
        return table_of_pages(self._pages_of_one_shape())

    @abstractmethod
    def rows_of(self, spec: QuerySpec, page: ResultPage) -> Iterable[_Row]:
        """Return the rows of a page as objects."""

    def _changed(self, change: Any) -> Self:
        changed = copy.copy(self)
        changed._specs = tuple(change(spec) for spec in self._specs)
        return changed

    def _pages(self) -> Iterator[tuple[QuerySpec, ResultPage]]:
        left = self._limit
        for spec in self._specs:
            if left == 0:
                return
            spec = spec if left is None else replace(spec, limit=left)
            for page in self._pages_of(spec):
                yield spec, page
                left = None if left is None else left - page.rows

    def _pages_of(self, spec: QuerySpec) -> Iterator[ResultPage]:
        queries = self._registry.queries
        if spec.limit is not None and spec.limit <= _SMALL:
            page = queries.page(spec, PageRequest(spec.limit))
            if not page.next_token:
                yield page
                return
        with closing(queries.stream(spec)) as stream:  # type: ignore[type-var] # a generator
            yield from stream

    def _pages_of_one_shape(self) -> Iterator[ResultPage]:
        if len(self._specs) > 1:
            raise InvalidRequestError(
                "Datasets of several types have different columns; make a table of each, for example of "
                "results.byParentDatasetType()."
            )
        return (page for _, page in self._pages())


class DataIdResults(QueryResults[DataCoordinate]):
    """Data IDs, full, in the order of their keys."""

    def __init__(self, registry: Registry, specs: Sequence[QuerySpec], dimensions: DimensionGroup) -> None:
        super().__init__(registry, specs)
        self.dimensions = dimensions
        self._expanded = False

    def expanded(self) -> DataIdResults:
        """Return the same data IDs with their records."""
        changed = self._changed(lambda spec: spec)
        changed._expanded = True
        return changed

    def subset(self, dimensions: DimensionGroup | Iterable[str] | str) -> DataIdResults:
        """Return the distinct data IDs of some of the dimensions."""
        group = self.dimensions.universe.conform(dimensions)
        if not set(group.names) <= set(self.dimensions.names):
            raise InvalidRequestError(
                f"{group} are not all among the dimensions of the result, {self.dimensions}."
            )

        def narrowed(spec: QuerySpec) -> QuerySpec:
            joined = tuple(dict.fromkeys((*spec.joined, *spec.dimensions)))
            return replace(spec, dimensions=group.names, joined=joined)

        changed = self._changed(narrowed)
        changed.dimensions = group
        return changed

    def findDatasets(
        self, datasetType: DatasetType | str, collections: str | Iterable[str], *, findFirst: bool = True
    ) -> DatasetResults:
        """Return the datasets of a type that have these data IDs, or data IDs that go with them.

        Raises
        ------
        MissingDatasetTypeError
            Raised if there is no dataset type of the name given.
        """
        names = check_collections(collections)
        if isinstance(datasetType, str):
            datasetType = self._registry.dataset_types.get(datasetType)
        specs = self._searching(datasetType, names, findFirst)
        return DatasetResults(self._registry, specs, [[datasetType]] * len(specs))

    @contextmanager
    def materialize(self) -> Iterator[DataIdResults]:
        """Ask once, and give the same data IDs for further questions; at most 100,000."""
        table = uploaded(self.dimensions, self)
        spec = QuerySpec(ResultKind.DATA_IDS, dimensions=self.dimensions.names, uploads=(table,))
        results = DataIdResults(self._registry, [spec] if table.rows else [], self.dimensions)
        results._expanded = self._expanded
        yield results

    def rows_of(self, spec: QuerySpec, page: ResultPage) -> Iterable[DataCoordinate]:
        data_ids = _data_ids(page, self.dimensions)
        return expanded(self._registry, self.dimensions, data_ids) if self._expanded else data_ids

    def _searching(
        self, dataset_type: DatasetType, collections: tuple[str, ...], find_first: bool
    ) -> list[QuerySpec]:
        return [
            replace(
                spec,
                kind=ResultKind.DATASETS,
                dimensions=tuple(dict.fromkeys((*spec.dimensions, *spec.joined))),
                joined=(),
                dataset_type=dataset_type.name,
                collections=collections,
                find_first=find_first,
                order_by=(),
            )
            for spec in self._specs
        ]


class DimensionRecordResults(QueryResults[DimensionRecord]):
    """Records of one element, in the order of their keys."""

    def __init__(self, registry: Registry, specs: Sequence[QuerySpec], element: DimensionElement) -> None:
        super().__init__(registry, specs)
        self.element = element

    def rows_of(self, spec: QuerySpec, page: ResultPage) -> Iterator[DimensionRecord]:
        columns = [page.column(column.name) for column in self.element.columns]
        return map(DimensionRecord.from_values, repeat(self.element), zip(*columns, strict=True))


class DatasetResults(QueryResults[DatasetRef]):
    """Resolved refs with full data IDs: by dataset type, then in the order of their keys.

    Parameters
    ----------
    dataset_types
        For each spec, the types of the refs to give for each row: that of the dataset, of components of it, or both.
    """

    def __init__(
        self, registry: Registry, specs: Sequence[QuerySpec], dataset_types: Sequence[Sequence[DatasetType]]
    ) -> None:
        super().__init__(registry, specs)
        self._types = {spec.dataset_type: types for spec, types in zip(specs, dataset_types, strict=True)}
        self._expanded = False

    def expanded(self) -> DatasetResults:
        """Return the same refs, their data IDs with records."""
        changed = self._changed(lambda spec: spec)
        changed._expanded = True
        return changed

    def byParentDatasetType(self) -> Iterator[DatasetResults]:
        """Yield the results of each dataset type by themselves."""
        for spec in self._specs:
            one = self._changed(lambda each: each)
            one._specs = (spec,)
            yield one

    @property
    def parentDatasetType(self) -> DatasetType:
        """The dataset type that the query is for; `InvalidRequestError` if there are several."""
        if len(self._specs) != 1:
            raise InvalidRequestError(f"The results are of {len(self._specs)} dataset types.")
        first = self._types[self._specs[0].dataset_type][0]
        return first.makeCompositeDatasetType() if first.isComponent() else first

    def rows_of(self, spec: QuerySpec, page: ResultPage) -> Iterator[DatasetRef]:
        types = self._types[spec.dataset_type]
        data_ids: Iterable[DataCoordinate] = _data_ids(page, types[0].dimensions)
        if self._expanded:
            data_ids = expanded(self._registry, types[0].dimensions, data_ids)
        runs, ids = page.column("run"), page.column("id")
        if len(types) == 1:
            return map(DatasetRef.from_checked, repeat(types[0]), data_ids, runs, ids)
        rows = zip(data_ids, runs, ids, strict=True)
        return (DatasetRef.from_checked(dataset_type, *row) for row in rows for dataset_type in types)


def expanded(
    registry: Registry, dimensions: DimensionGroup, data_ids: Iterable[DataCoordinate]
) -> Iterator[DataCoordinate]:
    """Yield data IDs with their records, asked for in batches."""
    rest, size = list(data_ids), registry.info.limits.batch_items
    for start in range(0, len(rest), size):
        some = [data_id.mapping for data_id in rest[start : start + size]]
        yield from registry.dimension_records.expand(dimensions, some)


def _data_ids(page: ResultPage, dimensions: DimensionGroup) -> Iterator[DataCoordinate]:
    if not dimensions:
        return (DataCoordinate(dimensions, ()) for _ in range(page.rows))
    columns = [page.column(name) for name in dimensions.names]
    return map(DataCoordinate, repeat(dimensions), zip(*columns, strict=True))
