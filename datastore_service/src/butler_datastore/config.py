# SPDX-License-Identifier: BSD-3-Clause
"""What an operator says about the stores."""

from __future__ import annotations

__all__ = [
    "ChainStoreConfig",
    "MemberConfig",
    "MemoryStoreConfig",
    "PosixStoreConfig",
    "S3StoreConfig",
    "StoreConfig",
    "check_ingest_roots",
    "places_of",
]

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from butler_model.errors import ConfigurationError, InvalidNameError
from butler_model.path_template import check_key

_REPOSITORY = "{repository}"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]")
_MEMBER = re.compile(r"[A-Za-z][A-Za-z0-9_\-]{0,63}")


@dataclass(frozen=True, slots=True)
class PosixStoreConfig:
    """A store in a directory; `ConfigurationError` if it cannot be one.

    Attributes
    ----------
    root
        The directory, made when it is first written to; ``{repository}`` in it is the repository's name.
    durable
        Whether what was acknowledged survives a loss of power, at the price of waiting for the disk.
    shared_path
        Whether clients have the same file system mounted at the same path, and may read there by themselves.
    """

    root: str
    durable: bool = True
    shared_path: bool = False
    kind: Literal["posix"] = "posix"

    def __post_init__(self) -> None:
        if not self.root or "\0" in self.root or _stray_braces(self.root):
            raise ConfigurationError(
                f"{self.root!r} is no root of a store: give a directory, in which braces are used for "
                f"{_REPOSITORY} only."
            )

    def root_of(self, repository: str) -> str:
        """Return the directory of one repository."""
        return self.root.replace(_REPOSITORY, repository)

    def uri_of(self, repository: str, key: str) -> str | None:
        """Return where an artifact is, for people and for other programs; `None` if only the store knows."""
        return Path(self.root_of(repository), key).absolute().as_uri()


@dataclass(frozen=True, slots=True)
class S3StoreConfig:
    """A store in a bucket of S3, or of a server that speaks its protocol; `ConfigurationError` if it cannot be one.

    Attributes
    ----------
    bucket
        Must exist.
    prefix
        Begins the names of all objects, with a slash after it; ``{repository}`` in it is the repository's name.
    endpoint
        URL of the server, such as ``https://s3.example.org``; empty for that of the region.
    public_endpoint
        URL of the same server as clients reach it, if they do so by another one than the service; signed URLs have it.
    region
        Name of the region; empty for what the environment says.
    credentials
        A file that only its owner may read (mode 0600), as the AWS tools have it: a section ``[default]`` with
        ``aws_access_key_id``, ``aws_secret_access_key`` and, for temporary ones, ``aws_session_token``. Empty for
        what the environment of the service gives: variables, files, a role.
    connections
        How many connections are kept open for the next requests.
    connect_seconds, read_seconds
        How long to wait for a connection, and for the next bytes on it.
    attempts
        How often a request is made before the store counts as unavailable.
    """

    bucket: str
    prefix: str = _REPOSITORY
    endpoint: str = ""
    public_endpoint: str = ""
    region: str = ""
    credentials: str = ""
    connections: int = 64
    connect_seconds: float = 5.0
    read_seconds: float = 30.0
    attempts: int = 4
    kind: Literal["s3"] = "s3"

    def __post_init__(self) -> None:
        if not _BUCKET.fullmatch(self.bucket):
            raise ConfigurationError(
                f"{self.bucket!r} is no bucket: use 3 to 63 of a-z, 0-9, dot and hyphen."
            )
        try:
            check_key(self.prefix.replace(_REPOSITORY, "repository"))
        except InvalidNameError:
            raise ConfigurationError(
                f"{self.prefix!r} is no prefix of a store: give a plain relative path, in which braces are used for "
                f"{_REPOSITORY} only."
            ) from None
        for endpoint in (self.endpoint, self.public_endpoint):
            if endpoint and not re.match(r"https?://[^/]", endpoint):
                raise ConfigurationError(f"{endpoint!r} is no endpoint: give a URL of http or https.")
        for name in ("connections", "connect_seconds", "read_seconds", "attempts"):
            if not getattr(self, name) > 0:
                raise ConfigurationError(f"{name} = {getattr(self, name)} must be more than 0.")

    def prefix_of(self, repository: str) -> str:
        """Return the prefix of one repository."""
        return self.prefix.replace(_REPOSITORY, repository)

    def uri_of(self, repository: str, key: str) -> str | None:
        """Return where an artifact is, for people and for other programs; `None` if only the store knows."""
        return f"s3://{self.bucket}/{self.prefix_of(repository)}/{key}"


