# SPDX-License-Identifier: BSD-3-Clause
"""The configuration of an embedded repository: what ``butler.yaml`` says."""

from __future__ import annotations

__all__ = [
    "CONFIGURATION_FILE",
    "RepositoryConfiguration",
    "files_of_repository",
    "load_universe",
    "split_stores",
]

import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from butler_model.config_keys import check_keys
from butler_model.errors import ConfigurationError, RepositoryNotFoundError
from butler_model.repository import Store, check_repository_name
from butler_model.universe import DimensionUniverse

CONFIGURATION_FILE = "butler.yaml"
_ROOT = "<butlerRoot>"
_PLACEMENT_KEYS = ("template", "templates", "constraints")
_HEADER = f"""# SPDX-License-Identifier: BSD-3-Clause
# A data repository. {_ROOT} stands for the directory that this file is in.
"""


@dataclass(frozen=True, slots=True)
class RepositoryConfiguration:
    """Where the parts of an embedded repository are.

    Attributes
    ----------
    repository
        Its name in the registry.
    database
        ``sqlite:///DIRECTORY`` or ``postgresql+psycopg://…``; may contain ``<butlerRoot>``.
    stores
        For each store its name and where it is, as the datastore service is told; texts may contain
        ``<butlerRoot>``.
    """

    repository: str
    database: str
    stores: Mapping[str, Mapping[str, Any]]

    @classmethod
    def for_root(
        cls, database: str | None = None, stores: Mapping[str, Mapping[str, Any]] | None = None
    ) -> RepositoryConfiguration:
        """Return the configuration of a new repository; in SQLite beside the artifacts by default."""
        url = f"sqlite:///{_ROOT}" if database is None else database
        scheme, separator, rest = url.partition("://")
        if scheme in ("postgresql", "postgres"):
            url = f"postgresql+psycopg{separator}{rest}"
        if not url.startswith(("sqlite:///", "postgresql+psycopg://")):
            raise ConfigurationError(
                f"{scheme!r:.40} is no kind of database that a registry can be in; give "
                "postgresql://USER@HOST/NAME, or none for a SQLite file in the repository."
            )
        return cls("main", url, {"main": {"root": _ROOT}} if stores is None else stores)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> RepositoryConfiguration:
        """Read a repository's configuration, with ``<butlerRoot>`` replaced.

        Parameters
        ----------
        path
            The file, or the directory that it is in.

        Raises
        ------
        RepositoryNotFoundError
            Raised if there is no such file.
        ConfigurationError
            Raised if it is not YAML, or has not the documented shape.
        """
        file = Path(path).absolute()
        if file.is_dir():
            file /= CONFIGURATION_FILE
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            raise RepositoryNotFoundError(
                f"There is no repository at {str(path)!r} (no file {str(file)!r}); make one with "
                "Butler.makeRepo, or give the address of a service, grpc://HOST:PORT/REPOSITORY.",
                path=str(file),
            ) from None
        except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
            raise ConfigurationError(
                f"{str(file)!r} cannot be read as YAML: {error}", path=str(file)
            ) from error
        return cls._from_content(content, str(file))._placed(str(file.parent))

    @classmethod
    def _from_content(cls, content: object, where: str) -> RepositoryConfiguration:
        top = _section(content, ("repository", "registry", "datastore"), where)
        registry = _section(top["registry"], ("database",), f"{where}, registry")
        datastore = _section(top["datastore"], ("stores",), f"{where}, datastore")
        if not isinstance(datastore["stores"], dict) or not datastore["stores"]:
            raise ConfigurationError(f"{where}, datastore.stores: name at least one store.")
        stores: dict[str, Mapping[str, Any]] = {}
        for name, store in datastore["stores"].items():
            if not isinstance(store, dict):
                raise ConfigurationError(f"{where}, store {name!r}: expected a mapping, not {store!r:.80}.")
            stores[str(name)] = store
        repository = check_repository_name(_text(top["repository"], f"{where}, repository"))
        return cls(repository, _text(registry["database"], f"{where}, registry.database"), stores)

    def _placed(self, root: str) -> RepositoryConfiguration:
        return RepositoryConfiguration(
            self.repository, self.database.replace(_ROOT, root), _replaced(self.stores, root)
        )

    def placed(self, root: Path) -> RepositoryConfiguration:
        """Return the configuration with ``<butlerRoot>`` replaced."""
        return self._placed(str(root.absolute()))

    def as_yaml(self) -> str:
        """Return the text of ``butler.yaml``."""
        content = {
            "repository": self.repository,
            "registry": {"database": self.database},
            "datastore": {"stores": {name: dict(store) for name, store in self.stores.items()}},
        }
        return _HEADER + yaml.safe_dump(content, sort_keys=False)


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


def _section(content: Any, keys: Collection[str], where: str) -> dict[str, Any]:
    check_keys(content, keys, where)
    if missing := [key for key in keys if key not in content]:
        raise ConfigurationError(f"{where}: the key {missing[0]!r} is missing.")
    return dict(content)


def _replaced(value: Any, root: str) -> Any:
    """Return a part of a configuration with ``<butlerRoot>`` replaced in all its texts."""
    if isinstance(value, Mapping):
        return {key: _replaced(item, root) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, root) for item in value]
    return value.replace(_ROOT, root) if isinstance(value, str) else value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{where}: expected text, not {value!r:.80}.")
    return value
