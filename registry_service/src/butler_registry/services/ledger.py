# SPDX-License-Identifier: BSD-3-Clause
"""The ledger of artifacts for the datastore; implements `butler_model.ports.ArtifactLedger`.

Who claims, confirms or restores, and who begins a put that adopts, does so under one lock of the repository, so each
sees what the others have decided. A prune needs no lock: it makes references fewer, never more.
"""

from __future__ import annotations

__all__ = ["LedgerService"]

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from butler_model.artifact import DIRECT_STORE
from butler_model.errors import InvalidRequestError
from butler_model.failpoints import reach
from butler_model.ports import IntendedPlace, KnownArtifact
from butler_model.trash import PurgeClaim, PurgeFailure, PurgeTask, TrashSelection
from butler_registry.storage.aging import Aging
from butler_registry.storage.database import Connection, Database
from butler_registry.storage.intent_claims import IntentClaims
from butler_registry.storage.known_artifacts import KnownArtifactStore
from butler_registry.storage.ownership_lock import lock_ownership
from butler_registry.storage.purge_store import ClaimedRow, PurgeStore, RowKey, row_key
from butler_registry.storage.schema import TrashRowState

_MOST_CLAIMED = 10_000
_MOST_SECONDS = 86_400
_FIRST_RETRY_SECONDS = 60
_LAST_RETRY_SECONDS = 86_400
_ADOPTION_SECONDS = 60
"""When an artifact that a put is to adopt is looked at again."""
_SHORTEST_REQUEST_SECONDS = 86_400
_LONGEST_SECONDS = 100 * 366 * 86_400
_DELETED_THOUGH_LIVE = "It was deleted although a dataset has it again; check the store with fsck."


@dataclass(slots=True)
class _Outcome:
    """What becomes of the rows of a claim; those that are nowhere here were deleted."""

    kept: list[ClaimedRow] = field(default_factory=list)
    failed: dict[RowKey, str] = field(default_factory=dict)
    undecided: list[ClaimedRow] = field(default_factory=list)
    """Those that had another owner when they were claimed, and have none any more."""
    untried: dict[RowKey, str] = field(default_factory=dict)


