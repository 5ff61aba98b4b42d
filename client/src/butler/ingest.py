# SPDX-License-Identifier: BSD-3-Clause
"""Ingesting files: each becomes the artifact of one or more new datasets.

The order of things: all that can be known is checked; the puts are begun; the files are adopted, taken by the datastore
or uploaded; the puts are committed; the sources of moved files are removed. So whatever fails, a file is where it was
until its datasets are there.
"""

from __future__ import annotations

__all__ = ["FileDataset", "FileIngest"]

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4, uuid5

from butler_model.artifact import ArtifactLayout
from butler_model.dataset import DatasetRef, DatasetType, new_dataset_id
from butler_model.errors import ConflictingDefinitionError, InvalidRequestError
from butler_model.failpoints import reach
from butler_model.ports import BeginPut, DatasetLookup, FoundDataset, PutBatch, PutIntent

from .connect import Connection
from .dataset_arguments import check_refs
from .defaults import RegistryDefaults
from .formatters import default_formatters
from .ingest_files import FileStoring, Progress, StoredFile, cut
from .lookup import KnownDatasetTypes
from .putting import PutProtocol
from .transfer_modes import Route, RouteFinder, local_path

_NAMESPACE = UUID("0d5ba0f6-6a0c-4c0a-8f5c-0c5c1b6cf3a1")
_LEASE_SECONDS = 21_600


