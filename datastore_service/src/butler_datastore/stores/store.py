# SPDX-License-Identifier: BSD-3-Clause
"""What every store can do, and the rules that all of them share."""

from __future__ import annotations

__all__ = [
    "CHUNK_BYTES",
    "Gate",
    "LinkingStore",
    "Listed",
    "PathStore",
    "ResumingStore",
    "SignedUrl",
    "SigningStore",
    "Store",
    "StoreCapabilities",
    "Stored",
    "check_no_members",
    "check_size",
    "end_of_range",
    "has_paths",
    "no_gate",
    "resumes",
    "signs_urls",
    "within_limit",
]

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeGuard

from butler_model.artifact import TransferMode
from butler_model.errors import (
    ArtifactIntegrityError,
    ConfigurationError,
    InvalidRequestError,
    LimitExceededError,
)
from butler_model.failpoints import reach

from .presence import Presence

if TYPE_CHECKING:
    from .source_files import SourceFile

Gate: TypeAlias = Callable[[], None]
"""Is called right before an artifact becomes visible; what it raises comes through, and nothing is kept."""


def no_gate() -> None:
    """Let everything become visible."""


CHUNK_BYTES = 1024 * 1024
"""Length of the pieces in which artifacts are read, but for the last one."""


@dataclass(frozen=True, slots=True)
class StoreCapabilities:
    """In what stores differ.

    Attributes
    ----------
    persistent
        What is written outlives the process, and other processes find it.
    nested
        Keys are paths: there can be none below that of an artifact.
    has_paths
        It is a `PathStore`: clients reach its artifacts by their paths.
    signs_urls
        It is a `SigningStore`: clients reach its artifacts by URLs.
    links
        It can hold links to files of others: it is a `LinkingStore`.
    resumes
        It is a `ResumingStore`: an upload that broke can go on.
    concurrency
        How many small artifacts it is worth to ask for at a time.
    members
        Names of the stores that it consists of, in order; empty for one that is no chain.
    """

    persistent: bool
    nested: bool = False
    has_paths: bool = False
    signs_urls: bool = False
    links: bool = False
    resumes: bool = False
    concurrency: int = 1
    members: tuple[str, ...] = ()


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


@dataclass(frozen=True, slots=True)
class Listed:
    """An artifact that a store lists.

    Attributes
    ----------
    age_seconds
        Since it came to its key, by the clock of the store.
    """

    key: str
    size: int
    age_seconds: float


@dataclass(frozen=True, slots=True)
class SignedUrl:
    """A URL that allows one request to whoever has it.

    Attributes
    ----------
    headers
        What the request must have besides; they are signed too.
    """

    url: str
    headers: Mapping[str, str]


