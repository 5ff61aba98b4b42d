# SPDX-License-Identifier: BSD-3-Clause
"""From the text of a file to a hierarchy of plain values, with what it includes.

``!include FILE`` stands for what another YAML or JSON file holds, ``!include [A, B]`` for a list of those and
``!include {x: A}`` for a mapping to them. A name is relative to the file that it stands in. The key ``includeConfigs``
of a mapping names files, or one, that the mapping is laid over: they are looked for in the working directory, then
beside the file. Of several the last is the strongest.
"""

from __future__ import annotations

__all__ = ["INCLUDES", "has_extension", "laid_over", "plain", "read_file", "read_string"]

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from butler_model.errors import ConfigurationError, ConfigurationNotFoundError

from .locations import folder_of, is_remote, location_of, read_text

INCLUDES = "includeConfigs"
_JSON = ".json"
_EXTENSIONS = (".yaml", ".yml", _JSON)
_DEPTH = 20


def read_file(location: str, *, included_from: tuple[str, ...] = ()) -> Any:
    """Return what a YAML or JSON file holds, its name says which.

    Parameters
    ----------
    included_from
        The files that are being read, if one of them includes this one.

    Raises
    ------
    ConfigurationNotFoundError
        Raised if it, or a file that it includes, is not there.
    ConfigurationError
        Raised if one cannot be read, has another extension, or includes itself.
    """
    if location in included_from or len(included_from) > _DEPTH:
        raise ConfigurationError(f"{location!r} includes itself.", path=location)
    if not has_extension(location):
        raise ConfigurationError(
            f"{location!r} has none of the extensions {', '.join(_EXTENSIONS)}, which say how to read it.",
            path=location,
        )
    text = read_text(location)
    return read_string(
        text,
        location,
        folder_of(location),
        is_json=location.lower().endswith(_JSON),
        included_from=(*included_from, location),
    )


def read_string(
    text: str,
    where: str,
    folder: str | None,
    *,
    is_json: bool,
    included_from: tuple[str, ...] = (),
) -> Any:
    """Return what a text holds.

    Parameters
    ----------
    where
        What an error calls it.
    folder
        What the names of files in it are relative to; the working directory if absent.

    Raises
    ------
    ConfigurationNotFoundError, ConfigurationError
        As by `read_file`.
    """

    def read(name: Any) -> Any:
        if not isinstance(name, str):
            raise ConfigurationError(f"{where}: the name of a file to include is text, not {name!r:.80}.")
        location = location_of(name, folder)
        if folder is not None and is_remote(folder) and not is_remote(location):
            raise ConfigurationError(
                f"{where} is on another machine and cannot include {location!r} of this one."
            )
        return read_file(location, included_from=included_from)

    content = _parsed_json(text, where) if is_json else _parsed_yaml(text, where, read)
    return _with_includes(content, where, folder, included_from)


def has_extension(location: str | os.PathLike[str]) -> bool:
    """Return whether something is, by its name, a file that holds a configuration, and no directory."""
    return os.fspath(location).lower().endswith(_EXTENSIONS)


def laid_over(top: Any, below: Any) -> Any:
    """Return two hierarchies as one: where both have something that is no mapping, ``top`` has its way."""
    if not isinstance(top, Mapping) or not isinstance(below, Mapping):
        return top
    both = {name: laid_over(top[name], value) if name in top else value for name, value in below.items()}
    return {**both, **{name: value for name, value in top.items() if name not in below}}


def plain(value: Any) -> Any:
    """Return a copy of a hierarchy in mappings and lists of Python's own."""
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _with_includes(content: Any, where: str, folder: str | None, included_from: tuple[str, ...]) -> Any:
    if not isinstance(content, dict):
        return content
    names = content.pop(INCLUDES, [])
    content = {
        key: _with_includes(value, f"{where}, {key}", folder, included_from) for key, value in content.items()
    }
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigurationError(f"{where}: {INCLUDES} is a list of names of files, not {names!r:.80}.")
    for name in reversed(names):
        content = laid_over(content, read_file(_found(name, where, folder), included_from=included_from))
    return content


def _found(name: str, where: str, folder: str | None) -> str:
    remote = folder is not None and is_remote(folder)
    places = [location_of(name, folder)] if remote else [location_of(name), location_of(name, folder)]
    for place in places:
        if is_remote(place) or os.path.exists(place):
            return place
    raise ConfigurationNotFoundError(
        f"{where}: the file {name!r} that {INCLUDES} names is neither in the working directory nor beside this file.",
        path=name,
    )


def _parsed_json(text: str, where: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _unique(pairs, where))
    except (ValueError, RecursionError) as error:
        if isinstance(error, ConfigurationError):
            raise
        place = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise ConfigurationError(f"{where} cannot be read as JSON{place}.") from None


def _unique(pairs: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in content:
            raise ConfigurationError(f"{where}: the key {key!r:.80} is there twice.")
        content[key] = value
    return content


def _parsed_yaml(text: str, where: str, include: Callable[[Any], Any]) -> Any:
    loader = _Loader(text)
    loader.include = include
    try:
        return loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        # Not the line itself, which may hold a password.
        mark = error.problem_mark
        place = "" if mark is None else f" at line {mark.line + 1}, column {mark.column + 1}"
        raise ConfigurationError(f"{where} cannot be read as YAML: {error.problem}{place}.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, ConfigurationError):
            raise
        raise ConfigurationError(f"{where} cannot be read as YAML ({type(error).__name__}).") from None
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    """Knows ``!include``, and refuses a key that is there twice."""

    include: Callable[[Any], Any]

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag.endswith(":merge"):
                continue
            key = self.construct_object(key_node)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r:.80} is there twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)

    def included(self, node: yaml.Node) -> Any:
        """Return what stands for a node with the tag ``!include``."""
        if isinstance(node, yaml.SequenceNode):
            return [self.include(name) for name in self.construct_sequence(node)]
        if isinstance(node, yaml.MappingNode):
            return {key: self.include(name) for key, name in self.construct_mapping(node).items()}
        return self.include(getattr(node, "value", None))


_Loader.add_constructor("!include", _Loader.included)
