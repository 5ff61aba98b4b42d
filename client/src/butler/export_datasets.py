# SPDX-License-Identifier: BSD-3-Clause
"""Planning which datasets of an export are put where: their types, ids, data IDs and files."""

from __future__ import annotations

__all__ = ["DatasetPlan", "ExportSource", "plan_datasets"]

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid5

from butler_model.artifact import ArtifactLayout
from butler_model.data_id import DataCoordinate, DataIdValue
from butler_model.dataset import DatasetType
from butler_model.errors import (
    ArtifactNotFoundError,
    DimensionNameError,
    DimensionValueError,
    InvalidNameError,
    InvalidRequestError,
    MalformedExportError,
    UnsupportedOperationError,
)
from butler_model.ports import Placing, Registry

from .export_blocks import DatasetBlock, ExportFile, FileEntry
from .export_file import malformed
from .export_formatters import KNOWN_LABELS, extension_of, label_of
from .group_puts import DatasetGroup, GroupBatch, SourceArtifact, cut_groups
from .transfer_modes import REFERRING, Route, RouteFinder, local_path

_NAMESPACE = UUID("8f1c2a7e-5b0d-4b63-9a37-2d0c4be1f9a4")
"""Ways to transfer that copy nothing, so that who reads the dataset must be able to read the file itself."""


@dataclass(frozen=True, slots=True)
class ExportSource:
    """Where the files of an export are, and how they are taken.

    Attributes
    ----------
    directory
        What their paths are relative to.
    transfer
        As `Butler.ingest` takes it.
    without_datastore
        Whether they are left, and the datasets registered without anything that is stored.
    """

    directory: Path | None
    transfer: str | None
    without_datastore: bool
    finder: RouteFinder


@dataclass(frozen=True, slots=True)
class DatasetPlan:
    """All batches of an export, and the id that each dataset of the file will have."""

    batches: list[GroupBatch]
    ids: Mapping[UUID | int, UUID]


def plan_datasets(
    export: ExportFile, dataset_types: Mapping[str, DatasetType], registry: Registry, source: ExportSource
) -> DatasetPlan:
    """Return all datasets of an export in batches; the same file always gives the same batches.

    Parameters
    ----------
    dataset_types
        Those of the file; others are asked of the registry.

    Raises
    ------
    MalformedExportError
        Raised if an id or a data ID cannot be, a file is outside of the directory, or its format is not known.
    ArtifactNotFoundError
        Raised if a file is not there.
    InvalidRequestError
        Raised if there are files, but no directory.
    UnsupportedOperationError
        Raised if components would have to stay where they are.
    MissingDatasetTypeError
        Raised if neither the file nor the registry has a dataset type.
    """
    types = dict(dataset_types)
    blocks = [block for block in export.blocks if isinstance(block, DatasetBlock)]
    for block in blocks:
        if block.dataset_type not in types:
            types[block.dataset_type] = registry.dataset_types.get(block.dataset_type)
    ids: dict[UUID | int, UUID] = {}
    taken: set[tuple[str, str, DataCoordinate]] = set()
    batches: list[GroupBatch] = []
    limit = registry.info.limits.batch_items
    for block in blocks:
        type_ = types[block.dataset_type]
        groups = _Planner(export, block, type_, source, ids, taken).groups()
        batches.extend(cut_groups(block.run, type_, groups, limit))
    return DatasetPlan(batches, ids)


