# SPDX-License-Identifier: BSD-3-Clause
"""Putting an export into a repository, through the contracts of the two services alone.

The order of things, so that what is wrong with a file shows before anything is changed:

1. the file is read, checked and brought into the repository's universe, and its artifacts are looked for;
2. dimension records, in universe order, those that exist already being left as they are;
3. collections, in the order of the file;
4. dataset types;
5. datasets, batch by batch: each batch is there wholly or not at all.

What came before a failure stays; importing again goes on from there. Datasets that the repository has
already are left alone. Integer ids become UUIDs, of a dataset always the same.
"""

from __future__ import annotations

__all__ = [
    "EXPORT_FORMAT",
    "ImportCount",
    "ImportSummary",
    "Progress",
    "check_format",
    "import_export",
    "insert_records",
]

import os
from collections import Counter
from collections.abc import Collection as AnyCollection
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO
from uuid import uuid4

from butler_model.dataset import DatasetType
from butler_model.errors import InvalidRequestError
from butler_model.failpoints import reach
from butler_model.records import DimensionRecord

from .connect import Connection
from .export_associations import ExportAssociations, link_chains
from .export_blocks import CollectionBlock, ExportFile
from .export_datasets import ExportSource, plan_datasets
from .export_file import read_export
from .group_puts import GroupBatch, GroupPuts
from .ingest_files import Progress
from .transactions import CurrentRegistry
from .transfer_modes import RouteFinder
from .universe_upgrade import upgrade_export

EXPORT_FORMAT = "yaml"
"""The only format of exports."""
_FORMAT_NAMES = (EXPORT_FORMAT, "yml")


@dataclass(frozen=True, slots=True)
class ImportCount:
    """How many of something a file has, and how many of these are new in the repository."""

    found: int
    new: int


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What an import did.

    Attributes
    ----------
    dimension_records
        By element.
    collections
        By name of the collection type.
    datasets
        By dataset type.
    artifacts, artifact_bytes
        Files that were taken, and their length in bytes.
    associations
        By collection, the number of datasets that the file puts into it besides their runs; one that is valid in two
        ranges of time counts twice.
    """

    dimension_records: Mapping[str, ImportCount]
    collections: Mapping[str, ImportCount]
    dataset_types: ImportCount
    datasets: Mapping[str, ImportCount]
    artifacts: int
    artifact_bytes: int
    associations: Mapping[str, int]


def import_export(
    connection: Connection,
    source: str | os.PathLike[str] | IO[bytes] | IO[str],
    *,
    directory: str | os.PathLike[str] | None = None,
    transfer: str | None = "auto",
    skip_dimensions: AnyCollection[str] = frozenset(),
    without_datastore: bool = False,
    progress: Progress | None = None,
) -> ImportSummary:
    """Put what an export holds into a repository.

    Parameters
    ----------
    source
        Path of the YAML file, or an open stream.
    directory
        Where the artifacts are that the file names.
    transfer
        As `Butler.ingest` takes it.
    skip_dimensions
        Names of elements whose records are left out.
    without_datastore
        Whether files are left out, and the datasets registered without anything that is stored.
    progress
        Called at the beginning of each phase and after each step.

    Raises
    ------
    MalformedExportError
        Raised if the file is not of the documented shape, or an artifact's format is not known.
    IncompatibleVersionError
        Raised if the file's version, or its universe, does not fit the repository.
    ArtifactNotFoundError
        Raised if an artifact is not in the directory.
    UnsupportedOperationError
        Raised if there is no such ``transfer``, or files cannot be taken so.
    InvalidRequestError
        Raised if there are artifacts and no directory.
    ConflictingDefinitionError
        Raised if the repository has something else by the name or data ID of something in the file.
    MissingParentError, DataIdValueError, InconsistentDataIdError
        Raised if records are needed that are neither in the file nor in the repository.
    MissingDatasetTypeError, MissingCollectionError
        Raised if datasets are of a type, or in a run, that neither has.
    IngestPathError
        Raised if the datastore may not take a file, or it is not in the store as ``transfer`` says.
    OSError
        Raised if the file cannot be read.
    """
    registry = connection.registry
    universe = connection.info.universe
    finder = RouteFinder(transfer, connection.store_root, connection.datastore)
    skipped = {universe[name].name for name in skip_dimensions}
    export = read_export(source)
    upgraded = upgrade_export(export, universe)
    files = ExportSource(None if directory is None else Path(directory), transfer, without_datastore, finder)
    plan = plan_datasets(export, upgraded.dataset_types, registry, files)
    records = {element: found for element, found in upgraded.records.items() if element not in skipped}
    associations = ExportAssociations(registry, export, plan.ids)
    associations.check()
    loader = _Loader(connection, progress or _ignore)
    return ImportSummary(
        insert_records(connection, records, loader.progress),
        loader.register_collections(export),
        loader.register_dataset_types(upgraded.dataset_types),
        *loader.put_datasets(plan.batches),
        loader.associate(associations),
    )


def insert_records(
    connection: Connection, records: Mapping[str, Sequence[DimensionRecord]], progress: Progress
) -> dict[str, ImportCount]:
    """Insert records, given by element in the order of the universe; those that are there stay as they are."""
    phase, done, total = "dimension records", 0, sum(map(len, records.values()))
    step = connection.info.limits.batch_items
    counts = {}
    progress(phase, done, total)
    for element, found in records.items():
        new = 0
        for i in range(0, len(found), step):
            batch = found[i : i + step]
            new += connection.registry.dimension_records.insert(
                element, batch, request_id=uuid4(), skip_existing=True
            )
            done += len(batch)
            progress(phase, done, total)
        counts[element] = ImportCount(len(found), new)
    return counts


def check_format(format: str) -> None:
    """Raise `InvalidRequestError` unless a format, or the end of a file's name, is one of exports."""
    if format.lstrip(".") not in _FORMAT_NAMES:
        raise InvalidRequestError(f"There is no export format {format!r:.80}; use {EXPORT_FORMAT!r}.")


