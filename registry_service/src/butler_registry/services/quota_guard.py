# SPDX-License-Identifier: BSD-3-Clause
"""Refuses puts of which there would be more than a quota allows.

What is stored is summed now and then, and what this process commits meanwhile is added. So a quota holds to what other
processes commit within some seconds, and repositories without quotas pay nothing for it.
"""

from __future__ import annotations

__all__ = ["QuotaGuard"]

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from butler_model.errors import QuotaExceededError
from butler_model.quota import Quota, stricter_first
from butler_registry.storage.attribute_store import AttributeStore
from butler_registry.storage.database import Connection
from butler_registry.storage.stored_bytes import StoredBytes

ATTRIBUTE = "quotas"
"""Under this name a repository keeps its quotas: JSON, an object from prefixes to bytes."""
_SECONDS = 10.0
_COST = 20.0
"""A sum is taken again after so many times what it took."""
_MOST_PLACES = 10_000


@dataclass(slots=True)
class _Measured:
    used: int
    until: float


class QuotaGuard:
    """Knows the quotas of a repository, and about how much is stored. Safe to use from many threads."""

    def __init__(
        self, attributes: AttributeStore, stored: StoredBytes, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._attributes = attributes
        self._stored = stored
        self._clock = clock
        self._lock = threading.Lock()
        self._known: tuple[int, tuple[Quota, ...]] = (-1, ())
        self._places: dict[tuple[str, bool], _Measured] = {}

    def quotas(self, connection: Connection, revision: int) -> tuple[Quota, ...]:
        """Return the quotas at a revision of the definitions, the smallest first."""
        known = self._known
        if known[0] != revision:
            known = self._known = (revision, self.read(connection))
        return known[1]

    def read(self, connection: Connection) -> tuple[Quota, ...]:
        """Return the quotas that the database has now."""
        kept: Mapping[str, int] = json.loads(self._attributes.get(connection, ATTRIBUTE, "{}"))
        return stricter_first(Quota(prefix, size) for prefix, size in kept.items())

    def check(self, connection: Connection, revision: int, sizes: Mapping[str, int]) -> None:
        """Raise `QuotaExceededError` if there is no room for what is to be stored.

        Parameters
        ----------
        sizes
            Bytes that are to be committed, by run; 0 where a put begins, for which there has to be some room.
        """
        for quota in self.quotas(connection, revision):
            wanted: dict[str, int] = {}
            for run, size in sizes.items():
                place = quota.place_of(run)
                if place is not None:
                    wanted[place] = wanted.get(place, 0) + size
            for place, size in wanted.items():
                used = self._used(connection, place, quota)
                if used + max(size, 1) > quota.size:
                    raise _exceeded(quota, place, used, size)

    def wrote(self, sizes: Mapping[str, int]) -> None:
        """Count what was committed."""
        with self._lock:
            for (place, below), measured in self._places.items():
                for run, size in sizes.items():
                    if not place or run == place or (below and run.startswith(f"{place}/")):
                        measured.used += size

    def _used(self, connection: Connection, place: str, quota: Quota) -> int:
        key = (place, quota.is_for_all_below)
        with self._lock:
            measured = self._places.get(key)
            now = self._clock()
            if measured is not None and now < measured.until:
                return measured.used
            if measured is not None:
                # Others go on with what was known while one thread sums.
                measured.until = now + _SECONDS
        used = self._stored.at(connection, place, below=quota.is_for_all_below)
        done = self._clock()
        with self._lock:
            if len(self._places) >= _MOST_PLACES:
                self._places.clear()
            self._places[key] = _Measured(used, done + max(_SECONDS, _COST * (done - now)))
        return used


def _exceeded(quota: Quota, place: str, used: int, size: int) -> QuotaExceededError:
    what = f"{size} more bytes do not fit" if size else "nothing more fits"
    return QuotaExceededError(
        f"{used} of {quota.size} bytes are taken below {place or 'all collections'!r}, so {what} (quota "
        f"{quota.prefix!r}). Remove datasets that are not needed, or ask an administrator for more.",
        prefix=quota.prefix,
        limit=str(quota.size),
        used=str(used),
    )
