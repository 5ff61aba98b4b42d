# SPDX-License-Identifier: BSD-3-Clause
"""Keys as places in a directory tree."""

from __future__ import annotations

__all__ = ["Place", "by_directory", "if_there", "place_of"]

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from butler_model.errors import InvalidNameError
from butler_model.path_template import check_key

_NAME_BYTES = 255
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
    if any(len(part) > _NAME_BYTES for part in (*directory, name)):
        raise InvalidNameError(
            f"{key!r:.300} has a part of more than {_NAME_BYTES} characters.", key=key[:300]
        )
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