def _ignore(phase: str, done: int, total: int, /) -> None:
    pass


@dataclass(frozen=True, slots=True)
class _Loader:
    connection: Connection
    progress: Progress

    @property
    def registry(self) -> CurrentRegistry:
        return self.connection.registry

    def register_collections(self, export: ExportFile) -> dict[str, ImportCount]:
        collections = [block.collection for block in export.blocks if isinstance(block, CollectionBlock)]
        found, new = Counter[str](), Counter[str]()
        made: set[str] = set()
        self.progress("collections", 0, len(collections))
        for done, collection in enumerate(collections, 1):
            bare = replace(collection, children=())
            if self.registry.collections.register(bare, request_id=uuid4()):
                made.add(collection.name)
                new[collection.type.name] += 1
            found[collection.type.name] += 1
            self.progress("collections", done, len(collections))
        link_chains(self.registry, [c for c in collections if c.children], made)
        return {name: ImportCount(found[name], new[name]) for name in found}

    def associate(self, associations: ExportAssociations) -> dict[str, int]:
        members: dict[str, int] = {}
        blocks = associations.blocks
        self.progress("associations", 0, len(blocks))
        for done, block in enumerate(blocks, 1):
            members[block.collection] = members.get(block.collection, 0) + associations.add(block)
            self.progress("associations", done, len(blocks))
        return members

    def register_dataset_types(self, dataset_types: Mapping[str, DatasetType]) -> ImportCount:
        new, total = 0, len(dataset_types)
        self.progress("dataset types", 0, total)
        for done, dataset_type in enumerate(dataset_types.values(), 1):
            new += self.registry.dataset_types.register(dataset_type, request_id=uuid4())
            self.progress("dataset types", done, total)
        return ImportCount(total, new)

    def put_datasets(self, batches: list[GroupBatch]) -> tuple[dict[str, ImportCount], int, int]:
        done, total = 0, sum(len(batch.ids) for batch in batches)
        puts = GroupPuts(self.connection)
        found, new = Counter[str](), Counter[str]()
        artifacts = size = 0
        self.progress("datasets", done, total)
        for batch in batches:
            name = batch.dataset_type.name
            for group in puts.put(batch):
                new[name] += len(group.ids)
                artifacts += len(group.artifacts)
                size += group.size
            reach("import.between_batches")
            found[name] += len(batch.ids)
            done += len(batch.ids)
            self.progress("datasets", done, total)
        return {name: ImportCount(found[name], new[name]) for name in found}, artifacts, size
