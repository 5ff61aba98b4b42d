# SPDX-License-Identifier: BSD-3-Clause
"""The second phase of deletion: what is in the trash is claimed, deleted, and confirmed.

The registry decides what is deleted. Nothing is deleted that it did not give out under a claim, nor once the lease of
the claim has ended; what was deleted but not confirmed is claimed once more, and then found to be gone.
"""

from __future__ import annotations

__all__ = ["TrashPurging"]

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID, uuid4

from butler_datastore.stores.store import Store
from butler_model.errors import ButlerError
from butler_model.failpoints import reach
from butler_model.ports import ArtifactLedger
from butler_model.trash import PurgeFailure, PurgeProgress, PurgeTask, TrashSelection

from .opened_stores import OpenedStores
from .store_health import StoreHealth

_LOGGER = logging.getLogger(__name__)

CLAIM_SECONDS = 900
"""How long a claim lasts; a chunk takes seconds."""
_CHUNK = 1_000
_BATCH = 250
"""So many are deleted before the lease is looked at again."""
_LEASE_PART = 0.8
_MOST_ERROR_CHARACTERS = 300


@dataclass(slots=True)
class _Chunk:
    """What became of the tasks of one claim; those that are in neither list were not tried in time."""

    done: list[PurgeTask] = field(default_factory=list)
    failed: list[PurgeFailure] = field(default_factory=list)
    stopped: bool = False


class TrashPurging:
    """Empties the trash of one repository.

    Parameters
    ----------
    ledger
        What the registry knows.
    lease_seconds
        How long a claim lasts.
    """

    def __init__(
        self,
        repository: str,
        ledger: ArtifactLedger,
        stores: OpenedStores,
        health: StoreHealth,
        *,
        lease_seconds: int = CLAIM_SECONDS,
    ) -> None:
        self._repository = repository
        self._ledger = ledger
        self._stores = stores
        self._health = health
        self._lease_seconds = lease_seconds

    def empty(self, selection: TrashSelection, *, dry_run: bool) -> Iterator[PurgeProgress]:
        """Delete what is selected and due; see `butler_model.ports.Housekeeping.empty_trash`."""
        progress = PurgeProgress(remaining=self._ledger.count_due(selection))
        yield progress
        failed: set[tuple[UUID, str, str]] = set()
        while not dry_run:
            chosen = self._reachable(selection)
            if chosen is None:
                return
            reach("empty_trash.before_claim")
            begun = time.monotonic()
            claim = self._ledger.claim_trash(
                chosen, claim_id=uuid4(), limit=_CHUNK, lease_seconds=self._lease_seconds
            )
            reach("empty_trash.after_claim_commit")
            if not claim.tasks:
                return
            chunk = self._work(claim.tasks, until=begun + _LEASE_PART * self._lease_seconds)
            reach("empty_trash.after_last_delete_before_confirm_txn")
            self._ledger.confirm_purge(claim.claim_id, chunk.done, chunk.failed)
            for failure in chunk.failed:
                failed.add((failure.task.dataset_id, failure.task.component, failure.task.store))
                _LOGGER.warning(
                    "%s of store %s was not deleted: %s", failure.task.key, failure.task.store, failure.error
                )
            progress = _after(progress, chunk, len(failed))
            yield progress
            if chunk.stopped or _is_last(claim.tasks, progress):
                return

    def _reachable(self, selection: TrashSelection) -> TrashSelection | None:
        """Return the selection without the stores that are left alone; `None` if that leaves nothing."""
        wanted = selection.stores or self._stores.names
        resting = [store for store in wanted if self._health.rests(self._repository, store)]
        if not resting:
            return selection
        left = tuple(store for store in wanted if store not in resting)
        return replace(selection, stores=left) if left else None

    def _work(self, tasks: Sequence[PurgeTask], *, until: float) -> _Chunk:
        chunk = _Chunk(done=[task for task in tasks if not task.deletes])
        by_store: dict[str, list[PurgeTask]] = {}
        for task in sorted(tasks, key=lambda task: task.key):
            if task.deletes:
                by_store.setdefault(task.store, []).append(task)
        if by_store:
            reach("empty_trash.before_first_delete")
        for name, some in by_store.items():
            self._delete_all(name, some, chunk, until)
        return chunk

    def _delete_all(self, name: str, tasks: Sequence[PurgeTask], chunk: _Chunk, until: float) -> None:
        try:
            store = self._stores.get(name, self._repository, tasks[0].key)
        except ButlerError as error:
            self._note(chunk, tasks, dict.fromkeys((task.key for task in tasks), error))
            return
        size = _BATCH * store.capabilities.concurrency
        for start in range(0, len(tasks), size):
            some = tasks[start : start + size]
            reach("empty_trash.lease_expired_while_deleting")
            if time.monotonic() >= until:
                # Another worker may have them already; what was deleted is confirmed, if it is still this claim's.
                chunk.stopped = True
                return
            if self._health.rests(self._repository, name):
                why = f"Store {name!r} is left alone for a while, since nothing could be deleted from it."
                chunk.failed += [PurgeFailure(task, why) for task in some]
                continue
            self._note(chunk, some, _delete(store, [task.key for task in some]))
            reach("empty_trash.after_k_deletes")

    def _note(self, chunk: _Chunk, tasks: Iterable[PurgeTask], failed: dict[str, Exception]) -> None:
        for task in tasks:
            error = failed.get(task.key)
            self._health.note(self._repository, task.store, succeeded=error is None)
            if error is None:
                chunk.done.append(task)
            else:
                chunk.failed.append(PurgeFailure(task, f"{error}"[:_MOST_ERROR_CHARACTERS]))


def _is_last(tasks: Sequence[PurgeTask], progress: PurgeProgress) -> bool:
    """Return whether there is nothing more to claim.

    So it is if the claim was not full, or had the last of those that were due in the beginning; but what another owner
    kept may have none any more.
    """
    return all(task.deletes for task in tasks) and (len(tasks) < _CHUNK or not progress.remaining)


def _delete(store: Store, keys: Sequence[str]) -> dict[str, Exception]:
    """Remove artifacts; return those that could not be removed, and why."""
    try:
        reach("empty_trash.delete_error_permission")
        reach("empty_trash.delete_error_503")
        failed = store.delete_many(keys)
        reach("empty_trash.delete_error_timeout_but_deleted")
    except (ButlerError, OSError) as error:
        return dict.fromkeys(keys, error)
    return failed


def _after(progress: PurgeProgress, chunk: _Chunk, failed: int) -> PurgeProgress:
    deleted = [task for task in chunk.done if task.deletes]
    tried = len(chunk.done) + len(chunk.failed)
    return PurgeProgress(
        deleted=progress.deleted + len(deleted),
        kept=progress.kept + len(chunk.done) - len(deleted),
        failed=failed,
        size=progress.size + sum(task.size for task in deleted),
        remaining=max(0, progress.remaining - tried),
        last_error=chunk.failed[-1].error if chunk.failed else progress.last_error,
    )
