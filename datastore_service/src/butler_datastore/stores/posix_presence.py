# SPDX-License-Identifier: BSD-3-Clause
"""Whether the directory of a store is the one that has its artifacts, and not a place where its disk is not mounted."""

from __future__ import annotations

__all__ = ["NOTHING_KNOWN", "STAGING", "Holdings", "RootPresence"]

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from butler_model.errors import ServiceUnavailableError

from .directories import DirectoryTree
from .places import if_there

# No key begins with a dot, so nothing in here can be taken for an artifact.
STAGING = (".tmp",)
"""The directory of temporary files; it is made by the first write, and then shows that the root is the right one."""
_SECONDS = 2.0
"""How long what the registry said is good for: thousands may ask in a row."""
_NOTHING_SAID = (0.0, True)


@dataclass(frozen=True, slots=True)
class Holdings:
    """What should be in a store.

    Attributes
    ----------
    store
        What people are told of which store it is.
    keys
        Asks the registry for keys of some artifacts that were committed, be they in the trash by now; none only if
        there never were any, or all of them were deleted.
    """

    store: str
    keys: Callable[[], Sequence[str]]


NOTHING_KNOWN = Holdings("a store", lambda: ())
"""Nobody says what is in the store, so it is taken as it is found."""


class RootPresence:
    """Looks at the root of a store. Safe to use from many threads.

    A root without the directory of temporary files may be new, have nothing but files that others put there, or not be
    mounted. That is told by the artifacts that should be in it.

    Parameters
    ----------
    size
        Gives the length of the artifact that has a key.
    """

    def __init__(self, tree: DirectoryTree, size: Callable[[str], int | None], holdings: Holdings) -> None:
        self._tree = tree
        self._size = size
        self._holdings = holdings
        self._said = _NOTHING_SAID

    def check(self) -> None:
        """Raise `ServiceUnavailableError` if the root is not there although there should be artifacts in it."""
        if self._is_marked():
            return
        until, is_right = self._said
        if time.monotonic() >= until:
            is_right = self._looks_right()
            self._said = (time.monotonic() + _SECONDS, is_right)
        if not is_right:
            raise ServiceUnavailableError(
                f"The root of {self._holdings.store} is not there: is its disk mounted? {self._tree.root!r:.200} has "
                "none of its artifacts. Nothing was written or deleted. If it is to be empty, make a directory .tmp in "
                "it."
            )

    def make(self) -> None:
        """Make the root, if there never was one."""
        with self._tree.made(STAGING, self.check_before_making):
            pass

    def check_before_making(self) -> None:
        """Do as `check` before the root is made; what the registry said before that is forgotten then."""
        if self._said[1]:
            self._said = _NOTHING_SAID
        self.check()
        self._said = _NOTHING_SAID

    def _is_marked(self) -> bool:
        with if_there(), self._tree.opened(STAGING):
            return True
        return False

    def _looks_right(self) -> bool:
        keys = self._holdings.keys()
        if not keys:
            return True
        if all(self._size(key) is None for key in keys):
            return False
        with suppress(OSError), self._tree.opened(()) as root:
            os.mkdir(STAGING[0], dir_fd=root)
        return True
