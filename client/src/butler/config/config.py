# SPDX-License-Identifier: BSD-3-Clause
"""A configuration: a hierarchy of keys."""

from __future__ import annotations

__all__ = ["Config"]

import json
import os
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import yaml

from butler_model.errors import ConfigurationError

from .files import laid_over, plain, read_file, read_string
from .keys import DELIMITER, Key, joined, names_in, path_of, step
from .locations import is_remote, location_of, without_secrets

if TYPE_CHECKING:
    from .config_subset import ConfigSubset

_FORMATS = ("yaml", "json")
_NAME = "config.yaml"


class Config(MutableMapping[Any, Any]):
    """A hierarchy of mappings, lists and plain values.

    A key is a name of the top, a sequence of names and indexes of lists, or a text such as ``".a.b.0"``, which begins
    with the delimiter that is used in it (a backslash keeps one from being that). A name of the top that is just so
    goes before all that. Setting makes the levels that are missing; deleting leaves empty ones. What is taken out is
    a copy.

    Parameters
    ----------
    other
        What to begin with: another configuration, a mapping, or the path or URI of a YAML or JSON file; nothing if
        absent.

    Attributes
    ----------
    configFile
        Path or URI of the file that it was read from or written to; `None` if there is none.

    Raises
    ------
    ConfigurationNotFoundError
        Raised if there is no such file, or none of those that it includes.
    ConfigurationError
        Raised if it cannot be read, has an unknown extension, or ``other`` is something else.
    """

    def __init__(self, other: Mapping[Any, Any] | str | os.PathLike[str] | None = None) -> None:
        self._data: dict[Any, Any] = {}
        self.configFile: str | None = None
        if isinstance(other, Config):
            self.configFile = other.configFile
            self._data = plain(other._data)
        elif isinstance(other, Mapping):
            self._data = plain(other)
        elif isinstance(other, str | os.PathLike):
            self.configFile = location_of(other)
            self._data = _mapping(read_file(self.configFile), self.configFile)
        elif other is not None:
            raise ConfigurationError(
                f"A configuration is made of a mapping or a file, not of {type(other).__name__}."
            )

    @classmethod
    def fromString(cls, string: str, format: str = "yaml") -> Self:
        """Return what a text in ``yaml`` or ``json`` says; files it names are relative to the working directory."""
        _check_format(format)
        where = "The text of a configuration"
        content = read_string(string, where, None, is_json=format == "json")
        config = cls()
        config._data = _mapping(content, where)
        return config

    @classmethod
    def fromYaml(cls, string: str) -> Self:
        """Return what a text in YAML says."""
        return cls.fromString(string, "yaml")

    def copy(self) -> Self:
        """Return a copy of the same class."""
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy._data = plain(self._data)
        return copy

    def toDict(self) -> dict[Any, Any]:
        """Return a copy as dictionaries and lists."""
        result: dict[Any, Any] = plain(self._data)
        return result

    def nameTuples(self, topLevelOnly: bool = False) -> list[tuple[str, ...]]:
        """Return the path of everything that is there, each before what is below it."""
        return list(names_in(self._data, top_only=topLevelOnly))

    def names(self, topLevelOnly: bool = False, delimiter: str | None = None) -> list[str]:
        """Return the same as texts that are keys, with a delimiter that is part of no name unless one is given."""
        if topLevelOnly:
            return [str(name) for name in self._data]
        paths = self.nameTuples()
        if delimiter is None:
            parts = {character for path in paths for name in path for character in name}
            delimiter = next(
                each for each in (DELIMITER, *map(chr, range(0x2190, 0x2300))) if each not in parts
            )
        elif len(delimiter) != 1 or delimiter.isalnum() or delimiter == "_":
            raise ConfigurationError(
                f"{delimiter!r:.80} cannot delimit names; use one character that is no letter, digit or _."
            )
        return [joined(path, delimiter) for path in paths]

    def asArray(self, name: Key) -> list[Any]:
        """Return what a key has as a list: itself if it is one, otherwise a list of it alone."""
        value = self[name]
        return value if isinstance(value, list) else [value]

    def update(self, other: Any = (), /, **kwargs: Any) -> None:
        """Lay another configuration over this one, level by level; lists are replaced whole."""
        self._data = laid_over(plain({**dict(other), **kwargs}), self._data)

    def merge(self, other: Mapping[Any, Any]) -> None:
        """Lay this configuration over another one: only what is missing is taken from it."""
        self._data = laid_over(self._data, plain(Config(other)._data))

    def dump(self, output: IO[str] | None = None, format: str = "yaml") -> str | None:
        """Write it to a stream as ``yaml`` or ``json``; return the text if there is no stream."""
        _check_format(format)
        if format == "json":
            text = json.dumps(self._data, indent=2, ensure_ascii=False) + "\n"
        else:
            text = yaml.safe_dump(self._data, sort_keys=False, allow_unicode=True)
        if output is None:
            return text
        output.write(text)
        return None

    def dumpToUri(
        self,
        uri: str | os.PathLike[str],
        updateFile: bool = True,
        defaultFileName: str = _NAME,
        overwrite: bool = True,
    ) -> str:
        """Write it to a file, whose extension says how, and return its path.

        Parameters
        ----------
        uri
            A path or ``file`` URI; of a directory, which exists or has no extension, ``defaultFileName`` in it.
        updateFile
            Whether `configFile` becomes that file.
        overwrite
            Whether a file that exists is replaced; otherwise it is an error (`FileExistsError`).
        """
        location = location_of(uri)
        if is_remote(location):
            raise ConfigurationError(f"A configuration cannot be written to {location!r:.200}; give a path.")
        file = Path(location)
        if file.is_dir() or not file.suffix:
            file /= defaultFileName
        text = self.dump(format="json" if file.suffix == ".json" else "yaml") or ""
        file.parent.mkdir(parents=True, exist_ok=True)
        secret = without_secrets(text) != text
        flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if overwrite else os.O_EXCL)
        with open(os.open(file, flags, 0o600 if secret else 0o666), "w", encoding="utf-8") as sink:
            sink.write(text)
        if updateFile:
            self.configFile = str(file)
        return str(file)

    @staticmethod
    def updateParameters(
        configType: type[ConfigSubset],
        config: Config,
        full: Config,
        toUpdate: Mapping[str, Any] | None = None,
        toCopy: Iterable[Key] | None = None,
        overwrite: bool = True,
    ) -> None:
        """Set keys of one component of a configuration, and copy others from a complete one.

        Parameters
        ----------
        configType
            The component in which the keys are.
        config, full
            What is changed; what is copied from.
        toUpdate
            Keys and their new values.
        toCopy
            Keys that are copied.
        overwrite
            Whether keys that ``config`` has already are set, too.
        """
        if not toUpdate and not toCopy:
            raise ConfigurationError("updateParameters needs keys to set (toUpdate) or to copy (toCopy).")
        component = path_of(configType.component) if configType.component else ()
        for name, value in (toUpdate or {}).items():
            path = (*component, *path_of(name))
            if overwrite or path not in config:
                config[path] = value
        for key in toCopy or ():
            path = (*component, *path_of(key))
            if path in full and (overwrite or path not in config):
                config[path] = full[path]

    def _path(self, key: Key) -> tuple[str | int, ...]:
        if isinstance(key, str | int) and key in self._data:
            return (key,)
        return path_of(key)

    def __getitem__(self, key: Key) -> Any:
        path = self._path(key)
        value: Any = self._data
        for name in path:
            value = step(value, name, path)
        return Config(value) if isinstance(value, dict) else plain(value)

    def __setitem__(self, key: Key, value: Any) -> None:
        *path, last = self._path(key)
        level: Any = self._data
        for name in path:
            if isinstance(level, dict) and name not in level:
                level[name] = {}
            level = step(level, name, path)
        _check_level(level, last, [*path, last])
        level[int(last) if isinstance(level, list) else last] = plain(value)

    def __delitem__(self, key: Key) -> None:
        path = self._path(key)
        level: Any = self._data
        for name in path[:-1]:
            level = step(level, name, path)
        step(level, path[-1], path)
        del level[int(path[-1]) if isinstance(level, list) else path[-1]]

    def __contains__(self, key: object) -> bool:
        try:
            self[key]  # type: ignore[index]  # what is no key is not there
        except (KeyError, ValueError, TypeError):
            return False
        return True

    def __iter__(self) -> Iterator[Any]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Config):
            return self._data == other._data
        return isinstance(other, Mapping) and self._data == plain(other)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __str__(self) -> str:
        return str(without_secrets(self._data))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self})"


def _mapping(content: Any, where: str) -> dict[Any, Any]:
    if not isinstance(content, dict):
        raise ConfigurationError(
            f"{where}: a configuration is a mapping, not {without_secrets(content)!r:.80}."
        )
    return content


def _check_format(format: str) -> None:
    if format not in _FORMATS:
        raise ConfigurationError(
            f"{format!r:.80} is no format of a configuration; use {' or '.join(_FORMATS)}."
        )


def _check_level(level: Any, last: str | int, path: Iterable[str | int]) -> None:
    if isinstance(level, dict):
        return
    if isinstance(level, list):
        step(level, last, list(path))
        return
    raise ConfigurationError(
        f"{joined([str(name) for name in path], '.')!r:.200} cannot be set: there is a {type(level).__name__} above it."
    )
