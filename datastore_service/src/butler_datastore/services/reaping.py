# SPDX-License-Identifier: BSD-3-Clause
"""Discarding what puts that did not come to their end may have written."""

from __future__ import annotations

__all__ = ["Reaping"]

import logging
import time
from uuid import UUID

from butler_datastore.stores.store import resumes
from butler_datastore.stores.threads import side_by_side
from butler_model.errors import ButlerError
from butler_model.failpoints import reach
from butler_model.ports import ArtifactLedger, IntendedPlace

from .opened_stores import OpenedStores

_LOGGER = logging.getLogger(__name__)

_CHUNK = 200
_CLAIM_SECONDS = 900
_LEASE_PART = 0.8
_THREADS = 8
_STALE_SECONDS = 86_400
"""How long what arrived of a broken upload is kept, so that it can go on."""


class Reaping:
    """Reaps the puts of one repository.

    Parameters
    ----------
    guard_seconds
        How long ago the lease of a put must have ended.
    """

    def __init__(
        self, repository: str, ledger: ArtifactLedger, stores: OpenedStores, guard_seconds: int
    ) -> None:
        self._repository = repository
        self._ledger = ledger
        self._stores = stores
        self._guard_seconds = guard_seconds

    def reap(self) -> int:
        """Discard and forget; return how many intents are gone. See `butler_model.ports.Housekeeping.reap`."""
        gone = 0
        while True:
            begun = time.monotonic()
            claimed = self._ledger.claim_intents(
                limit=_CHUNK, lease_seconds=_CLAIM_SECONDS, guard_seconds=self._guard_seconds
            )
            if not claimed:
                break
            reach("reap.before_discard")
            finished = self._discard(claimed, until=begun + _LEASE_PART * _CLAIM_SECONDS)
            reach("reap.after_discard_before_confirm")
            self._ledger.finish_intents(finished)
            gone += len(finished)
        self._sweep()
        return gone

    def _discard(self, claimed: list[IntendedPlace], *, until: float) -> list[UUID]:
        """Discard what may be there; return the intents for which that could be done in time."""

        def discard(intent: IntendedPlace) -> bool:
            if time.monotonic() >= until:
                return False
            try:
                for name, key in intent.places:
                    store = self._stores.get(name, self._repository, key)
                    store.delete(key)
                    if resumes(store):
                        store.discard_uploads(key)
            except (ButlerError, OSError) as error:
                # Its new lease ends, and it is claimed again.
                _LOGGER.warning("what the put of %s wrote stays for now: %s", intent.dataset_id, error)
                return False
            return True

        done = side_by_side(discard, claimed, _THREADS)
        return [intent.dataset_id for intent, succeeded in zip(claimed, done, strict=True) if succeeded]

    def _sweep(self) -> None:
        for name in self._stores.names:
            try:
                self._stores.get(name, self._repository, "").sweep(_STALE_SECONDS)
            except (ButlerError, OSError) as error:
                _LOGGER.warning("broken uploads stay for now in store %s: %s", name, error)
