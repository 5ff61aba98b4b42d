# SPDX-License-Identifier: BSD-3-Clause
"""Finding and reading datasets."""

from __future__ import annotations

__all__ = ["DatasetReading", "DeferredDatasetHandle"]

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from butler_model.data_id import DataCoordinate, DataId
from butler_model.dataset import DatasetRef, DatasetType
from butler_model.errors import UnsupportedOperationError
from butler_model.ports import FoundDataset

from .artifacts import ArtifactReader, not_stored
from .lookup import DatasetAccess, registered

_Named = DatasetRef | DatasetType | str


@dataclass(frozen=True)
class DeferredDatasetHandle:
    """A dataset that was found and can be read later, in part if so wanted.

    Attributes
    ----------
    parameters
        For reading; those given to `get` override them one by one.
    """

    butler: DatasetReading
    ref: DatasetRef
    parameters: Mapping[str, Any] | None = None

    @property
    def dataId(self) -> DataCoordinate:
        """The dataset's data ID."""
        return self.ref.dataId

    def get(self, *, component: str | None = None, parameters: Mapping[str, Any] | None = None) -> Any:
        """Read the dataset, or one component of it."""
        merged = {**(self.parameters or {}), **(parameters or {})}
        return self.butler._get_by_ref(self.ref, component, merged)


