# SPDX-License-Identifier: BSD-3-Clause
"""Whether datasets exist: in the registry, as records of artifacts, and as the artifacts themselves."""

from __future__ import annotations

__all__ = ["DatasetExistence", "DatasetExisting"]

from collections.abc import Iterable, Sequence
from enum import Flag, auto
from typing import Any

from butler_model.artifact import Artifact
from butler_model.data_id import DataId
from butler_model.dataset import DatasetRef, DatasetType
from butler_model.errors import MissingDatasetTypeError
from butler_model.ports import FoundDataset

from .dataset_arguments import check_refs
from .datasets import DatasetReading
from .lookup import only_type

_Named = DatasetRef | DatasetType | str


class DatasetExistence(Flag):
    """What is known of a dataset's existence; true if it can be read, as far as was looked."""

    UNRECOGNIZED = 0
    """The registry has no such dataset."""
    RECORDED = auto()
    """The registry has it."""
    DATASTORE = auto()
    """There are records of its artifacts."""
    ARTIFACT = auto()
    """All its artifacts were looked for and are there."""
    ASSUMED = auto()
    """Nobody looked for its artifacts."""
    KNOWN = RECORDED | DATASTORE | ASSUMED
    """It should be there."""
    VERIFIED = RECORDED | DATASTORE | ARTIFACT
    """It is there."""

    def __bool__(self) -> bool:
        return self in (DatasetExistence.KNOWN, DatasetExistence.VERIFIED)


class DatasetExisting(DatasetReading):
    """The methods that tell whether datasets exist."""

    def exists(
        self,
        dataset_ref_or_type: _Named,
        data_id: DataId | None = None,
        *,
        full_check: bool = True,
        collections: Any = None,
        **kwargs: Any,
    ) -> DatasetExistence:
        """Return what is known of a dataset's existence.

        Parameters
        ----------
        full_check
            Whether to look for the artifacts themselves, which costs another call.
        collections
            To search; a resolved ref is looked for wherever it is.

        Raises
        ------
        DimensionNameError, DimensionValueError, MissingCollectionError, NoDefaultCollectionError
            Raised for a malformed data ID, and for collections that do not exist or are not given. An unknown dataset
            type is none of these: there are no datasets of it.
        """
        if isinstance(dataset_ref_or_type, DatasetRef) and dataset_ref_or_type.is_resolved:
            found = self._by_refs([dataset_ref_or_type])[0]
        else:
            try:
                wanted = self._finder.wanted(dataset_ref_or_type, data_id, kwargs)
                search = self._defaults.search_path(collections)
                found = self._finder.find(wanted, search, want_artifacts=True)
            except MissingDatasetTypeError:
                found = None
        return self._existence([found], full_check=full_check)[0]

    def exists_many(
        self, refs: Iterable[DatasetRef], *, full_check: bool = True
    ) -> dict[DatasetRef, DatasetExistence]:
        """Return what is known of the existence of each of many resolved refs, with few calls."""
        wanted = list(dict.fromkeys(check_refs(refs)))
        found = self._by_refs(wanted)
        return dict(zip(wanted, self._existence(found, full_check=full_check), strict=True))

    def stored(self, ref: DatasetRef) -> bool:
        """Return whether the dataset of a resolved ref exists and its artifacts are there."""
        return self.stored_many([ref])[ref]

    def stored_many(self, refs: Iterable[DatasetRef]) -> dict[DatasetRef, bool]:
        """Return, for each resolved ref, whether the dataset exists and its artifacts are there."""
        return {ref: bool(existence) for ref, existence in self.exists_many(refs).items()}

    def datasetExists(
        self,
        datasetRefOrType: _Named,
        dataId: DataId | None = None,
        *,
        collections: Any = None,
        **kwargs: Any,
    ) -> bool:
        """Return whether all artifacts of a dataset are there; `DatasetNotFoundError` if it is unknown."""
        found, _ = self._find_one(datasetRefOrType, dataId, kwargs, collections)
        return bool(self._existence([found], full_check=True)[0])

    def datasetExistsDirect(self, ref: DatasetRef) -> bool:
        """Return whether all artifacts of the dataset of a resolved ref are there, in whatever collection it is."""
        return self.stored(ref)

    def _by_refs(self, refs: Sequence[DatasetRef]) -> list[FoundDataset | None]:
        ids = [ref.getCheckedId() for ref in refs]
        return self._finder.by_id(ids, want_artifacts=True, expected_type=only_type(refs))

    def _existence(self, found: Sequence[FoundDataset | None], *, full_check: bool) -> list[DatasetExistence]:
        artifacts = [one.artifacts if one else () for one in found]
        present = self._present([artifact for each in artifacts for artifact in each] if full_check else [])
        existences = []
        for one, each in zip(found, artifacts, strict=True):
            existence = DatasetExistence.UNRECOGNIZED if one is None else DatasetExistence.RECORDED
            if each and not full_check:
                existence |= DatasetExistence.DATASTORE | DatasetExistence.ASSUMED
            elif each:
                existence |= DatasetExistence.DATASTORE
                if all(present[artifact.grant] for artifact in each):
                    existence |= DatasetExistence.ARTIFACT
            existences.append(existence)
        return existences

    def _present(self, artifacts: Sequence[Artifact]) -> dict[bytes, bool]:
        size = self._connection.info.limits.batch_items
        present: dict[bytes, bool] = {}
        for start in range(0, len(artifacts), size):
            batch = artifacts[start : start + size]
            grants, records = [each.grant for each in batch], [each.record for each in batch]
            present.update(zip(grants, self._connection.datastore.exists(grants, records), strict=True))
        return present
