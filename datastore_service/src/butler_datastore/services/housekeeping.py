# SPDX-License-Identifier: BSD-3-Clause
"""What the datastore does besides answering for single artifacts; implements `butler_model.ports.Housekeeping`."""

from __future__ import annotations

__all__ = ["GUARD_SECONDS", "HousekeepingService"]

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from types import MappingProxyType

from butler_model.errors import ButlerError, ServiceUnavailableError, UnsupportedOperationError
from butler_model.ports import ArtifactLedger, InspectionProgress, Ledgers
from butler_model.trash import PurgeProgress, TrashSelection

from .fsck import StoreInspection
from .housekeeping_totals import HousekeepingTotals, Inspected
from .neighbours import Neighbours, Place
from .opened_stores import OpenedStores
from .purging import TrashPurging
from .reaping import Reaping
from .store_health import StoreHealth

GUARD_SECONDS = 3_600
"""How long after its end a put is left alone, and how long what nobody knows of."""


class HousekeepingService:
    """The housekeeping of all repositories. Safe to use from many threads.

    Attributes
    ----------
    health, totals
        Which stores are left alone, and what was done so far.

    Parameters
    ----------
    ledgers
        What the registry knows; `None` if this datastore was not told where the registry is, and keeps no house.
    guard_seconds
        See `GUARD_SECONDS`. Clocks and writes that are still on their way must differ by less.
    reserved
        Keys that are no artifacts, but files of the repository itself.
    places
        Where each store is, as `Neighbours` takes it.
    """

    def __init__(
        self,
        ledgers: Ledgers | None,
        stores: OpenedStores,
        *,
        guard_seconds: int = GUARD_SECONDS,
        reserved: Collection[str] = (),
        places: Mapping[str, Callable[[str], Sequence[Place]]] = MappingProxyType({}),
    ) -> None:
        self._ledgers = ledgers
        self._neighbours = None if ledgers is None else Neighbours(ledgers, places)
        self._stores = stores
        self._guard_seconds = guard_seconds
        self._reserved = reserved
        self.health = StoreHealth()
        self.totals = HousekeepingTotals()

    def empty_trash(
        self, repository: str, selection: TrashSelection, *, dry_run: bool = False
    ) -> Iterator[PurgeProgress]:
        """Delete what is in the trash and due; yield the progress.

        Raises
        ------
        ServiceUnavailableError
            Raised if the registry cannot be reached or cannot write; then nothing is deleted.
        UnsupportedOperationError
            Raised if this datastore does not know the registry.
        """
        purging = TrashPurging(repository, self._ledger(repository), self._stores, self.health)
        return self._counted(repository, purging.empty(selection, dry_run=dry_run))

    def reap(self, repository: str) -> int:
        """Discard what puts that did not come to their end may have written; raises as `empty_trash` does."""
        gone = Reaping(repository, self._ledger(repository), self._stores, self._guard_seconds).reap()
        self.totals.note_reaped(repository, gone)
        return gone

    def fsck(
        self, repository: str, *, checksums: bool = False, repair: bool = False
    ) -> Iterator[InspectionProgress]:
        """Compare what the registry knows with what the stores hold; yield what is found.

        A store that is not there is told at the end, when all others were inspected.

        Raises
        ------
        ServiceUnavailableError, ConfigurationError
            Raised if the registry or a store cannot be reached.
        UnsupportedOperationError
            Raised if this datastore does not know the registry.
        """
        ledger = self._ledger(repository)
        inspected = size = 0
        found = Inspected()
        missing: list[ButlerError] = []
        for name in self._stores.names:
            store = self._stores.get(name, repository, "")
            try:
                with _reported(name):
                    store.presence.check()
            except ButlerError as error:
                missing.append(error)
                continue
            inspection = StoreInspection(
                name,
                store,
                ledger,
                guard_seconds=self._guard_seconds,
                reserved=self._reserved,
                of_others=partial(self._of_others, name, repository),
            )
            progress = InspectionProgress(0, 0, None)
            with _reported(name):
                for progress in inspection.inspect(checksums=checksums, repair=repair):
                    found.note(progress)
                    yield InspectionProgress(
                        inspected + progress.inspected, size + progress.size, None, progress.findings
                    )
            inspected, size = inspected + progress.inspected, size + progress.size
        if missing:
            raise missing[0]
        self.totals.note_inspected(repository, found)
        yield InspectionProgress(inspected, size, inspected)

    def _of_others(self, store: str, repository: str) -> Iterator[str]:
        return iter(()) if self._neighbours is None else self._neighbours.keys(store, repository)

    def _counted(self, repository: str, steps: Iterator[PurgeProgress]) -> Iterator[PurgeProgress]:
        """Yield the steps, and note what they led to, however they end."""
        progress = PurgeProgress()
        try:
            with closing(steps):  # type: ignore[type-var] # a generator
                for progress in steps:
                    yield progress
        finally:
            self.totals.note_purge(repository, progress)

    def _ledger(self, repository: str) -> ArtifactLedger:
        if self._ledgers is None:
            raise UnsupportedOperationError(
                "This datastore was not told where the registry is, so it keeps no house; set registry in its settings."
            )
        return self._ledgers.ledger(repository)


@contextmanager
def _reported(store: str) -> Iterator[None]:
    try:
        yield
    except ButlerError:
        raise
    except OSError as error:
        raise ServiceUnavailableError(
            f"Store {store!r} cannot be inspected: {error}; look at its disk.", store=store
        ) from error
