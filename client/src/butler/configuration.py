# SPDX-License-Identifier: BSD-3-Clause
"""The configuration of an embedded repository: what ``butler.yaml`` says."""

from __future__ import annotations

__all__ = [
    "CONFIGURATION_FILE",
    "RepositoryConfiguration",
    "database_url",
    "files_of_repository",
    "load_universe",
    "split_stores",
]

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from butler_model.errors import ConfigurationError
from butler_model.repository import Store, check_repository_name
from butler_model.universe import DimensionUniverse

from .config.butler_config import BUTLER_ROOT, CONFIGURATION_FILE, ButlerConfig
from .config.locations import is_remote, without_secrets
from .database_credentials import with_credentials

_PLACEMENT_KEYS = ("template", "templates", "constraints")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class RepositoryConfiguration:
    """Where the parts of an embedded repository are.

    Attributes
    ----------
    repository
        Its name in the registry.
    database
        ``sqlite:///DIRECTORY`` or ``postgresql+psycopg://…``, with credentials; never shown.
    stores
        For each store its name and where it is, as the datastore service is told.
    """

    repository: str
    database: str = field(repr=False)
    stores: Mapping[str, Mapping[str, Any]]

    @classmethod
    def from_config(cls, config: ButlerConfig) -> RepositoryConfiguration:
        """Return what a configuration says, with ``<butlerRoot>`` and environment variables (``${NAME}``) replaced.

        Raises
        ------
        ConfigurationError
            Raised if it has not the documented shape, if ``<butlerRoot>`` or a variable is needed and not known, or
            if the credentials of the database cannot be had.
        """
        where = config.configFile or "The configuration"
        if config.service is not None:
            raise ConfigurationError(f"{where} is of a repository of the service {config.service!r:.200}.")
        content = _replaced(config.toDict(), config.configDir, where)
        registry, datastore = content["registry"], content["datastore"]
        if not isinstance(datastore["stores"], dict) or not datastore["stores"]:
            raise ConfigurationError(f"{where}, datastore.stores: name at least one store.")
        stores: dict[str, Mapping[str, Any]] = {}
        for name, store in datastore["stores"].items():
            if not isinstance(store, dict):
                raise ConfigurationError(
                    f"{where}, store {name!r}: expected a mapping, not {without_secrets(store)!r:.80}."
                )
            stores[str(name)] = store
        repository = check_repository_name(_text(content["repository"], f"{where}, repository"))
        database = database_url(_text(registry["database"], f"{where}, registry.database"))
        return cls(repository, with_credentials(database), stores)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> RepositoryConfiguration:
        """Read the configuration of the repository in a directory, or in the file that is named.

        Raises
        ------
        RepositoryNotFoundError
            Raised if there is no such file.
        ConfigurationError
            Raised if it is not YAML, or has not the documented shape.
        """
        return cls.from_config(ButlerConfig(path))


def database_url(url: str) -> str:
    """Return the URL of a registry's database as SQLAlchemy takes it; `ConfigurationError` if it can be none."""
    scheme, separator, rest = url.partition("://")
    if scheme in ("postgresql", "postgres"):
        url = f"postgresql+psycopg{separator}{rest}"
    if not url.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise ConfigurationError(
            f"{scheme!r:.40} is no kind of database that a registry can be in; give postgresql://USER@HOST/NAME, or "
            "none for a SQLite file in the repository."
        )
    try:
        urlsplit(url).port  # noqa: B018 - raises if it cannot be read
    except ValueError:
        # Not the URL itself, in which there may be a password.
        raise ConfigurationError(
            "The URL of the registry's database is malformed: its host or port cannot be read; give "
            "postgresql://USER@HOST:PORT/NAME."
        ) from None
    return url


def files_of_repository(name: str) -> list[str]:
    """Return the files that may be in the directory of an embedded repository's store and are no artifacts."""
    database = f"{name}.sqlite3"
    return [CONFIGURATION_FILE, *(f"{database}{end}" for end in ("", "-wal", "-shm", "-journal"))]


def split_stores(
    stores: Mapping[str, Mapping[str, Any]],
) -> tuple[dict[str, dict[str, Any]], tuple[Store, ...]]:
    """Take apart what is said of stores: where they are, for the datastore, and what goes there, for the registry.

    Parameters
    ----------
    stores
        Name of each store and its configuration: keys of the datastore (``root``, …), and ``template``,
        ``templates`` and ``constraints`` (see `butler_model.repository.Store`). The members of a chain may have
        ``constraints``.

    Raises
    ------
    ConfigurationError
        Raised if what is said of the placement is malformed.
    """
    where: dict[str, dict[str, Any]] = {}
    placements: list[Store] = []
    for name, given in stores.items():
        store = dict(given)
        placement = {key: store.pop(key) for key in _PLACEMENT_KEYS if key in store}
        if isinstance(store.get("members"), Mapping):
            members = {member: dict(content) for member, content in store["members"].items()}
            placement["members"] = {m: content.pop("constraints", {}) for m, content in members.items()}
            store["members"] = members
        where[name] = store
        placements.append(Store.from_mapping({"name": name, **placement}))
    return where, tuple(placements)


def load_universe(config: Mapping[str, Any] | str | os.PathLike[str] | int | None) -> DimensionUniverse:
    """Return the universe of a mapping, of a YAML or JSON file, or of a version that is shipped.

    Raises
    ------
    ConfigurationError
        Raised if the file cannot be read, or the configuration is malformed.
    IncompatibleVersionError
        Raised if that version is not shipped.
    """
    if config is None or isinstance(config, int):
        return DimensionUniverse(version=config)
    if isinstance(config, Mapping):
        return DimensionUniverse(config)
    path = Path(config)
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigurationError(
            f"{str(path)!r} holds no dimension configuration: {error}", path=str(path)
        ) from error
    if not isinstance(content, dict):
        raise ConfigurationError(
            f"{str(path)!r} holds no dimension configuration: it is not a mapping.", path=str(path)
        )
    return DimensionUniverse(content)


def _replaced(value: Any, root: str | None, where: str) -> Any:
    """Return a part of a configuration with ``<butlerRoot>`` and environment variables replaced in all its texts."""
    if isinstance(value, Mapping):
        return {key: _replaced(item, root, where) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, root, where) for item in value]
    if not isinstance(value, str):
        return value
    if BUTLER_ROOT in value:
        if root is None or is_remote(root):
            raise ConfigurationError(
                f"{where}: nothing says what {BUTLER_ROOT} in {without_secrets(value)!r:.200} is; give the path of the "
                "repository, or a directory under the key root."
            )
        value = value.replace(BUTLER_ROOT, root)
    return _VARIABLE.sub(lambda match: _variable(match[1], where), value)


def _variable(name: str, where: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise ConfigurationError(
            f"{where}: the environment variable {name!r} is not set; set it, or write what it stands for.",
            variable=name,
        )
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{where}: expected text, not {value!r:.80}.")
    return value
