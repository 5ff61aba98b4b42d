# SPDX-License-Identifier: BSD-3-Clause
"""The whole configuration of a repository, with defaults."""

from __future__ import annotations

__all__ = ["BUTLER_ROOT", "CONFIGURATION_FILE", "ButlerConfig", "DatastoreConfig", "RegistryConfig"]

import os
from collections.abc import Iterable, Mapping
from typing import Any

from butler_model.config_keys import check_keys
from butler_model.errors import ConfigurationError, ConfigurationNotFoundError, RepositoryNotFoundError

from .config import Config
from .config_subset import ConfigSubset
from .files import has_extension
from .locations import folder_of, is_remote, location_of

CONFIGURATION_FILE = "butler.yaml"
BUTLER_ROOT = "<butlerRoot>"
"""Stands for the directory of a repository in its configuration."""

_KEYS = ("repository", "registry", "datastore", "root")
_SERVICE = "service"
_SERVICE_HINT = "give its address, grpc://HOST:PORT/REPOSITORY"
_NAME = "main"


class RegistryConfig(ConfigSubset):
    """Where the registry is: ``database``."""

    component = "registry"
    requiredKeys = ("database",)
    knownKeys = ("database",)
    defaultConfigFile = "registry.yaml"


class DatastoreConfig(ConfigSubset):
    """Where artifacts are: ``stores``, of which a default says more but which it does not add to."""

    component = "datastore"
    requiredKeys = ("stores",)
    knownKeys = ("stores",)
    defaultConfigFile = "datastore.yaml"
    namedThings = "stores"


class ButlerConfig(Config):
    """What is said of a repository, laid over the defaults of its components.

    Either ``service``, the address of a service, alone; or ``repository`` (its name), ``registry`` and ``datastore``,
    and, in a file that is not in the repository's directory, ``root``, which says where that is.

    Parameters
    ----------
    other
        What `Config` takes, or the directory of a repository, or the address of a service.
    searchPaths
        Directories with files of defaults, the strongest first; see `ConfigSubset`.

    Attributes
    ----------
    configDir
        Directory of the repository, for which ``<butlerRoot>`` stands; `None` if it is not known.

    Raises
    ------
    RepositoryNotFoundError
        Raised if there is no such file or directory.
    ConfigurationError
        Raised if a key is unknown, and as by `Config`.
    """

    def __init__(
        self,
        other: Mapping[Any, Any] | str | os.PathLike[str] | None = None,
        searchPaths: Iterable[str | os.PathLike[str]] | None = None,
    ) -> None:
        self.configDir: str | None = None
        if isinstance(other, ButlerConfig):
            super().__init__(other)
            self.configDir = other.configDir
            return
        super().__init__(_read(other) if isinstance(other, str | os.PathLike) else other)
        where = self.configFile or "The configuration"
        if _SERVICE in self._data:
            check_keys(self._data, (_SERVICE,), where)
            return
        _check_no_defaults_of_butlers(self._data, where)
        _check_not_older(self._data, where)
        check_keys(self._data, _KEYS, where)
        for subset in (RegistryConfig, DatastoreConfig):
            self[subset.component or ""] = subset.part_of(self, searchPaths)
        self._data.setdefault("repository", _NAME)
        self.configDir = self._root()

    @property
    def service(self) -> str | None:
        """Address of the service that has the repository; `None` if it is embedded."""
        address = self._data.get(_SERVICE)
        if address is not None and not isinstance(address, str):
            raise ConfigurationError(
                f"{self.configFile or 'The configuration'}, service: expected grpc://HOST:PORT/REPOSITORY, not "
                f"{address!r:.80}."
            )
        return address

    def _root(self) -> str | None:
        folder = None if self.configFile is None else folder_of(self.configFile)
        root = self._data.get("root")
        if root is None:
            return folder
        if not isinstance(root, str):
            raise ConfigurationError(
                f"{self.configFile or 'The configuration'}, root: expected a directory, not {root!r:.80}."
            )
        return location_of(root, folder)


def _read(place: str | os.PathLike[str]) -> Config:
    text = os.fspath(place)
    if text.startswith(("grpc://", "grpcs://")):
        return Config({_SERVICE: text})
    location = location_of(text)
    file = location
    if os.path.isdir(location) or (is_remote(location) and not has_extension(location)):
        file = f"{location.rstrip('/')}/{CONFIGURATION_FILE}"
    try:
        if not is_remote(file) and not has_extension(file) and not os.path.exists(file):
            raise ConfigurationNotFoundError(f"There is no directory {file!r}.")
        return Config(file)
    except ConfigurationNotFoundError as error:
        if os.path.exists(file):
            raise  # it is there, what it includes is not
        raise RepositoryNotFoundError(
            f"There is no repository at {text!r} (no file {file!r}); make one with 'butler create' or "
            f"Butler.makeRepo, or {_SERVICE_HINT}.",
            path=file,
        ) from error
    except ConfigurationError as error:
        if not is_remote(file):
            raise
        raise ConfigurationError(f"{error.message} To open a service, {_SERVICE_HINT}.", path=file) from error


def _check_no_defaults_of_butlers(content: Mapping[Any, Any], where: str) -> None:
    for name in ("run", "collection", "collections"):
        if name in content:
            argument = "run" if name == "run" else "collections"
            raise ConfigurationError(
                f"{where}: {name!r} is not a matter of the repository; open it with Butler(…, {argument}=…)."
            )


def _check_not_older(content: Mapping[Any, Any], where: str) -> None:
    for section, keys in (("datastore", {"cls", "records"}), ("registry", {"db", "managers"})):
        part = content.get(section)
        if isinstance(part, Mapping) and not keys.isdisjoint(part):
            raise ConfigurationError(
                f"{where} is of a repository of the older library, which keeps it in its own way; export it there and "
                "import it into a new one (butler import)."
            )
