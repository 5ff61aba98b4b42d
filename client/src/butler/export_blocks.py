# SPDX-License-Identifier: BSD-3-Clause
"""What an export file consists of: a list of blocks, in the order in which they are to be taken in."""

from __future__ import annotations

__all__ = [
    "AssociationBlock",
    "CollectionBlock",
    "DatasetBlock",
    "DatasetEntry",
    "DatasetTypeBlock",
    "DimensionBlock",
    "ExportBlock",
    "ExportFile",
    "FileEntry",
    "ValidityRange",
]

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

from butler_model.collection import Collection, CollectionType
from butler_model.data_id import DataIdValue
from butler_model.timespan import Timespan


@dataclass(frozen=True, slots=True)
class DimensionBlock:
    """Records of one dimension element, as the file has them; times are a `Timespan` under ``timespan``.

    Attributes
    ----------
    number
        Position of the block in the file, from 1.
    """

    number: int
    element: str
    records: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class CollectionBlock:
    """A collection; the older form of runs too."""

    number: int
    collection: Collection


@dataclass(frozen=True, slots=True)
class DatasetTypeBlock:
    """A dataset type, its dimensions still those of the file's universe."""

    number: int
    name: str
    dimensions: tuple[str, ...]
    storage_class: str
    is_calibration: bool


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file of datasets.

    Attributes
    ----------
    path
        Where it is, relative to the directory of the export; or a ``file://`` URI.
    formatter
        Dotted name of the class of the older library that reads it, `None` if that has none.
    label
        Label of the formatter that reads it here; if `None`, ``formatter`` and the end of the path tell.
    component, storage_class
        The component that it holds, and its storage class; both empty if it holds the whole.
    """

    path: str
    formatter: str | None = None
    label: str | None = None
    component: str = ""
    storage_class: str = ""


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """Datasets that share their files, or one dataset.

    Attributes
    ----------
    dataset_ids
        UUIDs, or the integers of older repositories; one per data ID.
    files
        One, or one for each component that is stored by itself; none if nothing is stored.
    """

    dataset_ids: tuple[UUID | int, ...]
    data_ids: tuple[Mapping[str, DataIdValue], ...]
    files: tuple[FileEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class DatasetBlock:
    """Datasets of one type in one run."""

    number: int
    dataset_type: str
    run: str
    records: tuple[DatasetEntry, ...]


@dataclass(frozen=True, slots=True)
class ValidityRange:
    """Datasets that are valid for the same time."""

    timespan: Timespan
    dataset_ids: tuple[UUID | int, ...]


@dataclass(frozen=True, slots=True)
class AssociationBlock:
    """Members of a TAGGED collection (``dataset_ids``) or CALIBRATION collection (``validity_ranges``)."""

    number: int
    collection: str
    type: CollectionType
    dataset_ids: tuple[UUID | int, ...] = ()
    validity_ranges: tuple[ValidityRange, ...] = ()


ExportBlock: TypeAlias = DimensionBlock | CollectionBlock | DatasetTypeBlock | DatasetBlock | AssociationBlock


@dataclass(frozen=True, slots=True)
class ExportFile:
    """A whole export.

    Attributes
    ----------
    name
        What the file is called in messages.
    universe_version, universe_namespace
        The dimension universe that it was written with.
    """

    name: str
    universe_version: int
    universe_namespace: str
    blocks: tuple[ExportBlock, ...]
