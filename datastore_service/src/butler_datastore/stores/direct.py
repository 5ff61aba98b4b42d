# SPDX-License-Identifier: BSD-3-Clause
"""The store of files that stay where they are, outside of every store."""

from __future__ import annotations

__all__ = ["DirectStore"]

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import NoReturn

from butler_model.errors import ArtifactNotFoundError, UnsupportedOperationError
from butler_model.file_uri import path_of_file_uri

from .open_files import check_open_size, measure_open_file, read_open_file
from .presence import ALWAYS_THERE, Presence
from .source_files import SourceFiles
from .store import Gate, Listed, StoreCapabilities, Stored, end_of_range, no_gate


class DirectStore:
    """Reads files of others under their ``file://`` URIs; writes and removes none.

    Every method raises `InvalidNameError` for a key that is no such URI, and `IngestPathError` for a file that is in
    none of the directories that files may be taken from.
    """

    def __init__(self, sources: SourceFiles) -> None:
        self._sources = sources

    @property
    def capabilities(self) -> StoreCapabilities:
        """In what this store differs from others."""
        return StoreCapabilities(persistent=True)

    @property
    def presence(self) -> Presence:
        """It has no place of its own."""
        return ALWAYS_THERE

    def write(
        self,
        key: str,
        chunks: Iterable[bytes],
        size_limit: int,
        members: tuple[str, ...] | None = None,
        gate: Gate = no_gate,
    ) -> Stored:
        """Refuse."""
        _refuse(key, "written to")

    def write_many(
        self,
        items: Sequence[tuple[str, bytes]],
        members: tuple[str, ...] | None = None,
        gate: Gate = no_gate,
    ) -> list[Stored]:
        """Refuse."""
        _refuse(", ".join(key for key, _ in items), "written to")

    def read(self, key: str, offset: int, limit: int | None, *, size: int) -> Iterator[bytes]:
        """Yield bytes of a file that must have ``size`` bytes; see `Store.read`."""
        end = end_of_range(offset, limit, size)
        with self._sources.opened(path_of_file_uri(key)) as source:
            check_open_size(source.descriptor, key, size)
            yield from read_open_file(source.descriptor, key, offset, end)

    def size(self, key: str, recorded: int | None = None) -> int | None:
        """Return the length of a file in bytes, `None` if it is not there."""
        try:
            with self._sources.opened(path_of_file_uri(key)) as source:
                return os.fstat(source.descriptor).st_size
        except ArtifactNotFoundError:
            return None

    def measure(self, key: str) -> Stored | None:
        """Return size and checksum of a file, `None` if it is not there."""
        try:
            with self._sources.opened(path_of_file_uri(key)) as source:
                return measure_open_file(source.descriptor, key)
        except ArtifactNotFoundError:
            return None

    def delete(self, key: str) -> bool:
        """Refuse."""
        _refuse(key, "removed")

    def delete_many(self, keys: Sequence[str]) -> dict[str, Exception]:
        """Refuse."""
        _refuse(", ".join(keys), "removed")

    def listing(self) -> Iterator[Listed]:
        """Yield nothing: what is in those directories is the business of others."""
        return iter(())

    def quarantine(self, key: str) -> bool:
        """Refuse."""
        _refuse(key, "moved")

    def sweep(self, age_seconds: float) -> int:
        """Do nothing: nothing is written here."""
        return 0


def _refuse(key: str, what: str) -> NoReturn:
    raise UnsupportedOperationError(
        f"{key!r:.300} stays where it is, outside of every store; it is never {what} here.", key=key[:300]
    )
