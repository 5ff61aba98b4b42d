# SPDX-License-Identifier: BSD-3-Clause
"""What the workload needs of a library: the names that both have, and the calls in which they differ.

Nothing here is imported from either of them, so that the interpreter of each can load it.
"""

from __future__ import annotations

__all__ = ["STORAGE_CLASS", "Library", "Place"]

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

STORAGE_CLASS = "StructuredDataDict"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a repository is.

    Attributes
    ----------
    root
        What the repository is opened with.
    database
        SQLAlchemy URL of PostgreSQL; empty for a file of SQLite in the root.
    artifacts
        Where artifacts are, if not in the root: ``s3://bucket/prefix``.
    """

    root: str
    database: str = ""
    artifacts: str = ""

    @property
    def name(self) -> str:
        """The last part of the root, which no other repository of its database has."""
        return self.root.rpartition("/")[2]

    def other(self, name: str) -> Place:
        """Return the place of another repository beside this one, on the same database."""
        return Place(
            f"{self.root}_{name}", self.database, f"{self.artifacts}_{name}" if self.artifacts else ""
        )


class Library(Protocol):
    """One of the two libraries, of whose types only those are used that both have under the same name."""

    @property
    def types(self) -> Any:
        """Module with ``CollectionType``, ``DatasetRef``, ``DatasetType``, ``DataCoordinate`` and ``FileDataset``."""

    def make(self, place: Place) -> None:
        """Make an empty repository that keeps `STORAGE_CLASS` as JSON."""

    def open(self, place: Place, **arguments: Any) -> Any:
        """Open a repository for writing."""

    def timespan(self, begin: int, end: int) -> Any:
        """Return a timespan between TAI nanoseconds since 1970."""

    def put_many(self, butler: Any, items: Sequence[tuple[Any, str, Mapping[str, Any]]], run: str) -> None:
        """Put datasets, all or none."""

    def get_by_ref(self, butler: Any, ref: Any) -> Any:
        """Get the dataset of a resolved ref, wherever it is."""

    def get_many(self, butler: Any, refs: Sequence[Any]) -> list[Any]:
        """Get datasets."""

    def register(
        self, butler: Any, dataset_type: Any, data_ids: Sequence[Mapping[str, Any]], run: str
    ) -> None:
        """Register datasets without artifacts."""

    def prune_and_return(self, butler: Any, refs: Iterable[Any]) -> None:
        """Remove datasets; their files may go later, if the library can do that."""

    def trash(self, butler: Any, refs: Iterable[Any]) -> None:
        """Move artifacts to the trash and leave them there."""

    def empty_trash(self, butler: Any) -> None:
        """Delete what is in the trash."""

    def import_(self, butler: Any, directory: str) -> None:
        """Import an export with its files."""
