# SPDX-License-Identifier: BSD-3-Clause
"""The part of ``butler.registry`` that is about what datasets are described with."""

from __future__ import annotations

__all__ = ["RegistryDefinitions", "components_of"]

import uuid
from collections.abc import Mapping
from typing import Any

from butler.lookup import check_writeable
from butler.results import DimensionRecordResults
from butler.storage_classes import default_storage_classes
from butler_model.dataset import DatasetType
from butler_model.dimensions import DimensionElement
from butler_model.errors import InvalidRequestError, StorageClassError
from butler_model.query.spec import QuerySpec, ResultKind
from butler_model.records import DimensionRecord
from butler_model.universe import DimensionUniverse

from .collections import RegistryCollections
from .patterns import Patterns, globs, is_glob, matches_any


class RegistryDefinitions(RegistryCollections):
    """Dataset types and dimension records: what datasets are described with."""

    @property
    def dimensions(self) -> DimensionUniverse:
        """All dimensions of the repository."""
        return self._info.universe

    def registerDatasetType(self, datasetType: DatasetType) -> bool:
        """Register a dataset type; return whether it is new.

        Raises
        ------
        ConflictingDefinitionError
            Raised if there is one of that name that is defined otherwise.
        InvalidRequestError
            Raised for the type of a component, which comes with that of its composite.
        """
        check_writeable(
            self._writeable, f"register dataset type {getattr(datasetType, 'name', datasetType)!r:.300}"
        )
        if not isinstance(datasetType, DatasetType):
            raise InvalidRequestError(
                f"A DatasetType is registered, not {datasetType!r:.80}; DatasetType(name, dimensions, storageClass, "
                "universe=butler.dimensions) makes one."
            )
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

    def removeDatasetType(self, name: Patterns) -> None:
        """Remove dataset types by name or glob; names that are unknown are ignored.

        Raises
        ------
        OrphanedRecordError
            Raised if there are datasets of one of them; then none is removed.
        InvalidRequestError
            Raised for the type of a component.
        """
        check_writeable(self._writeable, f"remove dataset types {name!r:.300}")
        patterns = globs(name)
        for pattern in patterns:
            if "." in pattern and not is_glob(pattern):
                raise InvalidRequestError(
                    f"{pattern!r} is the type of a component, which goes with that of its composite.",
                    dataset_type=pattern,
                )
        for removed in self._port.dataset_types.remove(patterns, request_id=uuid.uuid4()):
            self._finder.types.forget(removed)

    def queryDatasetTypes(
        self, expression: Patterns = ..., *, components: bool | None = False
    ) -> list[DatasetType]:
        """Return the dataset types, by name, that match any of the globs.

        Parameters
        ----------
        components
            Whether those of components are given, too; with `None` only where a glob matches the component and not its
            composite. Those of a storage class that is not known here have none.
        """
        patterns = globs(expression)
        found = self._port.dataset_types.find(patterns)
        if components is False:
            return found
        everything = found if "*" in patterns else self._port.dataset_types.find(["*"])
        names = {dataset_type.name for dataset_type in found}
        parts = [
            part
            for dataset_type in everything
            if components or dataset_type.name not in names
            for part in components_of(dataset_type)
            if (components and dataset_type.name in names) or matches_any(part.name, patterns)
        ]
        return sorted([*found, *parts], key=lambda dataset_type: dataset_type.name)

    def insertDimensionData(
        self,
        element: str | DimensionElement,
        *data: DimensionRecord | Mapping[str, Any],
        skip_existing: bool = False,
        replace: bool = False,
    ) -> int:
        """Insert records of a dimension or other element; return how many were new.

        With ``skip_existing`` records whose key exists are left as they are, with ``replace`` they are replaced.

        Those of one call are inserted all or none, up to the batch limit of the service (5,000); beyond that,
        all or none of each batch. All are checked before the first is sent.

        Raises
        ------
        DimensionValueError, DimensionNameError
            Raised if a field is malformed or missing.
        ConflictingDefinitionError
            Raised if one exists already, unless ``skip_existing`` or ``replace``.
        MissingParentError
            Raised if one refers to a record that does not exist.
        """
        check_writeable(self._writeable, f"insert records of {element}")
        definition = self.dimensions[str(element)]
        records = [_record(definition, item) for item in data]
        size = self._info.limits.batch_items
        return sum(
            self._port.dimension_records.insert(
                definition.name,
                records[i : i + size],
                request_id=uuid.uuid4(),
                skip_existing=skip_existing,
                replace=replace,
            )
            for i in range(0, len(records), size)
        )

    def syncDimensionData(
        self,
        element: str | DimensionElement,
        row: DimensionRecord | Mapping[str, Any],
        *,
        update: bool = False,
    ) -> bool:
        """Insert a record unless an identical one is there; return whether anything was changed.

        Raises
        ------
        ConflictingDefinitionError
            Raised if one with the same key is there that differs, unless ``update``, which replaces it.
        ReadOnlyError
            Raised if this butler is read-only and the record is not there already.
        """
        definition = self.dimensions[str(element)]
        record = _record(definition, row)
        if not self._writeable and not self._is_there(record):
            check_writeable(self._writeable, f"insert a record of {definition}")
        return self._writeable and self._port.dimension_records.sync(
            record, request_id=uuid.uuid4(), update=update
        )

    def _is_there(self, record: DimensionRecord) -> bool:
        spec = QuerySpec(
            ResultKind.DIMENSION_RECORDS, element=record.definition.name, data_id=dict(record.dataId.required)
        )
        found = DimensionRecordResults(self._port, [spec], record.definition)
        return any(not record.differences(other) for other in found)


def _record(definition: DimensionElement, item: DimensionRecord | Mapping[str, Any]) -> DimensionRecord:
    if not isinstance(item, DimensionRecord | Mapping):
        raise InvalidRequestError(
            f"{item!r:.80} is no record of {definition}; give each as an argument of its own: a DimensionRecord, or a "
            "mapping of fields to values.",
            element=definition.name,
        )
    if not isinstance(item, DimensionRecord):
        return DimensionRecord(definition, item)
    if item.definition is not definition:
        raise InvalidRequestError(
            f"A record of {item.definition} was given where one of {definition} is needed.",
            element=definition.name,
        )
    return item


def components_of(dataset_type: DatasetType) -> list[DatasetType]:
    """Return the types of the components of a dataset type; none if its storage class is not known here."""
    try:
        storage_class = default_storage_classes().getStorageClass(dataset_type.storageClass_name)
    except StorageClassError:
        return []
    components = storage_class.allComponents()
    return [dataset_type.makeComponentDatasetType(name, components[name]) for name in sorted(components)]
