# SPDX-License-Identifier: BSD-3-Clause
"""Which stores are left alone for a while because nothing could be deleted from them."""

from __future__ import annotations

__all__ = ["StoreHealth"]

import threading
import time

_MOST_FAILURES = 5
_PAUSE_SECONDS = 120.0


class StoreHealth:
    """A circuit breaker for each store of each repository. Safe to use from many threads.

    After five failures without a success in between a store is left alone for two minutes.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: dict[tuple[str, str], int] = {}
        self._resting: dict[tuple[str, str], float] = {}

    def note(self, repository: str, store: str, *, succeeded: bool) -> None:
        """Note how a deletion went."""
        with self._lock:
            place = (repository, store)
            self._failures[place] = 0 if succeeded else self._failures.get(place, 0) + 1
            if self._failures[place] >= _MOST_FAILURES:
                self._failures[place] = 0
                self._resting[place] = time.monotonic() + _PAUSE_SECONDS

    @property
    def states(self) -> dict[tuple[str, str], bool]:
        """Whether each store of a repository from which something was deleted, or should have been, is left alone."""
        with self._lock:
            now = time.monotonic()
            return {place: now < self._resting.get(place, 0.0) for place in self._failures}

    def rests(self, repository: str, store: str) -> bool:
        """Return whether a store is left alone now."""
        with self._lock:
            return time.monotonic() < self._resting.get((repository, store), 0.0)
