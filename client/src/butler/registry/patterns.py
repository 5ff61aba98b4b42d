# SPDX-License-Identifier: BSD-3-Clause
"""Patterns of names, as people give them to a registry."""

from __future__ import annotations

__all__ = ["Patterns", "collection_types", "collections_searched", "globs", "is_glob", "matches_any"]

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from types import EllipsisType
from typing import Any, TypeAlias

from butler.defaults import RegistryDefaults
from butler_model.collection import CollectionType
from butler_model.errors import InvalidRequestError
from butler_model.ports import Registry

Patterns: TypeAlias = str | Iterable[str] | EllipsisType
"""A name or glob, several, or ``...`` for all."""


def globs(expression: Patterns) -> Sequence[str]:
    """Return patterns as a list; `InvalidRequestError` for what is no text."""
    if expression is ...:
        return ["*"]
    # What is neither text nor has parts, such as a regular expression, is refused below.
    one = isinstance(expression, str) or not isinstance(expression, Iterable)
    patterns: list[Any] = [expression] if one else list(expression)
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise InvalidRequestError(
                f"{pattern!r:.80} is no name or glob; write patterns with *, ? and [..], regular "
                "expressions are not known."
            )
    return patterns


def collection_types(wanted: CollectionType | Iterable[CollectionType]) -> frozenset[CollectionType]:
    """Return types of collections as a set; `InvalidRequestError` for what is none, such as a name."""
    types = [wanted] if isinstance(wanted, str) or not isinstance(wanted, Iterable) else list(wanted)
    for each in types:
        if not isinstance(each, CollectionType):
            raise InvalidRequestError(
                f"{each!r:.80} is no type of a collection; use CollectionType.RUN, .TAGGED, .CHAINED or .CALIBRATION."
            )
    return frozenset(types)


def is_glob(pattern: str) -> bool:
    """Return whether a pattern can match more than one name."""
    return any(character in pattern for character in "*?[")


def collections_searched(
    registry: Registry, defaults: RegistryDefaults, collections: Patterns | None, *, find_first: bool
) -> tuple[str, ...]:
    """Return the names of collections to search for datasets: those given, else the default ones.

    ``...`` is all runs. Where only the first dataset found counts, globs are refused: a search needs an order.

    Raises
    ------
    NoDefaultCollectionError
        Raised if none are given and there are no default ones.
    CollectionTypeError
        Raised for ``...`` and globs with ``find_first``.
    """
    if collections is None or find_first:
        return defaults.search_path(collections)
    if collections is ...:
        runs = registry.collections.find(["*"], frozenset({CollectionType.RUN}))
        return tuple(run.name for run in runs)
    patterns = globs(collections)
    if not any(map(is_glob, patterns)):
        return defaults.search_path(patterns)
    found = [collection.name for collection in registry.collections.find(patterns)]
    return tuple(dict.fromkeys([p for p in patterns if not is_glob(p)] + found))


def matches_any(name: str, patterns: Iterable[str]) -> bool:
    """Return whether a name matches any of some globs."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)
