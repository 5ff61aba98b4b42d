# SPDX-License-Identifier: BSD-3-Clause
"""The client's half of the protocol of putting: intent, bytes, commit."""

from __future__ import annotations

__all__ = [
    "ArtifactToPut",
    "Content",
    "DatasetToPut",
    "FormattedArtifact",
    "FormattedDataset",
    "PutProtocol",
    "chunks_of_file",
    "format_dataset",
    "planned_layouts",
]

import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, Protocol, cast
from uuid import UUID, uuid4

from butler_model.artifact import ArtifactLayout
from butler_model.composites import Composites
from butler_model.dataset import DatasetRef, DatasetType, new_dataset_id
from butler_model.errors import ButlerError, InternalError
from butler_model.failpoints import reach
from butler_model.ports import BeginPut, Datastore, PutBatch, PutIntent
from butler_model.repository import Limits
from butler_model.storage_class import StorageClass

from .composites import component_class, delegate_of, written_form
from .formatters import default_formatters
from .formatters.formatter import Formatter
from .repeating import REPEATABLE, repeated
from .storage_classes import coerce, default_storage_classes
from .transactions import CurrentRegistry, take_back

_SPOOL_BYTES = 64 * 1024 * 1024
_UNKNOWN = (*REPEATABLE, InternalError)


@dataclass(frozen=True, slots=True)
class FormattedArtifact:
    """The bytes of a dataset, or of a component of it.

    Attributes
    ----------
    content
        At its end; closed by whoever made it.
    size
        Length in bytes.
    """

    layout: ArtifactLayout
    content: BinaryIO
    size: int

    def chunks(self, size: int) -> Iterator[bytes]:
        """Yield its bytes from the first on, in pieces of at most ``size``."""
        self.content.seek(0)
        while chunk := self.content.read(size):
            yield chunk


@dataclass(frozen=True, slots=True)
class FormattedDataset:
    """A dataset ready to be put: its bytes are made, so nothing about the object can fail any more.

    Attributes
    ----------
    data_id
        Keys and values, with defaults filled in.
    artifacts
        One, or one for each component that has a value.
    """

    dataset_type: DatasetType
    data_id: Mapping[str, Any]
    id: UUID
    artifacts: tuple[FormattedArtifact, ...]

    @property
    def size(self) -> int:
        """Length in bytes."""
        return sum(artifact.size for artifact in self.artifacts)

    def close(self) -> None:
        """Give back the temporary files."""
        for artifact in self.artifacts:
            artifact.content.close()


def format_dataset(
    obj: object, dataset_type: DatasetType, data_id: Mapping[str, Any], composites: Composites
) -> FormattedDataset:
    """Format an object, whole or in parts as the repository wants it; what is large goes to temporary files.

    Raises
    ------
    StorageClassError
        Raised if the storage class is not known here, or the object cannot be taken apart.
    StorageClassTypeError
        Raised if the object, or a component that is stored by itself, is not of its Python type nor converts to it.
    FormatterError
        Raised if there is no formatter, or it cannot write the object.
    """
    storage_class = default_storage_classes().getStorageClass(dataset_type.storageClass_name)
    instrument = data_id.get("instrument")
    converted = coerce(storage_class, obj)
    artifacts: list[FormattedArtifact] = []
    try:
        if storage_class.isComposite() and composites.is_disassembled(dataset_type, instrument):
            for component, part in delegate_of(storage_class).disassemble(converted).items():
                held = component_class(storage_class, component)
                part_type = dataset_type.makeComponentDatasetType(component, held)
                artifacts.append(_format(coerce(held, part), part_type, held, instrument))
            if not artifacts:
                # All are None. An empty mapping says so, and reads back as any other composite of that format.
                artifacts.append(_written({}, default_formatters().by_label("json"), {}, storage_class))
        else:
            artifacts.append(_format(converted, dataset_type, storage_class, instrument))
    except BaseException:
        for artifact in artifacts:
            artifact.content.close()
        raise
    return FormattedDataset(dataset_type, data_id, new_dataset_id(), tuple(artifacts))


