# SPDX-License-Identifier: BSD-3-Clause
"""The client's half of the protocol of putting: intent, bytes, commit."""

from __future__ import annotations

__all__ = ["FormattedDataset", "PutProtocol", "format_dataset"]

import io
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, cast
from uuid import UUID, uuid4

from butler_model.artifact import ArtifactLayout
from butler_model.dataset import DatasetRef, DatasetType, new_dataset_id
from butler_model.errors import (
    ButlerError,
    DeadlineExceededError,
    InternalError,
    OverloadedError,
    ServiceUnavailableError,
)
from butler_model.ports import BeginPut, PutBatch, PutIntent

from .connect import Connection
from .formatters import default_formatters
from .storage_classes import check_instance, default_storage_classes

_LOG = logging.getLogger(__name__)

_SPOOL_BYTES = 64 * 1024 * 1024
_PAUSES = (0.1, 0.5, 2.0, 5.0)
"""Seconds to wait before each repeat of a commit whose outcome is unknown."""
_REPEATABLE = (ServiceUnavailableError, DeadlineExceededError, OverloadedError)
_UNKNOWN = (*_REPEATABLE, InternalError)


@dataclass(frozen=True, slots=True)
class FormattedDataset:
    """A dataset ready to be put: its bytes are made, so nothing about the object can fail any more.

    Attributes
    ----------
    data_id
        Keys and values, with defaults filled in.
    content
        At its end; closed by whoever made it.
    size
        Length in bytes.
    """

    dataset_type: DatasetType
    data_id: Mapping[str, Any]
    id: UUID
    layout: ArtifactLayout
    content: BinaryIO
    size: int


def format_dataset(obj: object, dataset_type: DatasetType, data_id: Mapping[str, Any]) -> FormattedDataset:
    """Format an object; what is large goes to a temporary file.

    Raises
    ------
    StorageClassError
        Raised if the storage class is not known here.
    StorageClassTypeError
        Raised if the object is not of its Python type.
    FormatterError
        Raised if there is no formatter, or it cannot write the object.
    """
    storage_class = default_storage_classes().getStorageClass(dataset_type.storageClass_name)
    check_instance(storage_class, obj)
    formatter = default_formatters().formatter_for(dataset_type.name, storage_class)
    content = cast(BinaryIO, SpooledTemporaryFile(_SPOOL_BYTES))  # noqa: SIM115
    try:
        formatter.write(obj, content)
        size = content.seek(0, io.SEEK_END)
    except BaseException:
        content.close()
        raise
    layout = ArtifactLayout(formatter.label, formatter.extension, storage_class.name)
    return FormattedDataset(dataset_type, data_id, new_dataset_id(), layout, content, size)


class PutProtocol:
    """Puts datasets so that each is wholly there or wholly absent, whatever fails on the way.

    What is known to have failed is taken back. After a commit of unknown outcome nothing is: the service may
    have made the datasets visible, so deleting their bytes could lose data.
    """

    def __init__(self, connection: Connection) -> None:
        self._registry = connection.registry
        self._datastore = connection.datastore
        self._limits = connection.info.limits

    def put(self, run: str, datasets: Sequence[FormattedDataset]) -> list[DatasetRef]:
        """Put datasets, all or none; return their refs in order."""
        batches = _batches(datasets)
        ordered = [dataset for members in batches.values() for dataset in members]
        ids = [dataset.id for dataset in ordered]
        begin = BeginPut(uuid4(), run, tuple(_put_batch(members) for members in batches.values()))
        try:
            intents = self._registry.puts.begin(begin)
        except BaseException as error:
            if not isinstance(error, ButlerError) or isinstance(error, _UNKNOWN):
                self._take_back(ids)
            raise
        try:
            receipts = self._write(ordered, intents)
        except BaseException:
            self._take_back(ids)
            raise
        self._commit(ids, receipts)
        refs = {
            dataset.id: DatasetRef(dataset.dataset_type, intent.data_id, run, id=dataset.id)
            for dataset, intent in zip(ordered, intents, strict=True)
        }
        return [refs[dataset.id] for dataset in datasets]

    def _write(self, datasets: Sequence[FormattedDataset], intents: Sequence[PutIntent]) -> list[bytes]:
        receipts: list[bytes] = []
        batch: list[tuple[bytes, bytes]] = []
        batch_size = 0
        for dataset, intent in zip(datasets, intents, strict=True):
            (grant,) = intent.grants
            if dataset.size > self._limits.inline_bytes:
                receipts.append(self._datastore.write(grant.token, self._chunks(dataset)).token)
                continue
            if batch_size + dataset.size > self._limits.batch_bytes or len(batch) == self._limits.batch_items:
                receipts += [receipt.token for receipt in self._datastore.write_batch(batch)]
                batch, batch_size = [], 0
            dataset.content.seek(0)
            batch.append((grant.token, dataset.content.read()))
            batch_size += dataset.size
        if batch:
            receipts += [receipt.token for receipt in self._datastore.write_batch(batch)]
        return receipts

    def _chunks(self, dataset: FormattedDataset) -> Iterator[bytes]:
        dataset.content.seek(0)
        while chunk := dataset.content.read(self._limits.chunk_bytes):
            yield chunk

    def _commit(self, ids: Sequence[UUID], receipts: Sequence[bytes]) -> None:
        request_id = uuid4()
        for pause in (*_PAUSES, None):
            try:
                self._registry.puts.commit(ids, receipts, request_id=request_id)
                return
            except _REPEATABLE:
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
            grants = self._registry.puts.abort(ids, request_id=uuid4())
            if grants:
                self._datastore.discard(grants)
            self._registry.puts.finish_abort(ids, request_id=uuid4())
        except ButlerError as error:
            _LOG.warning(
                "A failed put of %d datasets could not be taken back now (%s); the reaper will do it when "
                "its lease ends.",
                len(ids),
                error,
            )


def _batches(datasets: Sequence[FormattedDataset]) -> dict[tuple[object, ...], list[FormattedDataset]]:
    """Group what can travel as one batch: the same type, layout and keys."""
    batches: dict[tuple[object, ...], list[FormattedDataset]] = {}
    for dataset in datasets:
        key = (dataset.dataset_type.name, dataset.layout, frozenset(dataset.data_id))
        batches.setdefault(key, []).append(dataset)
    return batches


def _put_batch(members: Sequence[FormattedDataset]) -> PutBatch:
    first = members[0]
    return PutBatch(
        first.dataset_type.name,
        first.dataset_type.storageClass_name,
        [dataset.data_id for dataset in members],
        [dataset.id for dataset in members],
        (first.layout,),
    )
