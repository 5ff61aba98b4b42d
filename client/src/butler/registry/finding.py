# SPDX-License-Identifier: BSD-3-Clause
"""The part of ``butler.registry`` that is about what there is."""

from __future__ import annotations

__all__ = ["RegistryQueries"]

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID

from butler.dataset_arguments import check_refs
from butler.defaults import plain_data_id
from butler.lookup import check_writeable, dataset_uuid
from butler.predicates import Predicate
from butler.query import Query
from butler.results import DataIdResults, DatasetResults, DimensionRecordResults
from butler_model.data_id import DataCoordinate, DataId
from butler_model.dataset import DatasetRef, DatasetType
from butler_model.dimensions import DimensionElement
from butler_model.ports import DatasetEvent
from butler_model.timespan import Timespan
from butler_model.universe import DimensionGroup

from .associations import RegistryAssociations
from .definitions import components_of
from .patterns import Patterns, collections_searched, globs, is_glob, matches_any


class RegistryQueries(RegistryAssociations):
    """Finding data IDs, records and datasets."""

    def expandDataId(
        self,
        dataId: DataId | None = None,
        *,
        dimensions: DimensionGroup | Iterable[str] | None = None,
        withDefaults: bool = True,
        **kwargs: Any,
    ) -> DataCoordinate:
        """Return a data ID with its implied values and records.

        Parameters
        ----------
        dimensions
            The dimensions wanted; those of the data ID if absent.
        withDefaults
            Whether governor dimensions that are missing take their default values.

        Raises
        ------
        DimensionNameError
            Raised if a dimension is unknown, or one that is required has no value.
        DataIdValueError, InconsistentDataIdError
            Raised if a value has no record, or contradicts one.
        """
        if isinstance(dataId, DataCoordinate) and dimensions is None and not kwargs:
            if dataId.hasRecords():
                return dataId
            dimensions = dataId.dimensions
        given = plain_data_id(dataId, kwargs)
        for name in given:
            self.dimensions.dimension(name)
        group = self.dimensions.conform(given if dimensions is None else dimensions)
        if withDefaults:
            given = self.defaults.fill(given, group)
        return self._port.dimension_records.expand(group, [given])[0]

    def findDataset(
        self,
        datasetType: DatasetType | str,
        dataId: DataId | None = None,
        *,
        collections: Any = None,
        timespan: Timespan | None = None,
        **kwargs: Any,
    ) -> DatasetRef | None:
        """Return the first dataset of that type and data ID in the collections; `None` if there is none."""
        wanted = self._finder.wanted(datasetType, dataId, kwargs)
        found = self._finder.find(wanted, self.defaults.search_path(collections), timespan=timespan)
        return None if found is None else self._finder.ref_of(found, wanted.component)

    def getDatasetLocations(self, ref: DatasetRef) -> list[str]:
        """Return the names of the stores that hold artifacts of a dataset; `AmbiguousDatasetError` without id."""
        (given,) = check_refs([ref], "ref")
        (found,) = self._port.datasets.get([given.getCheckedId()], want_artifacts=True)
        return sorted({artifact.record.store for artifact in found.artifacts}) if found else []

    def getDataset(self, id: UUID | str) -> DatasetRef | None:
        """Return the ref of a dataset by its id; `None` if there is none."""
        (found,) = self._finder.by_id([dataset_uuid(id)])
        return None if found is None else found.ref

    def transaction(self, *, savepoint: bool = False) -> AbstractContextManager[None]:
        """Return the same as `Butler.transaction`, in which each inner one is a savepoint, whatever is asked for."""
        check_writeable(self._writeable, "change it in a transaction")
        return self._port.transaction()

    def refresh(self) -> None:
        """Do nothing: what other clients registered is seen at once."""

    def queryDatasets(
        self,
        datasetType: DatasetType | Patterns | Iterable[DatasetType | str],
        *,
        collections: Patterns | None = None,
        dimensions: DimensionGroup | Iterable[str] | None = None,
        dataId: DataId | None = None,
        where: str | Predicate = "",
        findFirst: bool = False,
        components: bool | None = False,
        bind: Mapping[str, Any] | None = None,
        check: bool = True,
        **kwargs: Any,
    ) -> DatasetResults:
        """Return the datasets of one or more types in collections, each once.

        Parameters
        ----------
        datasetType
            Types, names and globs; those that match nothing add nothing. Refs of a component are given for the
            explicit name or type of one.
        collections
            Names, or globs unless ``findFirst``; ``...`` is all runs. The default collections if absent.
        dimensions
            Dimensions that take part in the query besides those of the types.
        dataId, **kwargs
            Values that dimensions must have.
        where, bind, check
            An expression that the data IDs must satisfy, the values of names in it, and whether it must say of which
            instrument or skymap the dimensions in it are; see docs/reference/expressions.md.
        findFirst
            Of datasets with the same type and data ID, give only the one found first in the order of collections.
        components
            Whether refs of components are given along with those of the types.
        """
        names = collections_searched(self._port, self.defaults, collections, find_first=findFirst)
        types = self._types(datasetType, components) if names else []
        query = self._query().where(dataId, where, bind=bind, check=check, **kwargs)
        if dimensions is not None:
            query = query.join_dimensions(dimensions)
        return query.datasets_of(types, names, find_first=findFirst)

    def queryDataIds(
        self,
        dimensions: DimensionGroup | Iterable[str] | str,
        *,
        dataId: DataId | None = None,
        datasets: DatasetType | Patterns | Iterable[DatasetType | str] | None = None,
        collections: Patterns | None = None,
        where: str | Predicate = "",
        bind: Mapping[str, Any] | None = None,
        check: bool = True,
        **kwargs: Any,
    ) -> DataIdResults:
        """Return the distinct data IDs of these dimensions for which there are dimension records.

        Parameters
        ----------
        dataId, **kwargs
            Values that dimensions must have; they need not be among ``dimensions``.
        datasets, collections
            Dataset types, all of which must have a dataset that goes with the data ID in one of the collections.
        where, bind, check
            As in `queryDatasets`.
        """
        query = self._restricted(dataId, where, bind, check, kwargs, datasets, collections)
        group = self.dimensions.conform(dimensions)
        return DataIdResults(self._port, [], group) if query is None else query.data_ids(group)

    def queryDimensionRecords(
        self,
        element: str | DimensionElement,
        *,
        dataId: DataId | None = None,
        datasets: DatasetType | Patterns | Iterable[DatasetType | str] | None = None,
        collections: Patterns | None = None,
        where: str | Predicate = "",
        bind: Mapping[str, Any] | None = None,
        check: bool = True,
        **kwargs: Any,
    ) -> DimensionRecordResults:
        """Return the distinct records of a dimension or other element; parameters as in `queryDataIds`."""
        definition = self.dimensions[str(element)]
        query = self._restricted(dataId, where, bind, check, kwargs, datasets, collections)
        if query is None:
            return DimensionRecordResults(self._port, [], definition)
        return query.dimension_records(definition)

    def watch(
        self, position: bytes | None = None, *, datasetType: Patterns = ..., runs: Patterns = ...
    ) -> Iterator[DatasetEvent]:
        """Yield what happens to datasets, as it happens: appeared, or removed; it never ends by itself.

        Parameters
        ----------
        position
            `DatasetEvent.position` of the last event seen, to go on from there; what happens from now on if absent.
        """
        start = self._port.events.position() if position is None else position
        watched = self._port.events.watch(start, dataset_types=globs(datasetType), runs=globs(runs))
        return (event for event in watched if event is not None)

    def _query(self) -> Query:
        return Query(self._connection, self.defaults, self._finder.types)

    def _restricted(
        self,
        data_id: DataId | None,
        where: str | Predicate,
        bind: Mapping[str, Any] | None,
        check: bool,
        keywords: Mapping[str, Any],
        datasets: DatasetType | Patterns | Iterable[DatasetType | str] | None,
        collections: Patterns | None,
    ) -> Query | None:
        """Return a query with constraints; `None` if there can be no row, for want of a dataset type or collection."""
        query = self._query().where(data_id, where, bind=bind, check=check, **keywords)
        if datasets is None:
            return query
        names = collections_searched(self._port, self.defaults, collections, find_first=False)
        types = self._types(datasets, False)
        if not types or not names:
            return None
        for wanted in types:
            query = query.join_dataset_search(wanted[0], names)
        return query

    def _known_types(self, names: Sequence[str]) -> list[DatasetType]:
        """Return registered types by name or glob; explicit names of types that were seen before are not asked for."""
        known = [None if is_glob(name) else self._finder.types.peek(name) for name in names]
        found = [dataset_type for dataset_type in known if dataset_type is not None]
        if len(found) == len(names):
            return sorted(found, key=lambda dataset_type: dataset_type.name)
        asked = self._port.dataset_types.find(names)
        self._finder.types.remember(asked)
        return asked

    def _types(
        self, given: DatasetType | Patterns | Iterable[DatasetType | str], components: bool | None
    ) -> list[list[DatasetType]]:
        """Return for each registered type that is meant the types of the refs that are wanted."""
        if isinstance(given, DatasetType | str) or not isinstance(given, Iterable):
            several: list[Any] = ["*" if given is ... else given]
        else:
            several = list(given)
        names = globs([t.name if isinstance(t, DatasetType) else t for t in several])
        composites = [n if is_glob(n) else DatasetType.splitDatasetTypeName(n)[0] for n in names]
        wanted: list[list[DatasetType]] = []
        for found in self._known_types(composites):
            whole = matches_any(found.name, names)
            parts = components_of(found) if components or not whole else []
            wanted.append(
                [
                    *([found] if whole else []),
                    *(part for part in parts if components or matches_any(part.name, names)),
                ]
            )
        return [types for types in wanted if types]
