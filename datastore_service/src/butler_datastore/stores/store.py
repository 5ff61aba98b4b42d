# SPDX-License-Identifier: BSD-3-Clause
"""What every store can do, and the rules that all of them share."""

from __future__ import annotations

__all__ = ["CHUNK_BYTES", "LinkingStore", "Store", "StoreCapabilities", "Stored", "end_of_range"]

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from butler_model.artifact import TransferMode
from butler_model.errors import InvalidRequestError

if TYPE_CHECKING:
    from .source_files import SourceFile

CHUNK_BYTES = 1024 * 1024
"""Length of the pieces in which artifacts are read, but for the last one."""


@dataclass(frozen=True, slots=True)
class StoreCapabilities:
    """In what stores differ.

    Attributes
    ----------
    persistent
        What is written outlives the process, and other processes find it.
    links
        It can hold links to files of others: it is a `LinkingStore`.
    """

    persistent: bool
    links: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """An artifact that is in a store.

    Attributes
    ----------
    size, checksum
        As they are recorded; see `butler_model.artifact.ArtifactRecord`.
    created
        False if the same bytes were there under that key before.
    """

    size: int
    checksum: str
    created: bool


class Store(Protocol):
    """A place for artifacts under keys: created, read and deleted, never changed.

    Safe to use from many threads. Every method raises `InvalidNameError` for a key that is no plain relative
    path.
    """

    @property
    def capabilities(self) -> StoreCapabilities:
        """In what this store differs from others."""
        ...

    def write(self, key: str, chunks: Iterable[bytes], size_limit: int) -> Stored:
        """Store an artifact, which is seen whole or not at all; to repeat a write is no error.

        Whatever ``chunks`` raises comes through, and nothing is kept.

        Raises
        ------
        ArtifactExistsError
            Raised if there is another artifact under the key.
        LimitExceededError
            Raised if there are more than ``size_limit`` bytes.
        StoreFullError
            Raised if the store has no room.
        """
        ...

    def write_many(self, items: Sequence[tuple[str, bytes]]) -> list[Stored]:
        """Store artifacts given as (key, content), all or none.

        Raises as `write` does. After an I/O error, whose outcome is unknown, some of them may be there.
        """
        ...

    def read(self, key: str, offset: int, limit: int | None, *, size: int) -> Iterator[bytes]:
        """Yield bytes of an artifact that must have ``size`` bytes; see `end_of_range`.

        Raises
        ------
        ArtifactNotFoundError
            Raised if it is not there.
        ArtifactIntegrityError
            Raised if it is of another size; before the first byte, unless it changes while it is read.
        """
        ...

    def size(self, key: str) -> int | None:
        """Return the length of an artifact in bytes, `None` if it is not there."""
        ...

    def delete(self, key: str) -> bool:
        """Remove an artifact; return whether it was there."""
        ...


class LinkingStore(Store, Protocol):
    """A store that can hold links to files of others."""

    def link(self, key: str, source: SourceFile, mode: TransferMode) -> Stored:
        """Link a file to a key; to repeat it is no error. It is durable once it was settled.

        Parameters
        ----------
        mode
            HARDLINK, SYMLINK or RELSYMLINK.

        Raises
        ------
        ArtifactExistsError
            Raised if there is another artifact under the key.
        UnsupportedOperationError
            Raised if there can be no hard link to that file.
        """
        ...

    def settle(self, keys: Iterable[str]) -> None:
        """Wait until links that were made outlive a loss of power."""
        ...


def end_of_range(offset: int, limit: int | None, size: int) -> int:
    """Return where a range of at most ``limit`` (1 or more) bytes ends; without limit, at the end of all.

    Raises `InvalidRequestError` if it does not begin in the artifact of ``size`` bytes, or at its end.
    """
    if not 0 <= offset <= size:
        raise InvalidRequestError(
            f"Offset {offset} is not in the artifact of {size} bytes.", offset=str(offset)
        )
    if limit is None:
        return size
    if limit < 1:
        raise InvalidRequestError(
            f"A limit of {limit} bytes asks for nothing; give 1 or more.", limit=str(limit)
        )
    return min(size, offset + limit)
