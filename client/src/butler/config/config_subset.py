# SPDX-License-Identifier: BSD-3-Clause
"""The part of a configuration that one component reads, with its defaults."""

from __future__ import annotations

__all__ = ["SEARCH_PATH_VARIABLE", "ConfigSubset", "first_found", "search_folders"]

import functools
import os
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar, Self

from butler_model.config_keys import check_keys
from butler_model.errors import ConfigurationError, ConfigurationNotFoundError

from .config import Config
from .files import laid_over
from .locations import location_of, without_secrets

SEARCH_PATH_VARIABLE = "DAF_BUTLER_CONFIG_PATH"
"""Environment variable with directories of defaults, the strongest first, with colons between."""


class ConfigSubset(Config):
    """What a configuration says of one component, laid over the defaults of that component.

    Defaults are read from the file that the class names, in the package, in the directories of
    ``DAF_BUTLER_CONFIG_PATH`` and in ``searchPaths``: later ones are stronger, and of several directories the first.

    Parameters
    ----------
    other
        A configuration, of which ``component`` is taken, or that of the component in it, if there is one; or what
        `Config` takes. Defaults alone if absent.
    validate
        Whether keys that are required must be there, and those that are unknown may not.
    mergeDefaults
        Whether there are defaults.
    searchPaths
        Directories with files of defaults, the strongest first.

    Attributes
    ----------
    filesRead
        Where the defaults came from, the weakest first, then the file of ``other`` if it has one.

    Raises
    ------
    ConfigurationError
        Raised if a key is missing or unknown, and as by `Config`.
    """

    component: ClassVar[str | None] = None
    """Under which key of a whole configuration it stands."""
    requiredKeys: ClassVar[tuple[str, ...]] = ()
    """Names that must be there."""
    knownKeys: ClassVar[tuple[str, ...]] = ()
    """Names that may be there; any if there are none."""
    defaultConfigFile: ClassVar[str | None] = None
    """Name of the file of defaults."""
    namedThings: ClassVar[str | None] = None
    """Name of a mapping of things to what is said of them. A default says more of what is named, and names nothing
    itself unless nothing is named at all."""

    def __init__(
        self,
        other: Mapping[Any, Any] | str | os.PathLike[str] | None = None,
        validate: bool = True,
        mergeDefaults: bool = True,
        searchPaths: Iterable[str | os.PathLike[str]] | None = None,
    ) -> None:
        super().__init__(other)
        self.filesRead: list[str] = []
        self._data = self._own_part(self._data, self.configFile or "The configuration")
        if mergeDefaults and self.defaultConfigFile is not None:
            self._data = self._over_defaults(searchPaths)
        if self.configFile is not None:
            self.filesRead.append(self.configFile)
        if validate:
            self.validate()

    @classmethod
    def part_of(cls, whole: Config, search_paths: Iterable[str | os.PathLike[str]] | None = None) -> Self:
        """Return what a whole configuration says of the component, which may be nothing, over its defaults."""
        name = cls.component or ""
        part = Config({name: whole[name]} if name in whole else None)
        part.configFile = whole.configFile
        return cls(part, searchPaths=search_paths)

    def validate(self) -> None:
        """Check that every key that is required is there, and none that is unknown.

        Raises
        ------
        ConfigurationError
            Raised otherwise.
        """
        where = f"{self.configFile or 'The configuration'}, {self.component or type(self).__name__}"
        if self.knownKeys:
            check_keys(self._data, self.knownKeys, where)
        for name in self.requiredKeys:
            if name not in self:
                raise ConfigurationError(f"{where}: the key {name!r} is missing.")

    def _own_part(self, content: dict[Any, Any], where: str) -> dict[Any, Any]:
        for _ in range(2):  # a component may be wrapped in itself
            if self.component is None or self.component not in content:
                break
            content = content[self.component]
            if not isinstance(content, dict):
                raise ConfigurationError(
                    f"{where}, {self.component}: expected a mapping, not {without_secrets(content)!r:.80}."
                )
        return content

    def _over_defaults(self, search_paths: Iterable[str | os.PathLike[str]] | None) -> dict[Any, Any]:
        name = self.defaultConfigFile or ""
        shipped, *local = [
            self._own_part(Config(file)._data, self._noted(file)) if file.is_file() else {}
            for file in (Path(str(files("butler"))) / "configs" / name, *_files(name, search_paths))
        ]
        if self.namedThings is not None:
            shipped, local = self._about_what_is_named(self.namedThings, shipped, local)
        return functools.reduce(lambda below, top: laid_over(top, below), (shipped, *local, self._data))

    def _noted(self, file: Path) -> str:
        self.filesRead.append(str(file))
        return str(file)

    def _about_what_is_named(
        self, key: str, shipped: dict[Any, Any], local: list[dict[Any, Any]]
    ) -> tuple[dict[Any, Any], list[dict[Any, Any]]]:
        """Return defaults without things that nobody named."""
        named = self._data.get(key)
        if key in self._data or any(key in layer for layer in local):
            shipped = {name: value for name, value in shipped.items() if name != key}
        if isinstance(named, dict):
            local = [
                {**layer, key: {name: value for name, value in layer[key].items() if name in named}}
                if isinstance(layer.get(key), dict)
                else layer
                for layer in local
            ]
        return shipped, local


def search_folders(search_paths: Iterable[str | os.PathLike[str]] | None) -> list[Path]:
    """Return the directories with defaults, the strongest first: those given, then those of the environment.

    Raises
    ------
    ConfigurationNotFoundError
        Raised if one that is given is not there; of those of the environment, as of ``PATH``, some may be absent.
    """
    given = [Path(location_of(path)) for path in search_paths or ()]
    for folder in given:
        if not folder.is_dir():
            raise ConfigurationNotFoundError(
                f"There is no directory {str(folder)!r} to search for defaults; make it, or leave it out.",
                path=str(folder),
            )
    variable = os.environ.get(SEARCH_PATH_VARIABLE, "")
    return [*given, *(Path(location_of(path)) for path in variable.split(os.pathsep) if path)]


def first_found(name: str, search_paths: Iterable[str | os.PathLike[str]] | None) -> Path | None:
    """Return the strongest file of that name, `None` if there is none; for what cannot be laid over something else."""
    return next((file for file in reversed(_files(name, search_paths)) if file.is_file()), None)


def _files(name: str, search_paths: Iterable[str | os.PathLike[str]] | None) -> list[Path]:
    """Return where files of defaults may be, the weakest first."""
    return [folder / name for folder in reversed(search_folders(search_paths))]
