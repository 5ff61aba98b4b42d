# SPDX-License-Identifier: BSD-3-Clause
"""A query in the making: ``butler.query()``."""

from __future__ import annotations

__all__ = ["Query"]

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from butler_model.data_id import DataCoordinate, DataId
from butler_model.dataset import DatasetType
from butler_model.dimensions import DimensionElement
from butler_model.errors import InvalidRequestError
from butler_model.query.spec import DatasetSearch, QuerySpec, ResultKind
from butler_model.universe import DimensionGroup

from .connect import Connection
from .defaults import RegistryDefaults, dimensions_of, plain_data_id
from .lookup import KnownDatasetTypes
from .predicates import ExpressionFactory, Predicate
from .query_arguments import both, bound_values, uploaded
from .results import DataIdResults, DatasetResults, DimensionRecordResults

_NAME = re.compile(r"[A-Za-z_]\w*")
_UNSPECIFIED = QuerySpec(ResultKind.DATA_IDS)


class Query:
    """What is asked, step by step: each step returns another query, and nothing is sent before results are used.

    It is a context manager only so that it can be written like one; it holds nothing.
    """

    def __init__(self, connection: Connection, defaults: RegistryDefaults, types: KnownDatasetTypes) -> None:
        self._connection = connection
        self._registry = connection.registry
        self._universe = connection.info.universe
        self._defaults = defaults
        self._types = types
        self._spec = _UNSPECIFIED

    @property
    def expression_factory(self) -> ExpressionFactory:
        """Makes expressions in Python: ``x.visit > 5``, ``x.any(x.band == "r", x.band == "i")``."""
        return ExpressionFactory(self._universe)

    def where(
        self,
        *conditions: str | Predicate | DataId | None,
        bind: Mapping[str, Any] | None = None,
        check: bool = True,
        **kwargs: Any,
    ) -> Query:
        """Return a query that is restricted further.

        Parameters
        ----------
        *conditions
            Expressions, as text or made by `expression_factory`; data IDs.
        bind
            Values of names in the expressions: numbers, text, times, timespans, regions, or lists of them for IN.
        check
            Whether expressions must say which instrument or skymap the other dimensions are of.
        **kwargs
            Values that dimensions must have.

        Raises
        ------
        InvalidRequestError
            Raised if a dimension would have to have two values, or a name two bound values.
        """
        text, values, binds = self._spec.where, dict(self._spec.data_id), dict(self._spec.bind)
        for condition in (*conditions, kwargs):
            if isinstance(condition, str | Predicate):
                text = both(text, str(condition))
                _add(binds, bound_values(getattr(condition, "bind", None)), "bound value")
            elif condition is not None:
                _add(values, plain_data_id(condition, {}), "value")
        _add(binds, bound_values(bind), "bound value")
        checked = self._spec.check and check
        return self._with(where=text, bind=binds, data_id=values, check=checked)

    def join_dimensions(self, dimensions: DimensionGroup | Iterable[str] | str) -> Query:
        """Return a query in which further dimensions take part."""
        names = self._universe.conform(dimensions).names
        return self._with(joined=tuple(dict.fromkeys((*self._spec.joined, *names))))

    def join_dataset_search(self, dataset_type: DatasetType | str, collections: Any = None) -> Query:
        """Return a query for that of which there are datasets; `MissingDatasetTypeError` for an unknown type."""
        given = self._dataset_type(dataset_type)
        parent, _ = given.nameAndComponent()
        search = DatasetSearch(parent, self._defaults.search_path(collections))
        return self._with(joins=(*self._spec.joins, search))

    def join_data_coordinates(self, data_ids: Iterable[DataCoordinate]) -> Query:
        """Return a query restricted to some data IDs, all of the same dimensions, at most 100,000."""
        given = list(data_ids)
        if not given:
            raise InvalidRequestError("No data IDs were given to be joined; a query for them finds nothing.")
        table = uploaded(given[0].dimensions, given)
        return self._with(uploads=(*self._spec.uploads, table))

    def data_ids(self, dimensions: DimensionGroup | Iterable[str] | str) -> DataIdResults:
        """Return the distinct data IDs of these dimensions for which there are records."""
        group = self._universe.conform(dimensions)
        spec = replace(self._complete(), dimensions=group.names)
        return DataIdResults(self._registry, [spec], group)

    def dimension_records(self, element: str | DimensionElement) -> DimensionRecordResults:
        """Return the records of a dimension or other element."""
        definition = self._universe[str(element)]
        spec = replace(
            self._complete(), kind=ResultKind.DIMENSION_RECORDS, element=definition.name, **self._others()
        )
        return DimensionRecordResults(self._registry, [spec], definition)

    def datasets(
        self, dataset_type: DatasetType | str, collections: Any = None, *, find_first: bool = True
    ) -> DatasetResults:
        """Return the datasets of a type; with ``find_first`` one per data ID, by the order of collections.

        Raises
        ------
        MissingDatasetTypeError
            Raised if there is no such type.
        NoDefaultCollectionError
            Raised if no collections are given, and the butler has no default ones.
        """
        found = self._dataset_type(dataset_type)
        names = self._defaults.search_path(collections)
        return self.datasets_of([[found]], names, find_first=find_first)

    def datasets_of(
        self, types: Sequence[Sequence[DatasetType]], collections: tuple[str, ...], *, find_first: bool
    ) -> DatasetResults:
        """Return the datasets of several types, each given with those of its components that refs are wanted of."""
        base, others = self._complete(), self._others()
        specs = [
            replace(
                base,
                kind=ResultKind.DATASETS,
                dataset_type=wanted[0].nameAndComponent()[0],
                collections=collections,
                find_first=find_first,
                **others,
            )
            for wanted in types
            if collections
        ]
        return DatasetResults(self._registry, specs, types if collections else [])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing."""

    def _dataset_type(self, given: DatasetType | str) -> DatasetType:
        if isinstance(given, DatasetType):
            self._types.check(given)
            return given
        return self._types.with_component(given)

    def _others(self) -> dict[str, Any]:
        return {"dimensions": self._spec.joined, "joined": ()}

    def _complete(self) -> QuerySpec:
        """Return the specification with the default values that it needs."""
        spec = self._spec
        dimensions = dimensions_of(self._universe, spec.data_id)
        data_id = self._defaults.fill(spec.data_id, dimensions)
        defaults = self._defaults.fill({}, self._named(spec.where)) if spec.check else {}
        return replace(spec, data_id=data_id, default_data_id=defaults)

    def _named(self, where: str) -> DimensionGroup:
        """Return the dimensions that an expression may mean: every name in it counts, also one in a text."""
        elements = (self._universe.get(name) for name in set(_NAME.findall(where)))
        return self._universe.conform(n for element in elements if element for n in element.required)

    def _with(self, **changes: Any) -> Query:
        changed = copy.copy(self)
        changed._spec = replace(self._spec, **changes)
        return changed


def _add(values: dict[str, Any], more: Mapping[str, Any], what: str) -> None:
    for name, value in more.items():
        if name in values and values[name] != value:
            raise InvalidRequestError(
                f"{name} was given the {what} {values[name]!r:.80} and the {what} {value!r:.80}.",
                name=name[:80],
            )
        values[name] = value
