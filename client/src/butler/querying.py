# SPDX-License-Identifier: BSD-3-Clause
"""The querying half of a butler: ``query`` for what is asked step by step, ``query_...`` for lists."""

from __future__ import annotations

__all__ = ["DatasetQuerying"]

import warnings
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from butler_model.data_id import DataCoordinate, DataId
from butler_model.dataset import DatasetRef, DatasetType
from butler_model.dimensions import DimensionElement
from butler_model.errors import EmptyQueryResultError
from butler_model.records import DimensionRecord
from butler_model.universe import DimensionGroup

from .lookup import DatasetAccess
from .predicates import Predicate
from .query import Query
from .registry.patterns import Patterns, collections_searched, globs
from .results import QueryResults

_ROWS = 20_000
_Row = TypeVar("_Row")


class DatasetQuerying(DatasetAccess):
    """Queries of a butler.

    The methods that return lists return at most ``limit`` rows, 20,000 unless given otherwise. If there are more, a
    warning says so where the limit is negative, of which the size is the limit; `None` is no limit. Without any row
    they raise `EmptyQueryResultError` with reasons, unless ``explain`` is false.
    """

    def query(self) -> Query:
        """Return a query, to be restricted step by step; ``with butler.query() as query:`` may be written too."""
        return Query(self._connection, self._defaults, self._finder.types)

    def query_data_ids(
        self,
        dimensions: DimensionGroup | Iterable[str] | str,
        *,
        data_id: DataId | None = None,
        where: str | Predicate = "",
        bind: Mapping[str, Any] | None = None,
        with_dimension_records: bool = False,
        order_by: Iterable[str] | str = (),
        limit: int | None = -_ROWS,
        explain: bool = True,
        **kwargs: Any,
    ) -> list[DataCoordinate]:
        """Return data IDs for which there are dimension records."""
        found = self.query().where(data_id, where, bind=bind, **kwargs).data_ids(dimensions)
        found = found.expanded() if with_dimension_records else found
        return _listed(found, order_by, limit, explain)

    def query_dimension_records(
        self,
        element: str | DimensionElement,
        *,
        data_id: DataId | None = None,
        where: str | Predicate = "",
        bind: Mapping[str, Any] | None = None,
        order_by: Iterable[str] | str = (),
        limit: int | None = -_ROWS,
        explain: bool = True,
        **kwargs: Any,
    ) -> list[DimensionRecord]:
        """Return records of a dimension or other element."""
        found = self.query().where(data_id, where, bind=bind, **kwargs).dimension_records(element)
        return _listed(found, order_by, limit, explain)

    def query_datasets(
        self,
        dataset_type: DatasetType | str,
        collections: Patterns | None = None,
        *,
        find_first: bool = True,
        data_id: DataId | None = None,
        where: str | Predicate = "",
        bind: Mapping[str, Any] | None = None,
        with_dimension_records: bool = False,
        order_by: Iterable[str] | str = (),
        limit: int | None = -_ROWS,
        explain: bool = True,
        **kwargs: Any,
    ) -> list[DatasetRef]:
        """Return datasets of one type; with ``find_first``, the default, one per data ID."""
        names = collections_searched(
            self._connection.registry, self._defaults, collections, find_first=find_first
        )
        query = self.query().where(data_id, where, bind=bind, **kwargs)
        found = query.datasets(dataset_type, names, find_first=find_first)
        found = found.expanded() if with_dimension_records else found
        return _listed(found, order_by, limit, explain)

    def query_all_datasets(
        self,
        collections: Patterns | None = None,
        *,
        name: Patterns = "*",
        find_first: bool = True,
        data_id: DataId | None = None,
        where: str | Predicate = "",
        bind: Mapping[str, Any] | None = None,
        limit: int | None = -_ROWS,
        explain: bool = True,
        **kwargs: Any,
    ) -> list[DatasetRef]:
        """Return datasets of all types whose names match a glob, ordered by type.

        Types that lack a dimension which the data ID or expression uses are joined with it like others.
        """
        registry = self._connection.registry
        names = collections_searched(registry, self._defaults, collections, find_first=find_first)
        held = {t for summary in registry.collections.summaries(names) for t in summary.dataset_types}
        types = [[t] for t in registry.dataset_types.find(globs(name)) if t.name in held]
        query = self.query().where(data_id, where, bind=bind, **kwargs)
        return _listed(query.datasets_of(types, names, find_first=find_first), (), limit, explain)


def _listed(
    results: QueryResults[_Row], order_by: Iterable[str] | str, limit: int | None, explain: bool
) -> list[_Row]:
    terms = (order_by,) if isinstance(order_by, str) else tuple(order_by)
    if terms:
        results = results.order_by(*terms)
    most = None if limit is None else abs(limit)
    asked = most + 1 if most is not None and limit is not None and limit < 0 else most
    rows = list(results.limit(asked))
    if not rows and explain and most != 0:
        reasons = results.explain_no_results()
        raise EmptyQueryResultError(
            "The query has no results. " + (" ".join(reasons) or "Nothing explains why.")
        )
    if most is not None and len(rows) > most:
        warnings.warn(
            f"There are more than {most:,} results, and only so many are returned; give limit=None for all.",
            stacklevel=3,
        )
        del rows[most:]
    return rows