class LedgerService:
    """The artifacts of one repository."""

    def __init__(
        self,
        database: Database,
        schema: str | None,
        purges: PurgeStore,
        intents: IntentClaims,
        artifacts: KnownArtifactStore,
        aging: Aging,
    ) -> None:
        self._database = database
        self._schema = schema
        self._purges = purges
        self._intents = intents
        self._artifacts = artifacts
        self._aging = aging

    def count_due(self, selection: TrashSelection) -> int:
        with self._database.reading() as connection:
            return self._purges.count_due(connection, selection)

    def claim_trash(
        self, selection: TrashSelection, *, claim_id: UUID, limit: int, lease_seconds: int
    ) -> PurgeClaim:
        _check_claim(limit, lease_seconds)
        with self._database.writing() as connection:
            lock_ownership(connection, self._schema)
            # Before anything else: a put that is committed after this is seen here, one before as a dataset.
            adopted = self._intents.adopted_places(connection)
            rows = self._purges.claimed(connection, claim_id)
            if not rows:
                self._purges.claim(connection, selection, claim_id, limit=limit, lease_seconds=lease_seconds)
                rows = self._purges.claimed(connection, claim_id)
                if any(row.attempts > 1 for row in rows.values()):
                    reach("empty_trash.second_worker_takes_over")
            tasks = []
            for row in rows.values():
                owned = row.is_live or row.elsewhere or row.place in adopted
                deletes = not owned and row.place[0] != DIRECT_STORE
                if deletes:
                    adopted.add(row.place)  # one of the claim is enough
                dataset_id, component, store = row.row_key
                tasks.append(PurgeTask(dataset_id, component, store, row.key, row.size, deletes))
        return PurgeClaim(claim_id, tuple(tasks))

    def confirm_purge(
        self, claim_id: UUID, done: Sequence[PurgeTask], failed: Sequence[PurgeFailure]
    ) -> None:
        with self._database.writing() as connection:
            lock_ownership(connection, self._schema)
            adopted = self._intents.adopted_places(connection)
            rows = self._purges.claimed(connection, claim_id)
            outcome = _decide(rows, done, failed)
            reach("empty_trash.in_confirm_after_shared_check")
            self._put_back(connection, claim_id, rows, outcome, adopted)
            self._purges.delete(connection, claim_id, outcome.kept)
            self._purges.delete_rest(connection, claim_id)
            reach("empty_trash.in_confirm_after_rows")
            reach("empty_trash.before_commit")
        reach("empty_trash.after_commit")

    def _put_back(
        self,
        connection: Connection,
        claim_id: UUID,
        rows: Mapping[RowKey, ClaimedRow],
        outcome: _Outcome,
        adopted: set[tuple[str, str]],
    ) -> None:
        failed = [rows[key] for key in outcome.failed]
        self._purges.put_back(
            connection,
            claim_id,
            failed,
            TrashRowState.FAILED,
            delays={row.row_key: _retry_seconds(row.attempts) for row in failed},
            errors=outcome.failed,
        )
        self._purges.put_back(
            connection,
            claim_id,
            [rows[key] for key in outcome.untried],
            TrashRowState.FAILED,
            delays={},
            errors=outcome.untried,
        )
        waiting = {row.row_key: _ADOPTION_SECONDS for row in outcome.undecided if row.place in adopted}
        self._purges.put_back(
            connection, claim_id, outcome.undecided, TrashRowState.TRASHED, delays=waiting, errors={}
        )

    def claim_intents(self, *, limit: int, lease_seconds: int, guard_seconds: int) -> list[IntendedPlace]:
        _check_claim(limit, lease_seconds)
        if not 0 <= guard_seconds <= _MOST_SECONDS:
            raise InvalidRequestError(f"A guard lasts 0 to {_MOST_SECONDS} seconds, not {guard_seconds}.")
        with self._database.writing() as connection:
            lock_ownership(connection, self._schema)
            claimed = self._intents.claim(
                connection, limit=limit, lease_seconds=lease_seconds, guard_seconds=guard_seconds
            )
        return [IntendedPlace(dataset_id, tuple(places)) for dataset_id, places in claimed.items()]

    def finish_intents(self, dataset_ids: Sequence[UUID]) -> None:
        with self._database.writing() as connection:
            lock_ownership(connection, self._schema)
            self._intents.finish(connection, dataset_ids)

    def known(self, store: str, *, after: str = "", limit: int = 10_000) -> list[KnownArtifact]:
        if not 1 <= limit <= _MOST_CLAIMED:
            raise InvalidRequestError(f"A limit is 1 to {_MOST_CLAIMED} artifacts, not {limit}.")
        with self._database.reading() as connection:
            return self._artifacts.page(connection, store, after, limit)

    def age_out(self, *, request_seconds: int, log_seconds: int) -> Mapping[str, int]:
        if (
            not _SHORTEST_REQUEST_SECONDS <= request_seconds <= _LONGEST_SECONDS
            or not 0 <= log_seconds <= _LONGEST_SECONDS
        ):
            raise InvalidRequestError(
                f"Answers to requests are kept for at least {_SHORTEST_REQUEST_SECONDS} seconds, logs for 0 or more, "
                f"and both for 100 years at most; {request_seconds} and {log_seconds} were given."
            )
        with self._database.writing() as connection:
            return self._aging.delete(connection, request_seconds=request_seconds, log_seconds=log_seconds)


def _decide(
    rows: Mapping[RowKey, ClaimedRow], done: Sequence[PurgeTask], failed: Sequence[PurgeFailure]
) -> _Outcome:
    """Decide about the rows that the claim still has; all others are ignored."""
    outcome = _Outcome()
    outcome.failed = {row_key(f.task): f.error for f in failed if row_key(f.task) in rows}
    tried = {row_key(task) for task in (*done, *(failure.task for failure in failed))}
    outcome.untried = dict.fromkeys(rows.keys() - tried, "The claim ended before its deletion was tried.")
    held = {
        row_key(task): task for task in done if row_key(task) in rows and row_key(task) not in outcome.failed
    }
    leaving = Counter(rows[key].place for key in held)
    deleted = {rows[key].place for key, task in held.items() if task.deletes}
    for key, task in held.items():
        row = rows[key]
        others = row.is_live or row.in_trash > leaving[row.place]
        if task.deletes:
            if row.is_live:
                outcome.failed[key] = _DELETED_THOUGH_LIVE
        elif others or row.place in deleted or row.place[0] == DIRECT_STORE:
            outcome.kept.append(row)
        else:
            outcome.undecided.append(row)
    return outcome


def _retry_seconds(attempts: int) -> int:
    doubled = _FIRST_RETRY_SECONDS << min(attempts - 1, 20)
    return min(doubled, _LAST_RETRY_SECONDS)


def _check_claim(limit: int, lease_seconds: int) -> None:
    if not 1 <= limit <= _MOST_CLAIMED or not 1 <= lease_seconds <= _MOST_SECONDS:
        raise InvalidRequestError(
            f"A claim is for 1 to {_MOST_CLAIMED} rows and 1 to {_MOST_SECONDS} seconds, not for {limit} and "
            f"{lease_seconds}."
        )
