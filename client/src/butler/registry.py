# SPDX-License-Identifier: BSD-3-Clause
"""``butler.registry``: definitions and queries of a repository, under the names that the field knows."""

from __future__ import annotations

__all__ = ["ButlerRegistry"]

import uuid
from collections.abc import Iterable, Mapping, Sequence
from types import EllipsisType
from typing import Any

from butler_model.collection import Collection, CollectionType
from butler_model.data_id import DataCoordinate, DataId
from butler_model.dataset import DatasetRef, DatasetType
from butler_model.dimensions import DimensionElement
from butler_model.errors import InvalidRequestError
from butler_model.query.spec import QuerySpec, ResultKind
from butler_model.records import DimensionRecord
from butler_model.timespan import Timespan
from butler_model.universe import DimensionGroup, DimensionUniverse

from .connect import Connection
from .defaults import RegistryDefaults, dimensions_of, plain_data_id
from .lookup import DatasetFinder, check_writeable
from .queries import DataIdResults, DatasetResults, DimensionRecordResults

_Patterns = str | Iterable[str] | EllipsisType


class _Definitions:
    """Collections, dataset types and dimension records: what datasets are described with."""

    def __init__(
        self, connection: Connection, defaults: RegistryDefaults, finder: DatasetFinder, *, writeable: bool
    ) -> None:
        self._port = connection.registry
        self._info = connection.info
        self._finder = finder
        self._writeable = writeable
        self.defaults = defaults
        """Run, collections and governor values assumed where none are given."""

    @property
    def dimensions(self) -> DimensionUniverse:
        """All dimensions of the repository."""
        return self._info.universe

    def registerRun(self, name: str, doc: str = "") -> bool:
        """Register a RUN collection; return whether it is new."""
        return self.registerCollection(name, CollectionType.RUN, doc)

    def registerCollection(
        self, name: str, type: CollectionType = CollectionType.TAGGED, doc: str = ""
    ) -> bool:
        """Register a collection; return whether it is new.

        Raises
        ------
        ConflictingDefinitionError
            Raised if there is one of that name and another type.
        """
        check_writeable(self._writeable, f"register collection {name!r:.300}")
        return self._port.collections.register(Collection(name, type, doc), request_id=uuid.uuid4())

    def getCollectionType(self, name: str) -> CollectionType:
        """Return the type of a collection; `MissingCollectionError` if there is none."""
        return self._port.collections.get(name).type

    def queryCollections(
        self,
        expression: _Patterns = ...,
        *,
        collectionTypes: CollectionType | Iterable[CollectionType] | None = None,
    ) -> list[str]:
        """Return the names, in order, of collections that match any of the globs."""
        types = [collectionTypes] if isinstance(collectionTypes, CollectionType) else collectionTypes
        found = self._port.collections.find(_globs(expression), None if types is None else frozenset(types))
        return [collection.name for collection in found]

    def registerDatasetType(self, datasetType: DatasetType) -> bool:
        """Register a dataset type; return whether it is new.

        Raises
        ------
        ConflictingDefinitionError
            Raised if there is one of that name that is defined otherwise.
        InvalidRequestError
            Raised for the type of a component, which comes with that of its composite.
        """
        check_writeable(self._writeable, f"register dataset type {datasetType.name!r}")
        if datasetType.isComponent():
            raise InvalidRequestError(
                f"{datasetType.name!r} is the type of a component, which is never registered; register "
                f"{datasetType.nameAndComponent()[0]!r}.",
                dataset_type=datasetType.name,
            )
        return self._port.dataset_types.register(datasetType, request_id=uuid.uuid4())

    def getDatasetType(self, name: str) -> DatasetType:
        """Return a dataset type, also that of a component; `MissingDatasetTypeError` if there is none."""
        return self._finder.types.with_component(name)

    def queryDatasetTypes(self, expression: _Patterns = ...) -> list[DatasetType]:
        """Return the dataset types, by name, that match any of the globs."""
        return self._port.dataset_types.find(_globs(expression))

    def insertDimensionData(
        self,
        element: str | DimensionElement,
        *data: DimensionRecord | Mapping[str, Any],
        skip_existing: bool = False,
    ) -> int:
        """Insert records of a dimension or other element; return how many were new.

        Those of one call are inserted all or none, up to the batch limit of the service (5,000); beyond that,
        all or none of each batch. All are checked before the first is sent.

        Raises
        ------
        DimensionValueError, DimensionNameError
            Raised if a field is malformed or missing.
        ConflictingDefinitionError
            Raised if one exists already, unless ``skip_existing``.
        MissingParentError
            Raised if one refers to a record that does not exist.
        """
        check_writeable(self._writeable, f"insert records of {element}")
        definition = self.dimensions[str(element)]
        records = [_record(definition, item) for item in data]
        size = self._info.limits.batch_items
        return sum(
            self._port.dimension_records.insert(
                definition.name, records[i : i + size], request_id=uuid.uuid4(), skip_existing=skip_existing
            )
            for i in range(0, len(records), size)
        )

    def syncDimensionData(
        self, element: str | DimensionElement, row: DimensionRecord | Mapping[str, Any]
    ) -> bool:
        """Insert a record unless an identical one is there; return whether it was inserted.

        Raises
        ------
        ConflictingDefinitionError
            Raised if one with the same key is there that differs.
        ReadOnlyError
            Raised if this butler is read-only and the record is not there already.
        """
        definition = self.dimensions[str(element)]
        record = _record(definition, row)
        if not self._writeable and not self._is_there(record):
            check_writeable(self._writeable, f"insert a record of {definition}")
        return self._writeable and self._port.dimension_records.sync(record, request_id=uuid.uuid4())

    def _is_there(self, record: DimensionRecord) -> bool:
        spec = QuerySpec(
            ResultKind.DIMENSION_RECORDS, element=record.definition.name, data_id=dict(record.dataId.required)
        )
        found = DimensionRecordResults(self._port.queries, spec, record.definition)
        return any(not record.differences(other) for other in found)


class ButlerRegistry(_Definitions):
    """The registry as a butler sees it: the same over an embedded registry and over a service."""

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
        datasetType: DatasetType | _Patterns,
        *,
        collections: _Patterns | None = None,
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
        patterns = [datasetType.name] if isinstance(datasetType, DatasetType) else _globs(datasetType)
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

    def _collections_of(self, collections: _Patterns | None, find_first: bool) -> tuple[str, ...]:
        if collections is None or find_first:
            names = self.defaults.search_path(collections)
        else:
            patterns = _globs(collections)
            if any(_is_glob(pattern) for pattern in patterns):
                found = [c.name for c in self._port.collections.find(patterns)]
                names = tuple(dict.fromkeys([p for p in patterns if not _is_glob(p)] + found))
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


def _record(definition: DimensionElement, item: DimensionRecord | Mapping[str, Any]) -> DimensionRecord:
    if not isinstance(item, DimensionRecord):
        return DimensionRecord(definition, item)
    if item.definition is not definition:
        raise InvalidRequestError(
            f"A record of {item.definition} was given where one of {definition} is needed.",
            element=definition.name,
        )
    return item


def _globs(expression: _Patterns) -> Sequence[str]:
    if expression is ...:
        return ["*"]
    patterns = [expression] if isinstance(expression, str) else list(expression)
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise InvalidRequestError(
                f"{pattern!r:.80} is no name or glob; write patterns with *, ? and [..], regular "
                "expressions are not known."
            )
    return patterns


def _is_glob(pattern: str) -> bool:
    return any(character in pattern for character in "*?[")
