# SPDX-License-Identifier: BSD-3-Clause
"""Reading datasets."""

from __future__ import annotations

__all__ = ["DatasetReading", "DeferredDatasetHandle"]

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from butler_api.tracing import traced
from butler_model.data_id import DataCoordinate, DataId
from butler_model.dataset import DatasetRef, DatasetType
from butler_model.errors import StorageClassError
from butler_model.ports import FoundDataset
from butler_model.storage_class import StorageClass
from butler_model.timespan import Timespan

from .artifacts import ArtifactReader
from .composites import component_class
from .dataset_arguments import check_named
from .lookup import DatasetAccess, only_type, registered
from .readings import reading_of
from .storage_classes import coerce, default_storage_classes

_Named = DatasetRef | DatasetType | str


@dataclass(frozen=True)
class DeferredDatasetHandle:
    """A dataset that was found and can be read later, in part if so wanted.

    Attributes
    ----------
    parameters
        For reading; those given to `get` override them one by one.
    storageClass
        To have the object as; `None` for that of the ref.
    """

    butler: DatasetReading
    ref: DatasetRef
    parameters: Mapping[str, Any] | None = None
    storageClass: StorageClass | str | None = None

    @property
    def dataId(self) -> DataCoordinate:
        """The dataset's data ID."""
        return self.ref.dataId

    def get(
        self,
        *,
        component: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        storageClass: StorageClass | str | None = None,
    ) -> Any:
        """Read the dataset, or one component of it; of a component, ``storageClass`` is only the one given here."""
        merged = {**(self.parameters or {}), **(parameters or {})}
        if component is None:
            return self.butler._get_by_ref(self.ref, merged, storageClass or self.storageClass)
        return self.butler._get_by_ref(self._component_ref(component), merged, storageClass)

    def _component_ref(self, component: str) -> DatasetRef:
        whole = default_storage_classes().getStorageClass(self.ref.datasetType.storageClass_name)
        if self.ref.isComponent():
            raise StorageClassError(
                f"{self.ref} is a component already; name {component!r} of its composite.",
                component=component,
            )
        return self.ref.makeComponentRef(component, component_class(whole, component))


