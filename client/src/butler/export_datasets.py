# SPDX-License-Identifier: BSD-3-Clause
"""Planning which datasets of an export are put where: their types, ids, data IDs and files."""

from __future__ import annotations

__all__ = ["DatasetBatch", "DatasetPlan", "PlannedDataset", "plan_datasets"]

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from uuid import UUID

from butler_model.artifact import ArtifactLayout
from butler_model.data_id import DataCoordinate, DataIdValue
from butler_model.dataset import DatasetType, new_dataset_id
from butler_model.errors import (
    ArtifactNotFoundError,
    DimensionNameError,
    DimensionValueError,
    InvalidNameError,
    InvalidRequestError,
    MalformedExportError,
)
from butler_model.ports import Registry

from .export_file import DatasetBlock, DatasetEntry, ExportFile, malformed

_LABELS = ("json", "yaml", "parquet", "ecsv", "fits", "npy", "text", "bytes")
"""Formatters that read what the class of like name in another library wrote; `JsonFormatter` and such."""

_EXTENSIONS = {
    ".json": "json",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".parq": "parquet",
    ".parquet": "parquet",
    ".ecsv": "ecsv",
    ".fits": "fits",
    ".fits.gz": "fits",
    ".fits.fz": "fits",
    ".npy": "npy",
    ".txt": "text",
    ".bin": "bytes",
}

_BATCH_FILES = 500
_BATCH_BYTES = 256 * 1024 * 1024
"""Limits of a batch with files, so that it is done well within its lease."""


@dataclass(frozen=True, slots=True)
class PlannedDataset:
    """A dataset that is to be put.

    Attributes
    ----------
    data_id
        The values given for the dimensions of its type, implied ones too.
    path, size
        Its file and the length of that in bytes; `None` and 0 if it is to be registered without one.
    """

    id: UUID
    data_id: Mapping[str, DataIdValue]
    path: Path | None
    size: int


@dataclass(frozen=True, slots=True)
class DatasetBatch:
    """Datasets that are put together; ``layout`` is `None` if they have no files."""

    run: str
    dataset_type: DatasetType
    layout: ArtifactLayout | None
    datasets: tuple[PlannedDataset, ...]


@dataclass(frozen=True, slots=True)
class DatasetPlan:
    """All batches of an export, and the id that each dataset of the file will have."""

    batches: list[DatasetBatch]
    ids: Mapping[UUID | int, UUID]


def plan_datasets(
    export: ExportFile, dataset_types: Mapping[str, DatasetType], registry: Registry, directory: Path | None
) -> DatasetPlan:
    """Return all datasets of an export in batches; the same file always gives the same batches.

    Parameters
    ----------
    dataset_types
        Those of the file; others are asked of the registry.
    directory
        Where the files are.

    Raises
    ------
    MalformedExportError
        Raised if an id or a data ID cannot be, a file is outside of the directory, or its format is not known.
    ArtifactNotFoundError
        Raised if a file is not there.
    InvalidRequestError
        Raised if there are files, but no directory.
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
    batches: list[DatasetBatch] = []
    limit = registry.info.limits.batch_items
    for block in blocks:
        type_ = types[block.dataset_type]
        planner = _Planner(export, block, type_, directory, ids, taken)
        for layout, planned in groupby(planner.datasets(), key=lambda each: each[0]):
            cut = _cut((dataset for _, dataset in planned), limit if layout is None else _BATCH_FILES)
            batches.extend(DatasetBatch(block.run, type_, layout, datasets) for datasets in cut)
    return DatasetPlan(batches, ids)


def _cut(datasets: Iterator[PlannedDataset], limit: int) -> Iterator[tuple[PlannedDataset, ...]]:
    batch: list[PlannedDataset] = []
    size = 0
    for dataset in datasets:
        if batch and (len(batch) == limit or size + dataset.size > _BATCH_BYTES):
            yield tuple(batch)
            batch, size = [], 0
        batch.append(dataset)
        size += dataset.size
    yield tuple(batch)


@dataclass(frozen=True, slots=True)
class _Planner:
    export: ExportFile
    block: DatasetBlock
    dataset_type: DatasetType
    directory: Path | None
    ids: dict[UUID | int, UUID]
    taken: set[tuple[str, str, DataCoordinate]]

    def datasets(self) -> Iterator[tuple[ArtifactLayout | None, PlannedDataset]]:
        for i, entry in enumerate(self.block.records):
            path, size, layout = None, 0, None
            if entry.path is not None:
                layout = self._layout(i, entry, entry.path)
                path, size = self._file(i, entry.path)
            for given_id, data_id in zip(entry.dataset_ids, entry.data_ids, strict=True):
                # The datasets of one file get a copy each: each artifact has one owner.
                yield layout, PlannedDataset(self._id(i, given_id), self._data_id(i, data_id), path, size)

    def _refuse(self, i: int, what: str) -> MalformedExportError:
        kind = f"dataset {self.block.dataset_type}"
        return malformed(self.export.name, what, block=self.block.number, kind=kind, record=i)

    def _id(self, i: int, given: UUID | int) -> UUID:
        if given in self.ids:
            raise self._refuse(i, f"dataset_id {given} is that of another dataset of the file already.")
        self.ids[given] = given if isinstance(given, UUID) else new_dataset_id()
        return self.ids[given]

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

    def _layout(self, i: int, entry: DatasetEntry, path: str) -> ArtifactLayout:
        name = path.rpartition("/")[2].lower()
        known = max((e for e in _EXTENSIONS if name.endswith(e)), key=len, default="")
        class_name = (entry.formatter or "").rpartition(".")[2].lower()
        label = next((label for label in _LABELS if label in class_name), _EXTENSIONS.get(known))
        if label is None:
            raise self._refuse(
                i,
                f"{path!r:.200}, written by {entry.formatter!r:.200}, is of no format that is read here; known are "
                f"{', '.join(_LABELS)}. Leave out path and formatter to register the dataset without its file.",
            )
        extension = known or Path(name).suffix
        storage_class = self.dataset_type.storageClass_name
        try:
            return ArtifactLayout(label, extension, storage_class)
        except InvalidNameError:
            return ArtifactLayout(label, "", storage_class)

    def _file(self, i: int, path: str) -> tuple[Path, int]:
        if self.directory is None:
            raise InvalidRequestError(
                f"{self.export.name} names artifacts, such as {path!r:.200}: give the directory that they are in.",
                path=path,
            )
        try:
            root = self.directory.resolve()
            file = (root / path).resolve()
            if not file.is_relative_to(root):
                raise self._refuse(i, f"{path!r:.200} leads out of the directory {str(root)!r}.")
            if file.is_file():
                return file, file.stat().st_size
        except (OSError, ValueError) as error:  # ValueError: a path with a NUL character
            if isinstance(error, MalformedExportError):
                raise
            raise self._refuse(i, f"{path!r:.200} is no path of a file: {error}.") from error
        raise ArtifactNotFoundError(
            f"{self.export.name}: block {self.block.number}, record {i + 1}: there is no file {path!r:.200} in "
            f"{str(root)!r}.",
            path=path,
        )