class FileDataset:
    """A file, and the datasets that it is the artifact of.

    Parameters
    ----------
    path
        A path, or a ``file://`` URI. Once ingested, the key of the artifact in its store, or the ``file://`` URI of one
        that stays outside of all stores.
    refs
        One ref or several, of one dataset type and for one run. Unresolved ones get an id; resolved ones keep theirs,
        so that ingesting them again is a repeat. Once ingested, a list of resolved refs.
    formatter
        Label of the formatter that reads the file; chosen by dataset type and storage class if absent. Once ingested,
        the label of the one that was chosen.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        refs: DatasetRef | Iterable[DatasetRef],
        formatter: str | None = None,
    ) -> None:
        self.path = path
        self.refs = [refs] if isinstance(refs, DatasetRef) else check_refs(refs)
        self.formatter = formatter

    def __repr__(self) -> str:
        return f"FileDataset({self.path!r}, {self.refs!r}, {self.formatter!r})"


@dataclass(frozen=True, slots=True)
class _File:
    """A file that is about to be ingested."""

    given: FileDataset
    dataset_type: DatasetType
    run: str
    ids: tuple[UUID, ...]
    layout: ArtifactLayout
    route: Route

    @property
    def data_ids(self) -> list[Mapping[str, Any]]:
        return [dict(ref.dataId) for ref in self.given.refs]

    @property
    def resolved(self) -> bool:
        return all(ref.is_resolved for ref in self.given.refs)

    @property
    def weight(self) -> int:
        """About how many bytes all about it takes in a message."""
        return len(self.ids) * (1_000 + 4 * len(self.route.path))


@dataclass(frozen=True, slots=True)
class _Put:
    """Files that are put by one request, in the order of its batches."""

    begin: BeginPut
    files: tuple[_File, ...]


class FileIngest:
    """One call of `Butler.ingest`.

    Parameters
    ----------
    run
        Where to ingest to; `None` for the runs of resolved refs, and the default one.
    """

    def __init__(
        self,
        connection: Connection,
        types: KnownDatasetTypes,
        defaults: RegistryDefaults,
        run: str | None,
        progress: Progress | None,
    ) -> None:
        self._connection = connection
        self._types = types
        self._defaults = defaults
        self._run = run
        self._limits = connection.info.limits
        self._storing = FileStoring(connection, progress)

    def ingest(self, datasets: Sequence[FileDataset], transfer: str | None, *, skip_existing: bool) -> None:
        """Ingest files, and say in each what became of it; see `Butler.ingest`."""
        finder = RouteFinder(transfer, self._connection.store_root, self._connection.datastore)
        targets = [self._target(dataset) for dataset in datasets]
        _refuse_repeated(datasets, [run for _, run in targets])
        there = self._there(datasets, targets) if skip_existing else {}
        new = [i for i in range(len(datasets)) if i not in there]
        routes = finder.routes([local_path(datasets[i].path) for i in new])
        files = [self._file(datasets[i], *targets[i], route) for i, route in zip(new, routes, strict=True)]
        puts = list(self._puts(files))
        protocol = PutProtocol(self._connection.registry, self._connection.datastore, self._limits)
        stored: list[list[StoredFile]] = []

        def store(begun: Sequence[Sequence[PutIntent]]) -> list[list[bytes]]:
            stored.extend(_stored(put, intents) for put, intents in zip(puts, begun, strict=True))
            receipts = self._storing.store(stored, protocol)
            reach("ingest.before_registration")
            return receipts

        begun = protocol.carry_out([put.begin for put in puts], store)
        reach("ingest.after_registration")
        files_stored = [file for part in stored for file in part]
        self._connection.registry.after_commit(lambda: self._storing.remove_sources(files_stored))
        for put, intents in zip(puts, begun, strict=True):
            _resolve(put, intents)
        for i, found in there.items():
            datasets[i].refs = [each.ref for each in found]
            datasets[i].path = found[0].artifacts[0].record.key if found[0].artifacts else datasets[i].path

    def _target(self, dataset: FileDataset) -> tuple[DatasetType, str]:
        """Return the registered type of the refs of a file, and the run."""
        if not isinstance(dataset, FileDataset) or not isinstance(dataset.path, str | os.PathLike):
            raise InvalidRequestError(
                f"Files are ingested as FileDataset(path, refs), one after the other, and not as {dataset!r:.200}."
            )
        if not dataset.refs:
            raise InvalidRequestError(
                f"{dataset.path!r:.300} is to be ingested without a ref; give at least one."
            )
        types = {ref.datasetType for ref in dataset.refs}
        runs = {self._defaults.run_for(self._run or ref.run) for ref in dataset.refs}
        if len(types) > 1 or len(runs) > 1:
            raise InvalidRequestError(
                f"The datasets of {dataset.path!r:.300} are of several types or runs; those of one file have one type "
                "and are in one run."
            )
        (dataset_type,), (run,) = types, runs
        if dataset_type.isComponent():
            raise InvalidRequestError(
                f"{dataset_type.name!r} is a component and cannot be ingested by itself; ingest "
                f"{dataset_type.nameAndComponent()[0]!r}.",
                dataset_type=dataset_type.name,
            )
        for ref in dataset.refs:
            if ref.is_resolved and ref.run != run:
                raise InvalidRequestError(
                    f"{ref} cannot be ingested into {run!r}; leave run out, or give unresolved refs "
                    "(ref.unresolved()).",
                    dataset_type=dataset_type.name,
                )
        return self._types.check(dataset_type), run

    def _there(
        self, datasets: Sequence[FileDataset], targets: Sequence[tuple[DatasetType, str]]
    ) -> dict[int, list[FoundDataset]]:
        """Return, for each file all of whose datasets are in their run already, what is there."""
        wanted: dict[tuple[str, str], list[tuple[int, DatasetRef]]] = {}
        for i, (dataset, (dataset_type, run)) in enumerate(zip(datasets, targets, strict=True)):
            wanted.setdefault((dataset_type.name, run), []).extend((i, ref) for ref in dataset.refs)
        there: dict[int, list[FoundDataset]] = {}
        for (name, run), refs in wanted.items():
            for batch in cut(refs, self._limits.batch_items):
                data_ids = [dict(ref.dataId) for _, ref in batch]
                lookup = DatasetLookup(name, data_ids, (run,), want_artifacts=True)
                for (i, ref), found in zip(
                    batch, self._connection.registry.datasets.find(lookup), strict=True
                ):
                    # One with another id is not the same; the put will be refused.
                    if found is not None and ref.id in (None, found.ref.id):
                        there.setdefault(i, []).append(found)
        return {i: found for i, found in there.items() if len(found) == len(datasets[i].refs)}

    def _file(self, dataset: FileDataset, dataset_type: DatasetType, run: str, route: Route) -> _File:
        if dataset.formatter is None:
            instrument = dataset.refs[0].dataId.get("instrument")
            name = None if instrument is None else str(instrument)
            formatter, _ = default_formatters().formatter_for(dataset_type, name)
        else:
            formatter = default_formatters().by_label(dataset.formatter)
        layout = ArtifactLayout(
            formatter.label, formatter.extension_of(route.path), dataset_type.storageClass_name
        )
        ids = tuple(ref.id or new_dataset_id() for ref in dataset.refs)
        return _File(dataset, dataset_type, run, ids, layout, route)

    def _puts(self, files: Sequence[_File]) -> Iterator[_Put]:
        runs: dict[str, list[_File]] = {}
        for file in files:
            runs.setdefault(file.run, []).append(file)
        # What is said about a batch fits well into a message.
        heaviest = self._limits.message_bytes * 3 // 4
        most = self._limits.batch_items
        for run, of_run in runs.items():
            for part in cut(
                of_run, most, (lambda file: file.weight, heaviest), (lambda file: len(file.ids), most)
            ):
                yield _put(run, part)


def _put(run: str, files: Sequence[_File]) -> _Put:
    batches: dict[tuple[Any, ...], list[_File]] = {}
    for file in files:
        key = (file.dataset_type.name, file.layout, file.route.placing)
        batches.setdefault(key, []).append(file)
    ordered = tuple(file for members in batches.values() for file in members)
    # The same resolved refs are always the same request, so that what was interrupted can be taken up again.
    request_id = uuid4()
    if all(file.resolved for file in ordered):
        request_id = uuid5(_NAMESPACE, " ".join(str(id_) for file in ordered for id_ in file.ids))
    requested = tuple(_put_batch(members) for members in batches.values())
    return _Put(BeginPut(request_id, run, requested, _LEASE_SECONDS), ordered)


def _put_batch(files: Sequence[_File]) -> PutBatch:
    first = files[0]
    shared = any(len(file.ids) > 1 for file in files)
    return PutBatch(
        first.dataset_type.name,
        first.dataset_type.storageClass_name,
        [data_id for file in files for data_id in file.data_ids],
        [id_ for file in files for id_ in file.ids],
        (first.layout,),
        tuple(len(file.ids) for file in files) if shared else (),
        first.route.placing,
        tuple(file.route.key for file in files if file.route.key),
    )


def _by_file(put: _Put, intents: Sequence[PutIntent]) -> Iterator[tuple[_File, list[PutIntent]]]:
    rest = iter(intents)
    for file in put.files:
        yield file, [next(rest) for _ in file.ids]


def _stored(put: _Put, intents: Sequence[PutIntent]) -> list[StoredFile]:
    # The grant of the first of its datasets is enough.
    return [
        StoredFile(file.route, of_file[0].grants[0].token, of_file[0].dataset_id)
        for file, of_file in _by_file(put, intents)
    ]


def _resolve(put: _Put, intents: Sequence[PutIntent]) -> None:
    for file, of_file in _by_file(put, intents):
        file.given.refs = [
            DatasetRef(file.dataset_type, intent.data_id, file.run, id=intent.dataset_id)
            for intent in of_file
        ]
        file.given.path = of_file[0].grants[0].key
        file.given.formatter = file.layout.formatter


def _refuse_repeated(datasets: Sequence[FileDataset], runs: Sequence[str]) -> None:
    seen: set[tuple[str, str, Any]] = set()
    for dataset, run in zip(datasets, runs, strict=True):
        for ref in dataset.refs:
            place = (run, ref.datasetType.name, ref.dataId)
            if place in seen:
                raise ConflictingDefinitionError(
                    f"{ref.unresolved()} is twice among what is to be ingested.",
                    dataset_type=ref.datasetType.name,
                )
            seen.add(place)
