# SPDX-License-Identifier: BSD-3-Clause
"""Keys of a hierarchy: ``("a", "b")``, ``".a.b"`` and ``"/a/b"`` are the same."""

from __future__ import annotations

__all__ = ["DELIMITER", "Key", "joined", "names_in", "path_of", "step"]

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from butler_model.config_keys import nearest_known
from butler_model.errors import ConfigurationError, ConfigurationKeyError

Key = str | int | Sequence[str | int]
"""A name, a name that begins with its delimiter, an index of a list, or a sequence of names and indexes."""

DELIMITER = "→"
"""What names of a hierarchy are written with, unless it is a part of one of them."""

_ESCAPE = "\\"


def path_of(key: Key) -> tuple[str | int, ...]:
    """Return the names and indexes of a key, from the top down.

    If a text begins with a character that is neither a letter, a digit nor ``_``, that is the delimiter in it; a
    backslash before the delimiter, or before a backslash, makes that a part of the name.

    Raises
    ------
    ConfigurationError
        Raised if the key has no names, or an empty one.
    """
    if isinstance(key, int):
        return (key,)
    path: tuple[str | int, ...]
    if isinstance(key, str):
        path = (key,) if not key or _is_of_name(key[0]) else tuple(_split(key[1:], key[0]))
    else:
        path = tuple(key)
    if not path or any(name == "" for name in path):
        raise ConfigurationError(f"{key!r:.200} is no key of a configuration: a name in it is empty.")
    return path


def joined(path: Sequence[str], delimiter: str) -> str:
    """Return the text that `path_of` takes apart into a path."""
    escaped = (name.replace(_ESCAPE, 2 * _ESCAPE).replace(delimiter, _ESCAPE + delimiter) for name in path)
    return "".join(f"{delimiter}{name}" for name in escaped)


def names_in(content: Any, *, top_only: bool = False) -> Iterator[tuple[str, ...]]:
    """Yield the path of everything in a hierarchy, each before what is below it."""
    if isinstance(content, Mapping):
        items: list[tuple[str, Any]] = [(str(name), value) for name, value in content.items()]
    elif isinstance(content, list):
        items = [(str(index), value) for index, value in enumerate(content)]
    else:
        return
    for name, value in items:
        yield (name,)
        if not top_only:
            yield from ((name, *rest) for rest in names_in(value))


def step(content: Any, name: str | int, path: Sequence[str | int]) -> Any:
    """Return what stands under a name of a mapping, or under an index of a list.

    Raises
    ------
    ConfigurationKeyError
        Raised if nothing does; names the nearest that there is.
    """
    if isinstance(content, list):
        try:
            return content[int(name)]
        except (ValueError, IndexError):
            raise _missing(path, f"{name!r} is no index of a list of {len(content)}") from None
    if not isinstance(content, Mapping):
        raise _missing(path, f"there is nothing below a {type(content).__name__}")
    if name in content:
        return content[name]
    if not content:
        raise _missing(path, "the mapping is empty")
    known = [str(each) for each in content]
    raise _missing(path, f"{name!r} is not among {len(known)}; {nearest_known(name, known)}")


def _missing(path: Sequence[str | int], why: str) -> ConfigurationKeyError:
    shown = joined([str(name) for name in path], ".")
    return ConfigurationKeyError(f"The configuration has no key {shown!r:.200}: {why}.", key=shown[:200])


def _is_of_name(character: str) -> bool:
    return character.isalnum() or character == "_"


def _split(text: str, delimiter: str) -> Iterator[str]:
    name = ""
    characters = iter(text)
    for character in characters:
        if character == delimiter:
            yield name
            name = ""
        elif character == _ESCAPE:
            following = next(characters, "")
            name += following if following and following in delimiter + _ESCAPE else character + following
        else:
            name += character
    yield name