class DatasetReading(DatasetAccess):
    """The methods that find and read datasets.

    Wherever a dataset is named, it is by a ref alone, or by a dataset type (or its name, ``type.component``
    for a component) with a data ID, as a mapping, keyword arguments or both. Collections are searched in
    order, the default ones if none are given.
    """

    def get(
        self,
        datasetRefOrType: _Named,
        dataId: DataId | None = None,
        *,
        collections: Any = None,
        parameters: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Read a dataset.

        Parameters
        ----------
        collections
            To search; a resolved ref is read wherever it is if there are none by default either.
        parameters
            Restrict what is read; the storage class says which there are.

        Raises
        ------
        DatasetNotFoundError
            Raised if there is no such dataset in the collections.
        ArtifactNotFoundError
            Raised if nothing is stored of it, or its artifact is gone.
        DatasetTypeMismatchError
            Raised if a ref with another id, or a differing dataset type, was given.
        MissingDatasetTypeError, MissingCollectionError, NoDefaultCollectionError
            Raised if one of these does not exist, or is not given.
        """
        found, component = self._find_one(datasetRefOrType, dataId, kwargs, collections)
        return self._reader.read(found, component, parameters)

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
        wanted = [
            self._finder.wanted(one) if isinstance(one, DatasetRef) else self._finder.wanted(*one)
            for one in datasets
        ]
        found: dict[int, FoundDataset] = {}
        by_id = [i for i, one in enumerate(wanted) if one.id is not None]
        by_data_id = [i for i, one in enumerate(wanted) if one.id is None]
        ids = [cast(UUID, wanted[i].id) for i in by_id]
        for i, one in zip(by_id, self._finder.by_id(ids, want_artifacts=True), strict=True):
            found[i] = registered(one, cast(UUID, wanted[i].id))
        if by_data_id:
            search = self._defaults.search_path(collections)
            results = self._finder.find_many([wanted[i] for i in by_data_id], search)
            found.update(zip(by_data_id, results, strict=True))
        return self._reader.read_many((found[i], one.component) for i, one in enumerate(wanted))

    def getDirect(self, ref: DatasetRef, *, parameters: Mapping[str, Any] | None = None) -> Any:
        """Read the dataset of a resolved ref, in whatever collection it is.

        Raises `AmbiguousDatasetError` if the ref is not resolved, otherwise the errors of `get`.
        """
        return self._get_by_ref(ref, None, parameters)

    def getDeferred(
        self,
        datasetRefOrType: _Named,
        dataId: DataId | None = None,
        *,
        collections: Any = None,
        parameters: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> DeferredDatasetHandle:
        """Find a dataset now, with the errors of `get`, and read it later."""
        found, component = self._find_one(datasetRefOrType, dataId, kwargs, collections)
        return DeferredDatasetHandle(self, self._finder.ref_of(found, component), parameters)

    def getURI(
        self,
        datasetRefOrType: _Named,
        dataId: DataId | None = None,
        *,
        collections: Any = None,
        **kwargs: Any,
    ) -> str:
        """Return where a dataset's artifact is: ``file://…`` when embedded, else ``butler://<store>/<key>``.

        Raises
        ------
        ArtifactNotFoundError
            Raised if nothing is stored of it.
        UnsupportedOperationError
            Raised if it is stored as several artifacts.
        """
        found, _ = self._find_one(datasetRefOrType, dataId, kwargs, collections)
        if not found.artifacts:
            raise not_stored(found)
        if len(found.artifacts) > 1:
            raise UnsupportedOperationError(
                f"{found.ref} is stored as {len(found.artifacts)} artifacts; name a component."
            )
        return self._connection.locate(found.artifacts[0].record)

    def datasetExists(
        self,
        datasetRefOrType: _Named,
        dataId: DataId | None = None,
        *,
        collections: Any = None,
        **kwargs: Any,
    ) -> bool:
        """Return whether the artifacts of a dataset are there; `DatasetNotFoundError` if it is unknown."""
        found, _ = self._find_one(datasetRefOrType, dataId, kwargs, collections)
        grants = [artifact.grant for artifact in found.artifacts]
        return bool(grants) and all(self._connection.datastore.exists(grants))

    def stored_many(self, refs: Iterable[DatasetRef]) -> dict[DatasetRef, bool]:
        """Return, for each resolved ref, whether the dataset exists and its artifacts are there."""
        wanted = list(dict.fromkeys(refs))
        found = self._finder.by_id([ref.getCheckedId() for ref in wanted], want_artifacts=True)
        grants = [[artifact.grant for artifact in one.artifacts] if one else [] for one in found]
        flat = [grant for each in grants for grant in each]
        size = self._connection.info.limits.batch_items
        present: dict[bytes, bool] = {}
        for start in range(0, len(flat), size):
            batch = flat[start : start + size]
            present.update(zip(batch, self._connection.datastore.exists(batch), strict=True))
        return {
            ref: bool(each) and all(present[grant] for grant in each)
            for ref, each in zip(wanted, grants, strict=True)
        }

    def find_dataset(
        self,
        dataset_type: DatasetType | str,
        data_id: DataId | None = None,
        *,
        collections: Any = None,
        **kwargs: Any,
    ) -> DatasetRef | None:
        """Return the first dataset of that type and data ID in the collections; `None` if there is none."""
        wanted = self._finder.wanted(dataset_type, data_id, kwargs)
        found = self._finder.find(wanted, self._defaults.search_path(collections))
        return None if found is None else self._finder.ref_of(found, wanted.component)

    def get_dataset(self, id: UUID) -> DatasetRef | None:
        """Return the dataset with that id; `None` if there is none."""
        found = self._finder.by_id([id])[0]
        return None if found is None else found.ref

    @property
    def _reader(self) -> ArtifactReader:
        return ArtifactReader(self._connection)

    def _get_by_ref(
        self, ref: DatasetRef, component: str | None, parameters: Mapping[str, Any] | None
    ) -> object:
        return self._reader.read(self._find_ref(ref), component or ref.datasetType.component(), parameters)

    def _find_one(
        self, named: _Named, data_id: DataId | None, keywords: Mapping[str, Any], collections: Any
    ) -> tuple[FoundDataset, str | None]:
        """Return a dataset with its artifacts, and the name of the component of it that is meant."""
        wanted = self._finder.wanted(named, data_id, keywords)
        nowhere_to_search = collections is None and not self._defaults.collections
        if nowhere_to_search and isinstance(named, DatasetRef) and named.is_resolved:
            return self._find_ref(named), wanted.component
        search = self._defaults.search_path(collections)
        return self._finder.find_one(wanted, search), wanted.component

    def _find_ref(self, ref: DatasetRef) -> FoundDataset:
        return self._finder.by_refs([ref])[0]
