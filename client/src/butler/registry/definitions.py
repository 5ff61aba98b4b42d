# SPDX-License-Identifier: BSD-3-Clause
"""The half of ``butler.registry`` that is about what datasets are described with."""

from __future__ import annotations

__all__ = ["RegistryDefinitions"]

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from butler.connect import Connection
from butler.defaults import RegistryDefaults
from butler.lookup import DatasetFinder, check_writeable
from butler.queries import DimensionRecordResults
from butler_model.collection import Collection, CollectionType
from butler_model.dataset import DatasetType
from butler_model.dimensions import DimensionElement
from butler_model.errors import InvalidRequestError
from butler_model.query.spec import QuerySpec, ResultKind
from butler_model.records import DimensionRecord
from butler_model.universe import DimensionUniverse

from .patterns import Patterns, globs


class RegistryDefinitions:
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
        expression: Patterns = ...,
        *,
        collectionTypes: CollectionType | Iterable[CollectionType] | None = None,
    ) -> list[str]:
        """Return the names, in order, of collections that match any of the globs."""
        types = [collectionTypes] if isinstance(collectionTypes, CollectionType) else collectionTypes
        found = self._port.collections.find(globs(expression), None if types is None else frozenset(types))
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

    def queryDatasetTypes(self, expression: Patterns = ...) -> list[DatasetType]:
        """Return the dataset types, by name, that match any of the globs."""
        return self._port.dataset_types.find(globs(expression))

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


def _record(definition: DimensionElement, item: DimensionRecord | Mapping[str, Any]) -> DimensionRecord:
    if not isinstance(item, DimensionRecord):
        return DimensionRecord(definition, item)
    if item.definition is not definition:
        raise InvalidRequestError(
            f"A record of {item.definition} was given where one of {definition} is needed.",
            element=definition.name,
        )
    return item