class DatasetReading(DatasetAccess):
    """The methods that read datasets.

    Wherever a dataset is named, it is by a ref alone, or by a dataset type (or its name, ``type.component``
    for a component) with a data ID, as a mapping, keyword arguments or both. Collections are searched in
    order, the default ones if none are given.
    """

    @traced("butler.get")
    def get(
        self,
        datasetRefOrType: _Named,
        dataId: DataId | None = None,
        *,
        collections: Any = None,
        parameters: Mapping[str, Any] | None = None,
        storageClass: StorageClass | str | None = None,
        timespan: Timespan | None = None,
        **kwargs: Any,
    ) -> Any:
        """Read a dataset.

        Parameters
        ----------
        collections
            To search; a resolved ref is read wherever it is if there are none by default either.
        parameters
            Restrict what is read; the storage class says which there are.
        storageClass
            To have the object as, converted if need be; by default that of the ref or dataset type given, which may
            be another than the registered one, or the registered one.
        timespan
            What a calibration must be valid for, if the data ID does not say.

        Raises
        ------
        DatasetNotFoundError
            Raised if there is no such dataset in the collections.
        ArtifactNotFoundError
            Raised if nothing is stored of it, or its artifact is gone.
        DatasetTypeMismatchError
            Raised if a ref with another id, or a differing dataset type, was given.
        StorageClassError
            Raised if the component, or a parameter of it, is unknown.
        StorageClassTypeError
            Raised if the object does not convert to the storage class wanted.
        MissingDatasetTypeError, MissingCollectionError, NoDefaultCollectionError
            Raised if one of these does not exist, or is not given.
        """
        found, component = self._find_one(datasetRefOrType, dataId, kwargs, collections, timespan)
        obj = self._reader.read(reading_of(found, component, parameters))
        return _as(storageClass or _storage_class_of(datasetRefOrType), obj, found, component)

    def get_many(
        self,
        datasets: Iterable[DatasetRef | tuple[DatasetType | str, DataId]],
        *,
        collections: Any = None,
    ) -> list[Any]:
        """Read many datasets with few calls.

        Parameters
        ----------
        datasets
            Refs, or pairs of a dataset type and a data ID. Resolved refs are read wherever they are.

        Returns
        -------
        objects
            In order. If one dataset cannot be found or read, the error of `get` is raised and none is
            returned.
        """
        named = check_named(datasets)
        wanted = [
            self._finder.wanted(one) if isinstance(one, DatasetRef) else self._finder.wanted(*one)
            for one in named
        ]
        found: dict[int, FoundDataset] = {}
        by_id = [i for i, one in enumerate(wanted) if one.id is not None]
        by_data_id = [i for i, one in enumerate(wanted) if one.id is None]
        ids = [cast(UUID, wanted[i].id) for i in by_id]
        expected = only_type(one for one in named if isinstance(one, DatasetRef))
        by_ids = self._finder.by_id(ids, want_artifacts=True, expected_type=expected)
        for i, one in zip(by_id, by_ids, strict=True):
            found[i] = registered(one, cast(UUID, wanted[i].id))
        if by_data_id:
            search = self._defaults.search_path(collections)
            results = self._finder.find_many([wanted[i] for i in by_data_id], search)
            found.update(zip(by_data_id, results, strict=True))
        objects = self._reader.read_many(
            [reading_of(found[i], one.component) for i, one in enumerate(wanted)]
        )
        return [
            _as(
                _storage_class_of(one if isinstance(one, DatasetRef) else one[0]),
                objects[i],
                found[i],
                wanted[i].component,
            )
            for i, one in enumerate(named)
        ]

    def getDirect(
        self,
        ref: DatasetRef,
        *,
        parameters: Mapping[str, Any] | None = None,
        storageClass: StorageClass | str | None = None,
    ) -> Any:
        """Read the dataset of a resolved ref, in whatever collection it is.

        Raises `AmbiguousDatasetError` if the ref is not resolved, otherwise the errors of `get`.
        """
        return self._get_by_ref(ref, parameters, storageClass)

    def getDirectDeferred(
        self,
        ref: DatasetRef,
        *,
        parameters: Mapping[str, Any] | None = None,
        storageClass: StorageClass | str | None = None,
    ) -> DeferredDatasetHandle:
        """Find the dataset of a resolved ref now, with the errors of `getDirect`, and read it later."""
        self._find_ref(ref)
        return DeferredDatasetHandle(self, ref, parameters, storageClass)

    def getDeferred(
        self,
        datasetRefOrType: _Named,
        dataId: DataId | None = None,
        *,
        collections: Any = None,
        parameters: Mapping[str, Any] | None = None,
        storageClass: StorageClass | str | None = None,
        timespan: Timespan | None = None,
        **kwargs: Any,
    ) -> DeferredDatasetHandle:
        """Find a dataset now, with the errors of `get`, and read it later."""
        found, component = self._find_one(datasetRefOrType, dataId, kwargs, collections, timespan)
        ref = self._finder.ref_of(found, component)
        wanted = storageClass or _storage_class_of(datasetRefOrType)
        return DeferredDatasetHandle(self, ref, parameters, wanted)

    @property
    def _reader(self) -> ArtifactReader:
        return ArtifactReader(self._connection)

    def _get_by_ref(
        self,
        ref: DatasetRef,
        parameters: Mapping[str, Any] | None,
        storage_class: StorageClass | str | None,
    ) -> object:
        found, component = self._find_ref(ref), ref.datasetType.component()
        obj = self._reader.read(reading_of(found, component, parameters))
        return _as(storage_class or _storage_class_of(ref), obj, found, component)

    def _find_one(
        self,
        named: _Named,
        data_id: DataId | None,
        keywords: Mapping[str, Any],
        collections: Any,
        timespan: Timespan | None = None,
    ) -> tuple[FoundDataset, str | None]:
        """Return a dataset with its artifacts, and the name of the component of it that is meant."""
        wanted = self._finder.wanted(named, data_id, keywords)
        nowhere_to_search = collections is None and not self._defaults.collections
        if nowhere_to_search and isinstance(named, DatasetRef) and named.is_resolved:
            return self._find_ref(named), wanted.component
        search = self._defaults.search_path(collections)
        return self._finder.find_one(wanted, search, timespan=timespan), wanted.component

    def _find_ref(self, ref: DatasetRef) -> FoundDataset:
        return self._finder.by_refs([ref])[0]


def _storage_class_of(named: _Named) -> str | None:
    """Return the storage class that a caller named along with a dataset."""
    dataset_type = named.datasetType if isinstance(named, DatasetRef) else named
    return dataset_type.storageClass_name if isinstance(dataset_type, DatasetType) else None


def _as(
    storage_class: StorageClass | str | None, obj: object, found: FoundDataset, component: str | None
) -> object:
    """Return what was read as another storage class than its own, if that is wanted; `None` stays what it is."""
    if storage_class is None or obj is None:
        return obj
    known = default_storage_classes()
    own = known.getStorageClass(found.ref.datasetType.storageClass_name)
    if component is not None:
        own = component_class(own, component)
    wanted = known.getStorageClass(storage_class) if isinstance(storage_class, str) else storage_class
    return obj if wanted == own else coerce(wanted, obj)