@dataclass(frozen=True, slots=True)
class _Planner:
    export: ExportFile
    block: DatasetBlock
    dataset_type: DatasetType
    source: ExportSource
    ids: dict[UUID | int, UUID]
    taken: set[tuple[str, str, DataCoordinate]]

    def groups(self) -> Iterator[DatasetGroup]:
        for i, entry in enumerate(self.block.records):
            files = () if self.source.without_datastore else entry.files
            artifacts = tuple(self._artifact(i, file) for file in files)
            self._check_placing(i, artifacts)
            data_ids = tuple(self._data_id(i, data_id) for data_id in entry.data_ids)
            ids = tuple(self._id(i, *each) for each in zip(entry.dataset_ids, data_ids, strict=True))
            yield DatasetGroup(ids, data_ids, artifacts)

    def _refuse(self, i: int, what: str) -> MalformedExportError:
        kind = f"dataset {self.block.dataset_type}"
        return malformed(self.export.name, what, block=self.block.number, kind=kind, record=i)

    def _id(self, i: int, given: UUID | int, data_id: Mapping[str, DataIdValue]) -> UUID:
        if given in self.ids:
            raise self._refuse(i, f"dataset_id {given} is that of another dataset of the file already.")
        self.ids[given] = given if isinstance(given, UUID) else self._new_id(given, data_id)
        return self.ids[given]

    def _new_id(self, given: int, data_id: Mapping[str, DataIdValue]) -> UUID:
        # The same dataset always gets the same id, so that its import can be repeated.
        values = [f"{name}={data_id[name]}" for name in self.dataset_type.dimensions.required]
        return uuid5(_NAMESPACE, "\n".join((str(given), self.dataset_type.name, self.block.run, *values)))

    def _data_id(self, i: int, given: Mapping[str, DataIdValue]) -> dict[str, DataIdValue]:
        group = self.dataset_type.dimensions
        try:
            for name in given:
                group.universe.dimension(name)
            # Older universes implied dimensions that the type does not have any more.
            data_id = {name: value for name, value in given.items() if name in group}
            standard = DataCoordinate.standardize(data_id, dimensions=group)
        except (DimensionNameError, DimensionValueError) as error:
            raise self._refuse(i, error.message) from error
        place = (self.block.run, self.block.dataset_type, standard)
        if place in self.taken:
            raise self._refuse(i, f"{standard} in {self.block.run!r} is another dataset of the file already.")
        self.taken.add(place)
        return data_id

    def _artifact(self, i: int, file: FileEntry) -> SourceArtifact:
        layout = self._layout(i, file)
        path, size = self._file(i, file.path)
        return SourceArtifact(layout, self.source.finder.routes([path])[0], size)

    def _check_placing(self, i: int, artifacts: tuple[SourceArtifact, ...]) -> None:
        for artifact in artifacts:
            stays = isinstance(artifact.source, Route) and artifact.source.placing is not Placing.TEMPLATE
            if stays and artifact.layout.component:
                raise UnsupportedOperationError(
                    f"{self.export.name}: block {self.block.number}, record {i + 1}: the files of separate components "
                    "cannot stay where they are; use transfer='copy' or 'link'.",
                    transfer=str(self.source.transfer),
                )

    def _layout(self, i: int, file: FileEntry) -> ArtifactLayout:
        label = label_of(file)
        if label is None:
            raise self._refuse(
                i,
                f"{file.path!r:.200}, written by {file.formatter!r:.200}, is of no format that is read here; known "
                f"are {', '.join(KNOWN_LABELS)}. Leave out path and formatter to register the dataset without its "
                "file.",
            )
        storage_class = file.storage_class or self.dataset_type.storageClass_name
        try:
            return ArtifactLayout(label, extension_of(file), storage_class, file.component)
        except InvalidNameError:
            pass  # some extension that no format here has
        try:
            return ArtifactLayout(label, "", storage_class, file.component)
        except InvalidNameError as error:
            raise self._refuse(i, error.message) from error

    def _file(self, i: int, path: str) -> tuple[str, int]:
        """Return the path of a file, and its length if it can be seen from here."""
        try:
            if self.source.transfer is None:
                return path, 0  # in the store already, where it may be that only the datastore sees it
            if self.source.transfer == "direct" and (path.startswith("file://") or os.path.isabs(path)):
                return local_path(path), 0
            return self._in_directory(i, path)
        except (OSError, ValueError) as error:  # ValueError: a path with a NUL character
            if isinstance(error, MalformedExportError | ArtifactNotFoundError | InvalidRequestError):
                raise
            raise self._refuse(i, f"{path!r:.200} is no path of a file: {error}.") from error

    def _in_directory(self, i: int, path: str) -> tuple[str, int]:
        directory = self.source.directory
        if directory is None:
            raise InvalidRequestError(
                f"{self.export.name} names artifacts, such as {path!r:.200}: give the directory that they are in.",
                path=path,
            )
        root = directory.resolve()
        named = Path(os.path.normpath(root / path))
        file = named.resolve()
        # Otherwise an export from somebody else could have files copied that only the reader of it may read.
        outside = named if self.source.transfer in REFERRING else file
        if not outside.is_relative_to(root):
            raise self._refuse(
                i,
                f"{path!r:.200} leads out of the directory {str(root)!r}; only transfer='direct' takes files from "
                "elsewhere.",
            )
        if not file.is_file():
            raise ArtifactNotFoundError(
                f"{self.export.name}: block {self.block.number}, record {i + 1}: there is no file {path!r:.200} in "
                f"{str(root)!r}.",
                path=path,
            )
        return str(named), file.stat().st_size