@dataclass(frozen=True, slots=True)
class MemoryStoreConfig:
    """A store in the memory of the service, one for each repository, which ends with it.

    Attributes
    ----------
    max_bytes
        How much each may hold.
    """

    max_bytes: int = 2**30
    kind: Literal["memory"] = "memory"

    def __post_init__(self) -> None:
        if self.max_bytes < 1:
            raise ConfigurationError(f"max_bytes = {self.max_bytes} must be more than 0.")

    def uri_of(self, repository: str, key: str) -> str | None:
        """Return where an artifact is, for people and for other programs; `None` if only the store knows."""
        return None


MemberConfig = PosixStoreConfig | S3StoreConfig | MemoryStoreConfig
"""A store that is no chain."""


@dataclass(frozen=True, slots=True)
class ChainStoreConfig:
    """A store that consists of others; `ConfigurationError` if it cannot be one.

    Attributes
    ----------
    members
        The stores by their names, in the order in which they are read.
    """

    members: dict[str, MemberConfig]
    kind: Literal["chain"] = "chain"

    def __post_init__(self) -> None:
        if not self.members:
            raise ConfigurationError("A chain has at least one member; name them under members.")
        for name in self.members:
            if not _MEMBER.fullmatch(name):
                raise ConfigurationError(
                    f"{name!r} is no name of a member: use a letter, then A-Z, a-z, 0-9, _ and -."
                )

    def uri_of(self, repository: str, key: str) -> str | None:
        """Return `None`: which members have an artifact is not known before one has looked."""
        return None


StoreConfig = MemberConfig | ChainStoreConfig
"""A store of any kind."""


def places_of(store: StoreConfig, repository: str) -> list[tuple[str, ...]]:
    """Return where a store has the artifacts of a repository, in parts: those of what is in it begin with the same."""
    if isinstance(store, ChainStoreConfig):
        return [place for member in store.members.values() for place in places_of(member, repository)]
    if isinstance(store, PosixStoreConfig):
        return [("file", *Path(os.path.realpath(store.root_of(repository))).parts)]
    if isinstance(store, S3StoreConfig):
        return [("s3", store.endpoint, store.bucket, *store.prefix_of(repository).split("/"))]
    return []


def check_ingest_roots(roots: Sequence[str], stores: Iterable[StoreConfig]) -> list[str]:
    """Return the directories from which files may be taken.

    ``/``, the whole file system, is for a datastore that serves its own process only. Any other one must be apart from
    the directories of all stores, so that an artifact is never taken for a file to be moved.

    Raises
    ------
    ConfigurationError
        Raised if one is no plain absolute path, or is not apart from a store.
    """
    each = (list(s.members.values()) if isinstance(s, ChainStoreConfig) else [s] for s in stores)
    directories = [s.root for members in each for s in members if isinstance(s, PosixStoreConfig)]
    kept = [os.path.realpath(root.partition("{")[0] or os.curdir) for root in directories]
    for root in roots:
        if not root.startswith("/") or "\0" in root or os.path.normpath(root) != root:
            raise ConfigurationError(f"ingest_roots: {root!r:.300} is no plain absolute path of a directory.")
        real = os.path.realpath(root)
        for store in kept if root != "/" else ():
            if os.path.commonpath([real, store]) in (real, store):
                raise ConfigurationError(
                    f"ingest_roots: {root!r:.300} is not apart from the store in {store!r:.300}; name directories "
                    "that hold no artifacts."
                )
    return list(roots)


def _stray_braces(text: str) -> bool:
    return re.search(r"[{}]", text.replace(_REPOSITORY, "")) is not None
