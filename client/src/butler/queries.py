# SPDX-License-Identifier: BSD-3-Clause
"""Results of queries: read page by page while they are iterated, as often as they are."""

from __future__ import annotations

__all__ = ["DataIdResults", "DatasetResults", "DimensionRecordResults", "QueryResults", "pages"]

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, TypeVar

from butler_model.data_id import DataCoordinate
from butler_model.dataset import DatasetRef, DatasetType
from butler_model.dimensions import DimensionElement
from butler_model.paging import PageRequest, ResultPage
from butler_model.ports import Queries
from butler_model.query.spec import QuerySpec
from butler_model.records import DimensionRecord
from butler_model.universe import DimensionGroup

_Row = TypeVar("_Row")


def pages(queries: Queries, spec: QuerySpec) -> Iterator[ResultPage]:
    """Yield the pages of a query."""
    token = b""
    while True:
        page = queries.page(spec, PageRequest(token=token))
        yield page
        token = page.next_token
        if not token:
            return


class QueryResults(ABC, Generic[_Row]):
    """What a query finds; each iteration asks anew, and holds one page at a time.

    Errors of the query (an unknown collection, a malformed value) are raised by the first iteration.
    """

    def __init__(self, queries: Queries, specs: Sequence[QuerySpec]) -> None:
        self._queries = queries
        self._specs = specs

    def __iter__(self) -> Iterator[_Row]:
        for spec in self._specs:
            for page in pages(self._queries, spec):
                yield from self._rows(spec, page)

    def count(self) -> int:
        """Return the number of rows; reads all pages, makes no objects of their rows."""
        return sum(page.rows for spec in self._specs for page in pages(self._queries, spec))

    def any(self) -> bool:
        """Return whether there is a row; reads one at most."""
        return any(self._queries.page(spec, PageRequest(size=1)).rows for spec in self._specs)

    def toSet(self) -> set[_Row]:
        """Return all rows as a set."""
        return set(self)

    @abstractmethod
    def _rows(self, spec: QuerySpec, page: ResultPage) -> Iterable[_Row]:
        """Return the rows of a page as objects."""


class DataIdResults(QueryResults[DataCoordinate]):
    """Data IDs, full, in the order of their keys."""

    def __init__(self, queries: Queries, spec: QuerySpec, dimensions: DimensionGroup) -> None:
        super().__init__(queries, [spec])
        self.dimensions = dimensions

    def _rows(self, spec: QuerySpec, page: ResultPage) -> Iterator[DataCoordinate]:
        return _data_ids(page, self.dimensions)


class DimensionRecordResults(QueryResults[DimensionRecord]):
    """Records of one element, in the order of their keys."""

    def __init__(self, queries: Queries, spec: QuerySpec, element: DimensionElement) -> None:
        super().__init__(queries, [spec])
        self.element = element

    def _rows(self, spec: QuerySpec, page: ResultPage) -> Iterator[DimensionRecord]:
        columns = [page.column(column.name) for column in self.element.columns]
        for values in zip(*columns, strict=True):
            yield DimensionRecord.from_values(self.element, values)


class DatasetResults(QueryResults[DatasetRef]):
    """Resolved refs with full data IDs: by dataset type, then in the order of their keys."""

    def __init__(
        self, queries: Queries, specs: Sequence[QuerySpec], dataset_types: Sequence[DatasetType]
    ) -> None:
        super().__init__(queries, specs)
        self._types = {dataset_type.name: dataset_type for dataset_type in dataset_types}

    def _rows(self, spec: QuerySpec, page: ResultPage) -> Iterator[DatasetRef]:
        dataset_type = self._types[spec.dataset_type]
        data_ids = _data_ids(page, dataset_type.dimensions)
        for data_id, uuid, run in zip(data_ids, page.column("id"), page.column("run"), strict=True):
            yield DatasetRef(dataset_type, data_id, run, id=uuid)


def _data_ids(page: ResultPage, dimensions: DimensionGroup) -> Iterator[DataCoordinate]:
    if not dimensions:
        return (DataCoordinate.from_full_values(dimensions, ()) for _ in range(page.rows))
    columns = [page.column(name) for name in dimensions.names]
    return (DataCoordinate.from_full_values(dimensions, values) for values in zip(*columns, strict=True))
