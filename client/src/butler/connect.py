# SPDX-License-Identifier: BSD-3-Clause
"""From what a person types to the two services of a repository, embedded or remote."""

from __future__ import annotations

__all__ = ["Connection", "RemoteAddress", "connect", "located", "services_needed"]

import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from butler_model.artifact import DIRECT_STORE, ArtifactRecord
from butler_model.errors import ConfigurationError, RepositoryNotFoundError
from butler_model.file_uri import path_of_file_uri
from butler_model.ports import Datastore
from butler_model.repository import RepositoryInfo, check_repository_name

from .cache import ArtifactCache
from .cache_settings import CacheSettings
from .config import ButlerConfig
from .config.locations import location_of
from .configuration import RepositoryConfiguration
from .predictions import PredictedIds
from .repository_index import RepositoryIndex
from .transactions import CurrentRegistry

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+)://")


@dataclass(frozen=True, slots=True)
class RemoteAddress:
    """Address of a repository of a service: ``grpc://host:port/repository``, encrypted with ``grpcs://``.

    Attributes
    ----------
    target
        ``host:port``, or ``grpcs://host:port``.
    """

    target: str
    repository: str

    @classmethod
    def parse(cls, text: str) -> RemoteAddress | None:
        """Return the address, `None` if the text names a file; `ConfigurationError` if it is malformed."""
        scheme = _SCHEME.match(text)
        if scheme is None or scheme[1] == "file":
            return None
        target, _, path = text[scheme.end() :].partition("/")
        repository = path.rstrip("/")
        is_target = re.fullmatch(r"(\[[0-9A-Fa-f:]+\]|[^:/@\s]+):[0-9]{1,5}", target)
        if scheme[1] not in ("grpc", "grpcs") or not is_target or not repository:
            raise ConfigurationError(
                f"{text!r:.200} is no address of a repository; use grpc://HOST:PORT/REPOSITORY, grpcs:// for an "
                "encrypted one, or the path of a directory."
            )
        target = f"grpcs://{target}" if scheme[1] == "grpcs" else target
        return cls(target, check_repository_name(repository))


@dataclass(slots=True)
class Connection:
    """The two services of one repository, shared by a butler and its clones; closed with the last of them.

    Attributes
    ----------
    address
        Where the repository is, for people.
    source
        What it was opened with, from which it can be opened again.
    registry
        In a thread that has begun a transaction, that of the transaction.
    locate
        Gives the URI of an artifact.
    predicted
        Ids of datasets whose place was predicted.
    info
        What the repository is.
    cache
        Where artifacts that were read are kept; `None` if they are not.
    store_root
        Directory of the store for new artifacts, if this process keeps it.
    """

    address: str
    source: str | ButlerConfig
    registry: CurrentRegistry
    datastore: Datastore
    locate: Callable[[ArtifactRecord], str]
    close: Callable[[], None]
    cache: ArtifactCache | None = None
    store_root: str | None = None
    predicted: PredictedIds = field(default_factory=PredictedIds, init=False, repr=False)
    info: RepositoryInfo = field(init=False)
    _holders: int = 1
    _process: int = field(default_factory=os.getpid)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        # Asked once: neither dimensions nor limits change while a repository is open.
        self.info = self.registry.info

    def file_of(self, record: ArtifactRecord) -> str | None:
        """Return the path of the file that holds an artifact; `None` if a service keeps it, or it is no file."""
        if RemoteAddress.parse(self.address) is not None:
            return None
        uri = self.locate(record)
        return path_of_file_uri(uri) if uri.startswith("file://") else None

    def share(self) -> Connection:
        """Return the connection for one more holder."""
        with self._lock:
            self._holders += 1
        return self

    def release(self) -> None:
        """Let go of the connection; the last holder closes it.

        A forked process does nothing: sockets and files are its parent's too.
        """
        if os.getpid() != self._process:
            return
        with self._lock:
            self._holders -= 1
            last = self._holders == 0
        if last:
            self.close()


def connect(
    config: Mapping[Any, Any] | str | os.PathLike[str] | None,
    search_paths: Iterable[str | os.PathLike[str]] | None = None,
) -> Connection:
    """Open a repository.

    Parameters
    ----------
    config
        Label of a repository, its directory, the path of its ``butler.yaml``, ``grpc://host:port/repository``, or its
        configuration.
    search_paths
        Directories with defaults; see `ButlerConfig`.

    Raises
    ------
    RepositoryNotFoundError, ConfigurationError, IncompatibleVersionError, ServiceUnavailableError
        Raised if it cannot be opened.
    """
    place = located(config) if isinstance(config, str | os.PathLike) else config
    found = _read_configuration(place, search_paths)
    if found.service is not None:
        return _connect_remote(found.service)
    configuration = RepositoryConfiguration.from_config(found)
    with services_needed():
        from .embedded import EmbeddedRepository
    embedded = EmbeddedRepository(configuration)
    address = location_of(place) if isinstance(place, str) else found.configDir or "no directory"
    return Connection(
        address,
        address if isinstance(place, str) and not search_paths else found,
        CurrentRegistry(embedded.registry, embedded.datastore, embedded.registry.info.limits),
        embedded.datastore,
        embedded.locate,
        embedded.close,
        store_root=embedded.store_root,
    )


def located(place: str | os.PathLike[str]) -> str:
    """Return the place that a label stands for; what is no label is returned as it is.

    Raises
    ------
    ConfigurationError
        Raised if the index of repositories cannot be read.
    """
    text = os.fspath(place)
    return text if _SCHEME.match(text) else RepositoryIndex.from_environment().places.get(text, text)


def _read_configuration(
    place: Mapping[Any, Any] | str | None, search_paths: Iterable[str | os.PathLike[str]] | None
) -> ButlerConfig:
    try:
        return ButlerConfig(place, search_paths)
    except RepositoryNotFoundError as error:
        index = RepositoryIndex.from_environment()
        if not isinstance(place, str) or os.sep in place or not index.places:
            raise
        raise RepositoryNotFoundError(
            f"{place!r} is neither the directory of a repository nor the label of one; {index.hint(place)}.",
            **error.metadata,
        ) from error


@contextmanager
def services_needed() -> Iterator[None]:
    """Say what to install if the libraries of the services, which are loaded where one is embedded, are missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"A repository in a directory needs the services in this process, and they are not installed ({error}); "
            "pip install 'butler-grpc-client[embedded]', or open a service at grpc://HOST:PORT/REPOSITORY."
        ) from error


def _connect_remote(text: str) -> Connection:
    address = RemoteAddress.parse(text)
    if address is None:
        raise ConfigurationError(
            f"{text!r:.200} is no address of a service; use grpc://HOST:PORT/REPOSITORY."
        )
    from .remote import RemoteDatastore, RemoteRegistry

    cache = ArtifactCache.set_up(CacheSettings.from_environment())
    registry = RemoteRegistry(address.target, address.repository)
    try:
        datastore = RemoteDatastore(registry.info.datastore_endpoint or address.target)
    except BaseException:
        registry.close()
        raise

    def close() -> None:
        registry.close()
        datastore.close()

    current = CurrentRegistry(registry, datastore, registry.info.limits)
    return Connection(text, text, current, datastore, _uri_of, close, cache)


def _uri_of(record: ArtifactRecord) -> str:
    return record.key if record.store == DIRECT_STORE else f"butler://{record.store}/{record.key}"
