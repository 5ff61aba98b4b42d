# SPDX-License-Identifier: BSD-3-Clause
"""The service for how much may be stored below which prefix."""

from __future__ import annotations

__all__ = ["QuotaService"]

import json
from uuid import UUID

from butler_model.errors import LimitExceededError
from butler_model.quota import MAX_QUOTAS, Quota, QuotaUse, stricter_first
from butler_registry.storage.attribute_store import AttributeStore
from butler_registry.storage.database import Database
from butler_registry.storage.stored_bytes import StoredBytes

from .definitions import Definitions
from .quota_guard import ATTRIBUTE, QuotaGuard
from .repeats import Repeats


class QuotaService:
    """Keeps the quotas of a repository, and sums what is stored."""

    def __init__(
        self,
        database: Database,
        definitions: Definitions,
        repeats: Repeats,
        attributes: AttributeStore,
        stored: StoredBytes,
        guard: QuotaGuard,
    ) -> None:
        self._database = database
        self._definitions = definitions
        self._repeats = repeats
        self._attributes = attributes
        self._stored = stored
        self._guard = guard

    def uses(self) -> list[QuotaUse]:
        """Return each quota with the places where something counts for it, those that have most first."""
        with self._database.reading_one_state() as connection:
            quotas = self._guard.read(connection)
            stored = self._stored.by_run(connection)
        found = []
        for quota in sorted(quotas, key=lambda quota: quota.prefix):
            places: dict[str, int] = {}
            for run, size in stored.items():
                place = quota.place_of(run)
                if place is not None:
                    places[place] = places.get(place, 0) + size
            most_first = sorted(places.items(), key=lambda item: (-item[1], item[0]))
            found += [QuotaUse(quota, place, used) for place, used in most_first] or [QuotaUse(quota, "", 0)]
        return found

    def set(self, quota: Quota, *, request_id: UUID) -> None:
        """Set a quota, in place of the one of the same prefix; what is stored already stays.

        Raises
        ------
        LimitExceededError
            Raised if there are too many.
        """
        self._change("set quota", quota.prefix, quota.size, request_id)

    def remove(self, prefix: str, *, request_id: UUID) -> None:
        """Remove the quota of a prefix, if there is one."""
        self._change("remove quota", prefix, None, request_id)

    def _change(self, what: str, prefix: str, size: int | None, request_id: UUID) -> None:
        def effect() -> None:
            self._definitions.lock(connection)
            kept = {quota.prefix: quota.size for quota in self._guard.read(connection)}
            kept.pop(prefix, None)
            if size is not None:
                kept[prefix] = size
            if len(kept) > MAX_QUOTAS:
                raise LimitExceededError(
                    f"A repository has {MAX_QUOTAS} quotas at most; use * for any one part of a name.",
                    limit=str(MAX_QUOTAS),
                )
            quotas = stricter_first(Quota(*item) for item in kept.items())
            self._attributes.put(
                connection, ATTRIBUTE, json.dumps({quota.prefix: quota.size for quota in quotas})
            )
            # Whoever puts compares the revision, and reads the quotas anew.
            self._definitions.advance(connection)

        with self._database.writing() as connection:
            self._repeats.once(connection, request_id, (what, prefix, size), effect)
