# SPDX-License-Identifier: BSD-3-Clause
"""What the datastore does besides answering for single artifacts; implements `butler_model.ports.Housekeeping`."""

from __future__ import annotations

__all__ = ["HousekeepingService"]

from collections.abc import Iterator

from butler_model.errors import UnsupportedOperationError
from butler_model.ports import ArtifactLedger, Ledgers
from butler_model.trash import PurgeProgress, TrashSelection

from .opened_stores import OpenedStores
from .purging import TrashPurging
from .store_health import StoreHealth


class HousekeepingService:
    """The housekeeping of all repositories. Safe to use from many threads.

    Parameters
    ----------
    ledgers
        What the registry knows; `None` if this datastore was not told where the registry is, and keeps no house.
    """

    def __init__(self, ledgers: Ledgers | None, stores: OpenedStores) -> None:
        self._ledgers = ledgers
        self._stores = stores
        self._health = StoreHealth()

    def empty_trash(
        self, repository: str, selection: TrashSelection, *, dry_run: bool = False
    ) -> Iterator[PurgeProgress]:
        purging = TrashPurging(repository, self._ledger(repository), self._stores, self._health)
        return purging.empty(selection, dry_run=dry_run)

    def _ledger(self, repository: str) -> ArtifactLedger:
        if self._ledgers is None:
            raise UnsupportedOperationError(
                "This datastore was not told where the registry is, so it keeps no house; set registry in its settings."
            )
        return self._ledgers.ledger(repository)
