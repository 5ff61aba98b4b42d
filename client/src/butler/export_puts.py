# SPDX-License-Identifier: BSD-3-Clause
"""Putting the datasets of an export: whole batches, under ids that were given elsewhere."""

from __future__ import annotations

__all__ = ["ExportPuts"]

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from butler_model.artifact import ArtifactLayout
from butler_model.data_id import DataCoordinate
from butler_model.dataset import DatasetRef, DatasetType
from butler_model.errors import ConflictingDefinitionError
from butler_model.ports import Datastore
from butler_model.repository import Limits

from .export_datasets import DatasetBatch, PlannedDataset
from .putting import PutProtocol, chunks_of_file
from .transactions import CurrentRegistry

_NAMESPACE = UUID("5b8f7d1c-3c0e-4f6e-9f3b-6f1d0c9b7a52")


@dataclass(frozen=True, slots=True)
class _File:
    """Bytes in a file; a `butler.putting.ArtifactToPut`."""

    layout: ArtifactLayout
    size: int
    path: Path

    def chunks(self, size: int) -> Iterator[bytes]:
        return chunks_of_file(self.path, size)


@dataclass(frozen=True, slots=True)
class _DatasetOfFile:
    """A dataset whose bytes are a file, or that has none; a `butler.putting.DatasetToPut`."""

    dataset_type: DatasetType
    data_id: Mapping[str, Any]
    id: UUID
    artifacts: tuple[_File, ...]


@dataclass(frozen=True, slots=True)
class ExportPuts:
    """Puts batches so that each is there wholly or not at all, and so that all can be repeated."""

    registry: CurrentRegistry
    datastore: Datastore
    limits: Limits

    def put(self, batch: DatasetBatch) -> Sequence[PlannedDataset]:
        """Put a batch; return those of its datasets that were not there already.

        Raises
        ------
        ConflictingDefinitionError
            Raised if the run has another dataset of that data ID, or the id is that of another dataset.
        """
        missing = self._missing(batch, batch.datasets)
        while missing:
            try:
                self._put(batch, missing)
                return missing
            except ConflictingDefinitionError:
                # Someone else may be importing the same file.
                rest = self._missing(batch, missing)
                if len(rest) == len(missing):
                    raise
                missing = rest
        return ()

    def _missing(self, batch: DatasetBatch, datasets: Sequence[PlannedDataset]) -> Sequence[PlannedDataset]:
        found = self.registry.datasets.get([dataset.id for dataset in datasets])
        for dataset, there in zip(datasets, found, strict=True):
            if there is not None and not _is_same(batch, dataset, there.ref):
                raise ConflictingDefinitionError(
                    f"The repository has {there.ref}; in the file this id belongs to {batch.dataset_type.name}@"
                    f"{dict(dataset.data_id)} in {batch.run}.",
                    existing_id=str(dataset.id),
                    dataset_type=batch.dataset_type.name,
                    run=batch.run,
                )
        return [dataset for dataset, there in zip(datasets, found, strict=True) if there is None]

    def _put(self, batch: DatasetBatch, datasets: Sequence[PlannedDataset]) -> None:
        # The same batch is always the same request, so an import that was killed can be taken up again.
        request_id = uuid5(_NAMESPACE, " ".join(str(dataset.id) for dataset in batch.datasets))
        files = [
            _DatasetOfFile(batch.dataset_type, d.data_id, d.id, _files(batch.layout, d)) for d in datasets
        ]
        PutProtocol(self.registry, self.datastore, self.limits).put(batch.run, files, request_id=request_id)


def _files(layout: ArtifactLayout | None, dataset: PlannedDataset) -> tuple[_File, ...]:
    if layout is None or dataset.path is None:
        return ()
    return (_File(layout, dataset.size, dataset.path),)


def _is_same(batch: DatasetBatch, dataset: PlannedDataset, there: DatasetRef) -> bool:
    data_id = DataCoordinate.standardize(dataset.data_id, dimensions=batch.dataset_type.dimensions)
    mine = (batch.dataset_type.name, batch.run, data_id)
    return mine == (there.datasetType.name, there.run, there.dataId)
