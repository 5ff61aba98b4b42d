# SPDX-License-Identifier: BSD-3-Clause
"""The client's half of the protocol of putting: intent, bytes, commit."""

from __future__ import annotations

__all__ = ["DatasetToPut", "FormattedDataset", "PutProtocol", "format_dataset"]

import io
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, Protocol, cast
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
from butler_model.ports import BeginPut, Datastore, PutBatch, PutIntent, Registry
from butler_model.repository import Limits

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

    def chunks(self, size: int) -> Iterator[bytes]:
        """Yield its bytes from the first on, in pieces of at most ``size``."""
        self.content.seek(0)
        while chunk := self.content.read(size):
            yield chunk


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


class DatasetToPut(Protocol):
    """A dataset with its bytes at hand.

    Attributes
    ----------
    layout
        `None` to register it without bytes.
    size
        Length of the bytes.
    """

    @property
    def dataset_type(self) -> DatasetType: ...
    @property
    def data_id(self) -> Mapping[str, Any]: ...
    @property
    def id(self) -> UUID: ...
    @property
    def layout(self) -> ArtifactLayout | None: ...
    @property
    def size(self) -> int: ...

    def chunks(self, size: int) -> Iterator[bytes]:
        """Yield its bytes from the first on, in pieces of at most ``size``."""
        ...


@dataclass(frozen=True, slots=True)
class _Content:
    """The bytes of a dataset, from the first on each time that they are gone through."""

    dataset: DatasetToPut
    chunk_bytes: int

    def __iter__(self) -> Iterator[bytes]:
        return self.dataset.chunks(self.chunk_bytes)


class PutProtocol:
    """Puts datasets so that each is wholly there or wholly absent, whatever fails on the way.

    What is known to have failed is taken back. What has an unknown outcome is not: a commit may have made the
    datasets visible, a write may still be under way. Then the intents say what may be there, until their lease ends.
    """

    def __init__(self, registry: Registry, datastore: Datastore, limits: Limits) -> None:
        self._registry = registry
        self._datastore = datastore
        self._limits = limits

    def put(
        self, run: str, datasets: Sequence[DatasetToPut], *, request_id: UUID | None = None
    ) -> list[DatasetRef]:
        """Put datasets, all or none; return their refs in order.

        A put that was interrupted can be taken up again by the same datasets under the same ``request_id``.
        """
        batches = _batches(datasets)
        ordered = [dataset for members in batches.values() for dataset in members]
        ids = [dataset.id for dataset in ordered]
        begin = BeginPut(request_id or uuid4(), run, tuple(_put_batch(m) for m in batches.values()))
        try:
            intents = self._registry.puts.begin(begin)
        except BaseException as error:
            if not isinstance(error, ButlerError) or isinstance(error, _UNKNOWN):
                self._take_back(ids)
            raise
        try:
            receipts = self._write(ordered, intents)
        except _UNKNOWN:
            raise
        except BaseException:
            self._take_back(ids)
            raise
        self._commit(ids, receipts)
        refs = {
            dataset.id: DatasetRef(dataset.dataset_type, intent.data_id, run, id=dataset.id)
            for dataset, intent in zip(ordered, intents, strict=True)
        }
        return [refs[dataset.id] for dataset in datasets]

    def _write(self, datasets: Sequence[DatasetToPut], intents: Sequence[PutIntent]) -> list[bytes]:
        limits = self._limits
        receipts: list[bytes] = []
        batch: list[tuple[bytes, bytes]] = []
        batch_size = 0
        for dataset, intent in zip(datasets, intents, strict=True):
            if dataset.layout is None:
                continue
            (grant,) = intent.grants
            if dataset.size > limits.inline_bytes:
                content = _Content(dataset, limits.chunk_bytes)
                receipts.append(self._datastore.write(grant.token, content, size=dataset.size).token)
                continue
            if batch_size + dataset.size > limits.batch_bytes or len(batch) == limits.batch_items:
                receipts += [receipt.token for receipt in self._datastore.write_batch(batch)]
                batch, batch_size = [], 0
            batch.append((grant.token, b"".join(dataset.chunks(limits.chunk_bytes))))
            batch_size += dataset.size
        if batch:
            receipts += [receipt.token for receipt in self._datastore.write_batch(batch)]
        return receipts

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
                "A failed put of %d datasets could not be taken back (%s); their intents stay until somebody "
                "discards what they wrote.",
                len(ids),
                error,
            )


def _batches(datasets: Sequence[DatasetToPut]) -> dict[tuple[object, ...], list[DatasetToPut]]:
    """Group what can travel as one batch: the same type, layout and keys."""
    batches: dict[tuple[object, ...], list[DatasetToPut]] = {}
    for dataset in datasets:
        key = (dataset.dataset_type.name, dataset.layout, frozenset(dataset.data_id))
        batches.setdefault(key, []).append(dataset)
    return batches


def _put_batch(members: Sequence[DatasetToPut]) -> PutBatch:
    first = members[0]
    return PutBatch(
        first.dataset_type.name,
        first.dataset_type.storageClass_name,
        [dataset.data_id for dataset in members],
        [dataset.id for dataset in members],
        () if first.layout is None else (first.layout,),
    )