def planned_layouts(
    dataset_type: DatasetType, instrument: str | None, composites: Composites
) -> list[ArtifactLayout]:
    """Return how a dataset would be stored if none of its components were `None`; errors as of `format_dataset`."""
    storage_class = default_storage_classes().getStorageClass(dataset_type.storageClass_name)
    held = {"": storage_class}
    if storage_class.isComposite() and composites.is_disassembled(dataset_type, instrument):
        held = {name: component_class(storage_class, name) for name in storage_class.components}
    layouts = []
    for component, part in held.items():
        part_type = dataset_type.makeComponentDatasetType(component, part) if component else dataset_type
        formatter, _ = default_formatters().formatter_for(part_type, instrument)
        layouts.append(ArtifactLayout(formatter.label, formatter.extension, part.name, component))
    return layouts


def _format(
    obj: object, dataset_type: DatasetType, storage_class: StorageClass, instrument: str | None
) -> FormattedArtifact:
    formatter, parameters = default_formatters().formatter_for(dataset_type, instrument)
    form = written_form(storage_class, formatter, obj)
    return _written(form, formatter, parameters, storage_class, dataset_type.component() or "")


def _written(
    obj: object,
    formatter: Formatter,
    parameters: Mapping[str, object],
    storage_class: StorageClass,
    component: str = "",
) -> FormattedArtifact:
    content = cast(BinaryIO, SpooledTemporaryFile(_SPOOL_BYTES))  # noqa: SIM115
    try:
        formatter.write(obj, content, parameters)
        size = content.seek(0, io.SEEK_END)
    except BaseException:
        content.close()
        raise
    layout = ArtifactLayout(formatter.label, formatter.extension, storage_class.name, component)
    return FormattedArtifact(layout, content, size)


class Content(Protocol):
    """Bytes at hand.

    Attributes
    ----------
    size
        Their number.
    """

    @property
    def size(self) -> int: ...

    def chunks(self, size: int) -> Iterator[bytes]:
        """Yield the bytes from the first on, in pieces of at most ``size``."""
        ...


class ArtifactToPut(Content, Protocol):
    """What is to be stored of a dataset."""

    @property
    def layout(self) -> ArtifactLayout: ...


class DatasetToPut(Protocol):
    """A dataset with its bytes at hand; without artifacts, it is only registered."""

    @property
    def dataset_type(self) -> DatasetType: ...
    @property
    def data_id(self) -> Mapping[str, Any]: ...
    @property
    def id(self) -> UUID: ...
    @property
    def artifacts(self) -> Sequence[ArtifactToPut]: ...


@dataclass(frozen=True, slots=True)
class _Chunks:
    """The bytes of an artifact, from the first on each time that they are gone through."""

    content: Content
    size: int

    def __iter__(self) -> Iterator[bytes]:
        for number, chunk in enumerate(self.content.chunks(self.size)):
            reach("put.upload_half" if number else "put.upload_0")
            yield chunk


