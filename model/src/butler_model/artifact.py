# SPDX-License-Identifier: BSD-3-Clause
"""Artifacts: the stored bytes of datasets, and the permissions and proofs that travel between the services."""

from __future__ import annotations

__all__ = [
    "DIRECT_STORE",
    "Artifact",
    "ArtifactLayout",
    "ArtifactRecord",
    "ArtifactUrl",
    "FileToIngest",
    "Grant",
    "Operation",
    "Receipt",
    "SignedReceipt",
    "TransferMode",
    "sha256",
]

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from uuid import UUID

from .errors import InvalidNameError

DIRECT_STORE = "direct"
"""The store of files that stay where they are, outside of every store; their keys are ``file://`` URIs."""

_EXTENSION = re.compile(r"(\.[a-z0-9]{1,16}){0,3}")
_LABEL = re.compile(r"[a-z][a-z0-9_\-]{0,63}")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


def sha256(content: Iterable[bytes]) -> str:
    """Return the checksum of some bytes, in the form in which it is recorded: ``sha256:`` and 64 hex digits."""
    digest = hashlib.sha256()
    for chunk in content:
        digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


class Operation(Enum):
    """What a grant allows."""

    READ = "read"
    WRITE = "write"
    DISCARD = "discard"
    """Remove what an aborted put may have written."""
    ADOPT = "adopt"
    """Take what is there as it is."""


class TransferMode(Enum):
    """How a datastore takes a file that it can reach itself."""

    AUTO = "auto"
    """A link, or a copy in a store that holds no links."""
    COPY = "copy"
    MOVE = "move"
    """A hard link, or a copy where there can be none; the source is removed when the dataset is committed."""
    HARDLINK = "hardlink"
    LINK = "link"
    """A hard link, or a symbolic link where there can be none."""
    SYMLINK = "symlink"
    RELSYMLINK = "relsymlink"
    """A symbolic link with a relative path."""


@dataclass(frozen=True, slots=True)
class ArtifactLayout:
    """How one artifact of a dataset is to be stored, before it has a place.

    Attributes
    ----------
    component
        Name of the component it holds; empty for a whole dataset.
    formatter
        Label of the formatter, such as ``parquet``; readers look it up among their own, it names no code.
    extension
        End of the file's name, such as ``.parq``.
    storage_class
        Name of the storage class of what it holds.
    """

    formatter: str
    extension: str
    storage_class: str
    component: str = ""

    def __post_init__(self) -> None:
        if not _EXTENSION.fullmatch(self.extension):
            raise InvalidNameError(
                f"{self.extension!r:.80} is no file extension: use up to three parts of a dot and 1 to 16 of a-z0-9."
            )
        if not _LABEL.fullmatch(self.formatter):
            raise InvalidNameError(f"{self.formatter!r:.80} is no formatter label: use a-z, 0-9, - and _.")
        if self.component and not _IDENTIFIER.fullmatch(self.component):
            raise InvalidNameError(f"{self.component!r:.80} is no component: use an identifier.")
        if not _IDENTIFIER.fullmatch(self.storage_class):
            raise InvalidNameError(f"{self.storage_class!r:.80} is no storage class name: use an identifier.")


@dataclass(frozen=True, slots=True)
class ArtifactRecord:
    """Where the registry says an artifact is.

    Attributes
    ----------
    store, key
        Name of the store and the artifact's key (a relative path) in it.
    size
        Length in bytes.
    checksum
        ``sha256:`` and 64 hexadecimal digits.
    """

    dataset_id: UUID
    store: str
    key: str
    layout: ArtifactLayout
    size: int
    checksum: str


@dataclass(frozen=True, slots=True)
class Artifact:
    """An artifact that a reader may fetch: its record and the signed grant to read it."""

    record: ArtifactRecord
    grant: bytes


@dataclass(frozen=True, slots=True)
class Grant:
    """What the registry allows a client to do in a store.

    Attributes
    ----------
    size
        READ: the recorded length; WRITE: the longest allowed; in bytes.
    checksum
        READ: the recorded checksum; empty for other operations.
    expires
        Unix time in seconds after which it is worthless.
    members
        WRITE to a chain of stores: the members that take the artifact; empty for all.
    """

    operation: Operation
    repository: str
    store: str
    key: str
    dataset_id: UUID
    component: str
    size: int
    checksum: str
    expires: int
    principal: str = ""
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a store did: this artifact is there, complete and durable."""

    repository: str
    store: str
    key: str
    dataset_id: UUID
    component: str
    size: int
    checksum: str


@dataclass(frozen=True, slots=True)
class ArtifactUrl:
    """Where a client may read or write an artifact by itself, without the datastore service.

    Attributes
    ----------
    url
        ``http``, ``https``, or ``file`` for a path that the client is known to share; empty if there is none.
    method
        ``GET`` or ``PUT``; empty for a file.
    headers
        To be sent with it, exactly so.
    expires
        Unix time in seconds after which it is worthless.
    size
        READ: the recorded length in bytes; WRITE: the length that was asked for.
    checksum
        READ: the recorded checksum; WRITE: that which was given, if any.
    root
        For a file: URL of the directory below which each artifact of its store is, under its key; empty if it is not
        known.
    """

    url: str
    method: str
    headers: Mapping[str, str]
    expires: int
    size: int
    checksum: str
    root: str = ""


@dataclass(frozen=True, slots=True)
class SignedReceipt:
    """A receipt together with the token that proves it to the registry."""

    receipt: Receipt
    token: bytes


@dataclass(frozen=True, slots=True)
class FileToIngest:
    """A file that a datastore is to take itself.

    Attributes
    ----------
    grant
        Token of the write grant.
    source
        Absolute path, as the datastore sees it.
    size
        Length in bytes as the client sees it, so that a file of the same name elsewhere is not taken for it; `None`
        if it does not see the file.
    """

    grant: bytes
    source: str
    mode: TransferMode
    size: int | None = None
