# SPDX-License-Identifier: BSD-3-Clause
"""Putting the datasets of an export: whole batches, under ids that were given elsewhere."""

from __future__ import annotations

__all__ = ["ExportPuts"]

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4, uuid5

from butler_model.data_id import DataCoordinate
from butler_model.dataset import DatasetRef
from butler_model.errors import (
    ButlerError,
    ConflictingDefinitionError,
    DeadlineExceededError,
    InternalError,
    OverloadedError,
    ServiceUnavailableError,
)
from butler_model.ports import BeginPut, Datastore, PutBatch, PutIntent, Registry
from butler_model.repository import Limits

from .export_datasets import DatasetBatch, PlannedDataset

_LOG = logging.getLogger(__name__)

_PAUSES = (0.1, 0.5, 2.0, 5.0)
"""Seconds to wait before each repeat of a commit whose outcome is unknown."""
_REPEATABLE = (ServiceUnavailableError, DeadlineExceededError, OverloadedError)

_NAMESPACE = UUID("5b8f7d1c-3c0e-4f6e-9f3b-6f1d0c9b7a52")


@dataclass(frozen=True, slots=True)
class ExportPuts:
    """Puts batches so that each is there wholly or not at all, and so that all can be repeated."""

    registry: Registry
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
        ids = [dataset.id for dataset in datasets]
        put_batch = PutBatch(
            batch.dataset_type.name,
            batch.dataset_type.storageClass_name,
            [dataset.data_id for dataset in datasets],
            ids,
            () if batch.layout is None else (batch.layout,),
        )
        # The same batch is always the same request, so an import that was killed can be taken up again.
        request_id = uuid5(_NAMESPACE, " ".join(str(dataset.id) for dataset in batch.datasets))
        intents = self.registry.puts.begin(BeginPut(request_id, batch.run, (put_batch,)))
        try:
            receipts = [] if batch.layout is None else self._write(datasets, intents)
        except BaseException:
            self._take_back(ids)
            raise
        self._commit(ids, receipts)

    def _write(self, datasets: Sequence[PlannedDataset], intents: Sequence[PutIntent]) -> list[bytes]:
        limits = self.limits
        receipts: list[bytes] = []
        batch: list[tuple[bytes, bytes]] = []
        batch_size = 0
        for dataset, intent in zip(datasets, intents, strict=True):
            assert dataset.path is not None
            (grant,) = intent.grants
            if dataset.size > limits.inline_bytes:
                chunks = _chunks(dataset.path, limits.chunk_bytes)
                receipts.append(self.datastore.write(grant.token, chunks).token)
                continue
            if batch_size + dataset.size > limits.batch_bytes or len(batch) == limits.batch_items:
                receipts += [receipt.token for receipt in self.datastore.write_batch(batch)]
                batch, batch_size = [], 0
            batch.append((grant.token, dataset.path.read_bytes()))
            batch_size += dataset.size
        if batch:
            receipts += [receipt.token for receipt in self.datastore.write_batch(batch)]
        return receipts

    def _commit(self, ids: Sequence[UUID], receipts: Sequence[bytes]) -> None:
        request_id = uuid4()
        for pause in (*_PAUSES, None):
            try:
                self.registry.puts.commit(ids, receipts, request_id=request_id)
                return
            except _REPEATABLE:
                # The outcome is unknown: nothing may be deleted now.
                if pause is None:
                    raise
                time.sleep(pause)
            except InternalError:
                raise
            except ButlerError:
                self._take_back(ids)
                raise

    def _take_back(self, ids: Sequence[UUID]) -> None:
        try:
            grants = self.registry.puts.abort(ids, request_id=uuid4())
            if grants:
                self.datastore.discard(grants)
            self.registry.puts.finish_abort(ids, request_id=uuid4())
        except ButlerError as error:
            _LOG.warning("An import of %d datasets that failed could not be taken back: %s", len(ids), error)


def _is_same(batch: DatasetBatch, dataset: PlannedDataset, there: DatasetRef) -> bool:
    data_id = DataCoordinate.standardize(dataset.data_id, dimensions=batch.dataset_type.dimensions)
    mine = (batch.dataset_type.name, batch.run, data_id)
    return mine == (there.datasetType.name, there.run, there.dataId)


def _chunks(path: Path, size: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(size):
            yield chunk
