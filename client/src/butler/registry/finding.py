# SPDX-License-Identifier: BSD-3-Clause
"""The half of ``butler.registry`` that is about what there is."""

from __future__ import annotations

__all__ = ["RegistryQueries"]

from collections.abc import Iterable
from typing import Any

from butler.defaults import dimensions_of, plain_data_id
from butler.queries import DataIdResults, DatasetResults, DimensionRecordResults
from butler_model.data_id import DataCoordinate, DataId
from butler_model.dataset import DatasetRef, DatasetType
from butler_model.dimensions import DimensionElement
from butler_model.query.spec import QuerySpec, ResultKind
from butler_model.timespan import Timespan
from butler_model.universe import DimensionGroup

from .definitions import RegistryDefinitions
from .patterns import Patterns, globs, is_glob


class RegistryQueries(RegistryDefinitions):
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

    def queryDatasets(
        self,
        datasetType: DatasetType | Patterns,
        *,
        collections: Patterns | None = None,
        dataId: DataId | None = None,
        findFirst: bool = False,
        **kwargs: Any,
    ) -> DatasetResults:
        """Return the datasets of one or more types in collections.

        Parameters
        ----------
        datasetType
            A type, or names and globs; those that match nothing add nothing.
        collections
            Names, or globs unless ``findFirst``; the default collections if absent.
        dataId, **kwargs
            Values that dimensions must have.
        findFirst
            Of datasets with the same type and data ID, give only the one found first in the order of
            collections.
        """
        patterns = [datasetType.name] if isinstance(datasetType, DatasetType) else globs(datasetType)
        names = self._collections_of(collections, findFirst)
        types = self._port.dataset_types.find(patterns) if names else []
        given = plain_data_id(dataId, kwargs)
        given = self.defaults.fill(given, dimensions_of(self.dimensions, given))
        specs = [
            QuerySpec(
                ResultKind.DATASETS,
                dataset_type=t.name,
                collections=names,
                find_first=findFirst,
                data_id=given,
            )
            for t in types
        ]
        return DatasetResults(self._port.queries, specs, types)

    def _collections_of(self, collections: Patterns | None, find_first: bool) -> tuple[str, ...]:
        if collections is None or find_first:
            names = self.defaults.search_path(collections)
        else:
            patterns = globs(collections)
            if any(is_glob(pattern) for pattern in patterns):
                found = [c.name for c in self._port.collections.find(patterns)]
                names = tuple(dict.fromkeys([p for p in patterns if not is_glob(p)] + found))
            else:
                names = self.defaults.search_path(patterns)
        return names

    def queryDataIds(
        self,
        dimensions: DimensionGroup | Iterable[str] | str,
        *,
        dataId: DataId | None = None,
        **kwargs: Any,
    ) -> DataIdResults:
        """Return the data IDs of these dimensions for which there are dimension records.

        Parameters
        ----------
        dataId, **kwargs
            Values that dimensions must have; they need not be among ``dimensions``.
        """
        group = self.dimensions.conform(dimensions)
        given = plain_data_id(dataId, kwargs)
        given = self.defaults.fill(given, dimensions_of(self.dimensions, given))
        spec = QuerySpec(ResultKind.DATA_IDS, dimensions=group.names, data_id=given)
        return DataIdResults(self._port.queries, spec, group)

    def queryDimensionRecords(
        self, element: str | DimensionElement, *, dataId: DataId | None = None, **kwargs: Any
    ) -> DimensionRecordResults:
        """Return the records of a dimension or other element.

        Parameters
        ----------
        dataId, **kwargs
            Values that dimensions must have.
        """
        definition = self.dimensions[str(element)]
        given = plain_data_id(dataId, kwargs)
        given = self.defaults.fill(given, dimensions_of(self.dimensions, given))
        spec = QuerySpec(ResultKind.DIMENSION_RECORDS, element=definition.name, data_id=given)
        return DimensionRecordResults(self._port.queries, spec, definition)
