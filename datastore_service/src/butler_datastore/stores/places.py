# SPDX-License-Identifier: BSD-3-Clause
"""Keys as places in a directory tree."""

from __future__ import annotations

__all__ = ["Place", "by_directory", "if_there", "no_way_reported", "place_of"]

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from butler_model.errors import ArtifactExistsError
from butler_model.path_template import check_key

_NO_WAY = {errno.ENOTDIR, errno.ELOOP}
_ABSENT = {errno.EISDIR, errno.ELOOP, errno.ENOENT, errno.ENOTDIR}


@dataclass(frozen=True, slots=True)
class Place:
    """A key, taken apart."""

    key: str
    directory: tuple[str, ...]
    name: str


def place_of(key: str) -> Place:
    """Return the place of a key; `InvalidNameError` if it can have none."""
    *directory, name = check_key(key).split("/")
    return Place(key, tuple(directory), name)


def by_directory(places: Sequence[Place]) -> list[list[int]]:
    """Return the numbers of places, those of one directory together."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for number, place in enumerate(places):
        groups.setdefault(place.directory, []).append(number)
    return list(groups.values())


@contextmanager
def if_there() -> Iterator[None]:
    """Leave the block if there is no such file; links and what is no file count as nothing."""
    try:
        yield
    except OSError as error:
        if error.errno not in _ABSENT:
            raise


@contextmanager
def no_way_reported(key: str) -> Iterator[None]:
    """Raise `ArtifactExistsError` where a file or a link is in the way to a key."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_WAY:
            raise
        raise ArtifactExistsError(
            f"There can be no artifact {key!r}: something in its path is no directory.", key=key
        ) from error