class PutProtocol:
    """Puts datasets so that each is wholly there or wholly absent, whatever fails on the way.

    What is known to have failed is taken back. What has an unknown outcome is not: a commit may have made the
    datasets visible, a write may still be under way. Then the intents say what may be there, until their lease ends.
    """

    def __init__(self, registry: CurrentRegistry, datastore: Datastore, limits: Limits) -> None:
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
        begin = BeginPut(request_id or uuid4(), run, tuple(_put_batch(m) for m in batches.values()))
        (intents,) = self.carry_out([begin], lambda begun: [self.upload(_to_write(ordered, begun[0]))])
        refs = {
            dataset.id: DatasetRef(dataset.dataset_type, intent.data_id, run, id=dataset.id)
            for dataset, intent in zip(ordered, intents, strict=True)
        }
        return [refs[dataset.id] for dataset in datasets]

    def carry_out(
        self,
        begins: Sequence[BeginPut],
        store: Callable[[Sequence[Sequence[PutIntent]]], Sequence[Sequence[bytes]]],
    ) -> list[list[PutIntent]]:
        """Begin puts, have their artifacts stored, and commit them; return what was begun.

        All that can be refused is refused before the first commit. A later one that fails nevertheless, since another
        put was first or a service went away, leaves the earlier ones committed.

        Parameters
        ----------
        store
            Stores the artifacts of the puts, given the intents of each; returns the receipts of each.
        """
        begun: list[list[PutIntent]] = []
        try:
            for begin in begins:
                begun.append(self._registry.puts.begin(begin))  # noqa: PERF401 - how far it came counts
        except BaseException as error:
            unsure = not isinstance(error, ButlerError) or isinstance(error, _UNKNOWN)
            self._take_back(begins[: len(begun) + unsure])
            raise
        try:
            receipts = store(begun)
        except _UNKNOWN:
            self._registry.leave(dataset_id for begin in begins for dataset_id in _ids(begin))
            raise
        except BaseException:
            self._take_back(begins)
            raise
        for number, begin in enumerate(begins):
            try:
                self._commit(begin, receipts[number])
            except BaseException:
                self._take_back(begins[number + 1 :])
                raise
        return begun

    def upload(self, contents: Iterable[tuple[bytes, Content]]) -> list[bytes]:
        """Write artifacts, given as (write grant, content); return their receipts."""
        limits = self._limits
        receipts: list[bytes] = []
        batch: list[tuple[bytes, bytes]] = []
        batch_size = 0
        for grant, content in contents:
            chunks = _Chunks(content, limits.chunk_bytes)
            if content.size > limits.inline_bytes:
                receipts.append(self._datastore.write(grant, chunks, size=content.size).token)
                continue
            if batch_size + content.size > limits.batch_bytes or len(batch) == limits.batch_items:
                receipts += [receipt.token for receipt in self._datastore.write_batch(batch)]
                batch, batch_size = [], 0
            batch.append((grant, b"".join(chunks)))
            batch_size += content.size
        if batch:
            receipts += [receipt.token for receipt in self._datastore.write_batch(batch)]
        return receipts

    def _commit(self, begin: BeginPut, receipts: Sequence[bytes]) -> None:
        ids = _ids(begin)
        request_id = uuid4()
        try:
            repeated(lambda: self._registry.puts.commit(ids, receipts, request_id=request_id))
        except _UNKNOWN:
            raise
        except ButlerError:
            self._take_back([begin])
            raise

    def _take_back(self, begins: Sequence[BeginPut]) -> None:
        for ids in map(_ids, begins):
            reach("put.client_before_cleanup")
            take_back(self._registry.puts, self._datastore, ids)


def chunks_of_file(path: str | os.PathLike[str], size: int) -> Iterator[bytes]:
    """Yield the bytes of a file, in pieces of at most ``size``."""
    with open(path, "rb") as file:
        while chunk := file.read(size):
            yield chunk


def _ids(begin: BeginPut) -> list[UUID]:
    return [dataset_id for batch in begin.batches for dataset_id in batch.dataset_ids]


def _to_write(
    datasets: Sequence[DatasetToPut], intents: Sequence[PutIntent]
) -> Iterator[tuple[bytes, Content]]:
    """Pair the tokens of grants with the artifacts that they are for."""
    for dataset, intent in zip(datasets, intents, strict=True):
        tokens = {grant.component: grant.token for grant in intent.grants}
        for artifact in dataset.artifacts:
            yield tokens[artifact.layout.component], artifact


def _batches(datasets: Sequence[DatasetToPut]) -> dict[tuple[object, ...], list[DatasetToPut]]:
    """Group what can travel as one batch: the same type, layouts and keys."""
    batches: dict[tuple[object, ...], list[DatasetToPut]] = {}
    for dataset in datasets:
        layouts = tuple(artifact.layout for artifact in dataset.artifacts)
        key = (dataset.dataset_type.name, layouts, frozenset(dataset.data_id))
        batches.setdefault(key, []).append(dataset)
    return batches


def _put_batch(members: Sequence[DatasetToPut]) -> PutBatch:
    first = members[0]
    return PutBatch(
        first.dataset_type.name,
        first.dataset_type.storageClass_name,
        [dataset.data_id for dataset in members],
        [dataset.id for dataset in members],
        tuple(artifact.layout for artifact in first.artifacts),
    )