class Store(Protocol):
    """A place for artifacts under keys: created, read and deleted, never changed.

    Safe to use from many threads. Every method raises `InvalidNameError` for a key that is no plain relative
    path.
    """

    @property
    def capabilities(self) -> StoreCapabilities:
        """In what this store differs from others."""
        ...

    @property
    def presence(self) -> Presence:
        """Whether the place of the artifacts is there. Deletions and listings raise what its check does."""
        ...

    def write(
        self,
        key: str,
        chunks: Iterable[bytes],
        size_limit: int,
        members: tuple[str, ...] | None = None,
        gate: Gate = no_gate,
    ) -> Stored:
        """Store an artifact, which is seen whole or not at all; to repeat a write is no error.

        Whatever ``chunks`` raises comes through, and nothing is kept.

        Parameters
        ----------
        members
            Of a chain, the names of those that accept the artifact; `None` for all.
        gate
            See `Gate`.

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

    def write_many(
        self,
        items: Sequence[tuple[str, bytes]],
        members: tuple[str, ...] | None = None,
        gate: Gate = no_gate,
    ) -> list[Stored]:
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

    def size(self, key: str, recorded: int | None = None) -> int | None:
        """Return the length of an artifact in bytes, `None` if it is not there.

        Of those that a chain has, that of one which has the ``recorded`` length, and so is read, before any other.
        """
        ...

    def measure(self, key: str) -> Stored | None:
        """Return size and checksum of what is there, whoever wrote it, as `Stored` before; `None` if it is not there.

        What its writer noted of it counts for nothing.
        """
        ...

    def delete(self, key: str) -> bool:
        """Remove an artifact; return whether it was there."""
        ...

    def delete_many(self, keys: Sequence[str]) -> dict[str, Exception]:
        """Remove artifacts, as many as can be; return those that could not be removed, and why.

        What is not there is done.
        """
        ...

    def listing(self) -> Iterator[Listed]:
        """Yield all artifacts by key (code points), as they are found; what is hidden from readers is left out."""
        ...

    def quarantine(self, key: str) -> bool:
        """Move an artifact to where nobody but an operator finds it; return whether it was there."""
        ...

    def sweep(self, age_seconds: float) -> int:
        """Remove what uploads that broke left behind and nobody has touched for so long; return how many."""
        ...


class PathStore(Store, Protocol):
    """A store whose artifacts are files that clients see under the same paths."""

    @property
    def root(self) -> str:
        """The absolute path of the directory below which each artifact has its key for its path."""
        ...


class SigningStore(Store, Protocol):
    """A store with which clients exchange bytes by themselves."""

    def sign_read(self, key: str, seconds: int) -> SignedUrl:
        """Return what allows to GET an artifact, or ranges of it, for a time."""
        ...

    def sign_write(self, key: str, seconds: int, size: int, checksum: str = "") -> SignedUrl:
        """Return what allows to PUT an artifact of ``size`` bytes where there is none, for a time.

        With a ``checksum``, as it is recorded, the store takes nothing else.
        """
        ...


class LinkingStore(Store, Protocol):
    """A store that can hold links to files of others."""

    def link(self, key: str, source: SourceFile, mode: TransferMode, gate: Gate = no_gate) -> Stored:
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


def has_paths(store: Store) -> TypeGuard[PathStore]:
    """Return whether clients reach the artifacts of a store by their paths."""
    return store.capabilities.has_paths


def signs_urls(store: Store) -> TypeGuard[SigningStore]:
    """Return whether clients reach the artifacts of a store by URLs."""
    return store.capabilities.signs_urls


class ResumingStore(Store, Protocol):
    """A store that keeps aside what arrived of an upload until it goes on."""

    def write_upload(
        self,
        key: str,
        upload: str,
        offset: int,
        chunks: Iterable[bytes],
        size_limit: int,
        gate: Gate = no_gate,
    ) -> Stored:
        """Store an artifact as `write` does, of which the bytes before ``offset`` may be kept from before.

        If ``chunks`` raises `ServiceUnavailableError`, what arrived is kept for a day, not seen by anybody.

        Parameters
        ----------
        upload
            Tells it from other uploads to the key. Two with the same name at a time never mix.

        Raises
        ------
        UploadConflictError
            Raised if less than ``offset`` bytes are kept, or this upload is going on elsewhere.
        """
        ...

    def kept_of_upload(self, key: str, upload: str) -> int:
        """Return how many bytes of an upload are kept, from the first on."""
        ...

    def discard_uploads(self, key: str) -> None:
        """Remove what is kept of uploads to a key that was given up."""
        ...


def resumes(store: Store) -> TypeGuard[ResumingStore]:
    """Return whether uploads to a store can go on after they broke."""
    return store.capabilities.resumes


def check_no_members(members: tuple[str, ...] | None) -> None:
    """Raise `ConfigurationError` if a store that is no chain is told which of its members accept an artifact."""
    if members is not None:
        raise ConfigurationError(
            f"The members {', '.join(members) or '(none)'} are to accept an artifact, but its store is no chain; "
            "give both services the same stores."
        )


def check_size(key: str, actual: int, size: int) -> None:
    """Raise `ArtifactIntegrityError` if an artifact has not the ``size`` bytes that were recorded."""
    if actual != size:
        raise ArtifactIntegrityError(
            f"The artifact {key!r} has {actual} bytes, but {size} were recorded.", key=key
        )


def within_limit(chunks: Iterable[bytes], key: str, size_limit: int, offset: int = 0) -> Iterator[bytes]:
    """Yield the chunks, the first at ``offset``; `LimitExceededError` once they go beyond ``size_limit`` bytes."""
    size = offset
    for chunk in chunks:
        reach("put.upload_half" if size else "put.upload_0")
        size += len(chunk)
        if size > size_limit:
            raise LimitExceededError(
                f"The artifact {key!r} has more than the {size_limit} bytes that are allowed.",
                key=key,
                limit="size",
            )
        yield chunk


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
