# SPDX-License-Identifier: BSD-3-Clause
"""Claims of the trash, and what becomes of them."""

from __future__ import annotations

__all__ = ["ClaimedRow", "PurgeStore", "RowKey", "row_key"]

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Connection, bindparam, exists, func, literal, select, tuple_

from butler_model.trash import PurgeTask, TrashSelection

from .column_types import database_time
from .database import execute_many
from .schema import DeletionReason, StaticTables, TrashRowState
from .trash_store import RowKey, selected

_NSEC_PER_SECOND = 10**9
_MOST_ERROR_CHARACTERS = 1_000


@dataclass(frozen=True, slots=True)
class ClaimedRow:
    """An artifact in the trash that a claim has, and who else has it.

    Attributes
    ----------
    is_live
        A dataset has it.
    in_trash
        How many rows of the trash have it, those of the claim among them.
    elsewhere
        Whether a row has it that is not of the claim.
    """

    row_key: RowKey
    key: str
    size: int
    trashed_by: str
    attempts: int
    is_live: bool
    in_trash: int
    elsewhere: bool

    @property
    def place(self) -> tuple[str, str]:
        """Store and key."""
        return self.row_key[2], self.key


class PurgeStore:
    """The rows of the trash, as those see them who delete what they stand for."""

    def __init__(self, tables: StaticTables) -> None:
        self._trash = trash = tables.artifact_trash
        self._log = tables.deletion_log
        records, other = tables.artifact_record, trash.alias("other")
        same = (other.c.store == trash.c.store, other.c.key == trash.c.key)
        claim = bindparam("claim", type_=trash.c.claim_id.type)
        live = exists().where(records.c.store == trash.c.store, records.c.key == trash.c.key)
        # All in one statement, so that what moves to the trash meanwhile is seen here or there. No row is locked: what
        # was claimed is changed under the lock of owners only.
        self._select = (
            select(
                trash.c.dataset_id,
                trash.c.component,
                trash.c.store,
                trash.c.key,
                trash.c.size,
                trash.c.trashed_by,
                trash.c.attempts,
                live.label("is_live"),
                select(func.count())
                .select_from(other)
                .where(*same, other.c.claim_id.is_distinct_from(claim))
                .scalar_subquery()
                .label("others"),
            )
            .where(trash.c.claim_id == claim)
            .order_by(trash.c.dataset_id, trash.c.component, trash.c.store)
        )
        row = tuple(
            trash.c[name] == bindparam(f"row_{name}") for name in ("dataset_id", "component", "store")
        )
        self._delete = trash.delete().where(*row, trash.c.claim_id == claim)
        self._put_back = (
            trash.update()
            .where(*row, trash.c.claim_id == claim)
            .values(
                state=bindparam("new_state"),
                claim_id=None,
                due_nsec=database_time() + bindparam("delay_nsec", type_=BigInteger),
                last_error=bindparam("new_error"),
            )
        )

    def count_due(self, connection: Connection, selection: TrashSelection) -> int:
        """Return how many rows could be claimed."""
        query = select(func.count()).select_from(self._trash).where(*self._due(connection, selection))
        return connection.execute(query).scalar_one()

    def claim(
        self,
        connection: Connection,
        selection: TrashSelection,
        claim_id: UUID,
        *,
        limit: int,
        lease_seconds: int,
    ) -> None:
        """Claim rows in the order in which they are due."""
        c = self._trash.c
        query = (
            select(c.dataset_id, c.component, c.store)
            .where(*self._due(connection, selection))
            # What was trashed together is due together; neighbours are deleted faster than what is far apart.
            .order_by(c.due_nsec, c.store, c.key, c.dataset_id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        chosen = query.cte("chosen")
        connection.execute(
            self._trash.update()
            .where(tuple_(c.dataset_id, c.component, c.store).in_(select(chosen)))
            .values(
                state=int(TrashRowState.PURGING),
                claim_id=claim_id,
                attempts=c.attempts + 1,
                due_nsec=database_time() + lease_seconds * _NSEC_PER_SECOND,
            )
        )

    def claimed(self, connection: Connection, claim_id: UUID) -> dict[RowKey, ClaimedRow]:
        """Return the rows of a claim; the caller has the lock of owners."""
        rows = connection.execute(self._select, {"claim": claim_id}).all()
        # Those of the claim itself are here already.
        own = Counter((row.store, row.key) for row in rows)
        found = {}
        for dataset_id, component, store, key, size, trashed_by, attempts, is_live, others in rows:
            row_key, in_trash = (dataset_id, component, store), own[store, key] + others
            found[row_key] = ClaimedRow(
                row_key, key, size, trashed_by, attempts, bool(is_live), in_trash, others > 0
            )
        return found

    def delete(self, connection: Connection, claim_id: UUID, rows: Sequence[ClaimedRow]) -> None:
        """Take rows out of the trash."""
        execute_many(connection, self._delete, [{**_row(*row.row_key), "claim": claim_id} for row in rows])

    def delete_rest(self, connection: Connection, claim_id: UUID) -> None:
        """Take all rows that a claim still has out of the trash, and note that their artifacts were deleted."""
        c = self._trash.c
        noted = {
            "time_nsec": database_time(),
            "reason": literal(int(DeletionReason.PURGED)),
            "dataset_id": c.dataset_id,
            "store": c.store,
            "key": c.key,
            "requested_by": c.trashed_by,
        }
        columns = [value.label(name) for name, value in noted.items()]
        deleted = select(*columns).where(c.claim_id == claim_id)
        connection.execute(self._log.insert().from_select(list(noted), deleted))
        connection.execute(self._trash.delete().where(c.claim_id == claim_id))

    def put_back(
        self,
        connection: Connection,
        claim_id: UUID,
        rows: Collection[ClaimedRow],
        state: TrashRowState,
        *,
        delays: Mapping[RowKey, int],
        errors: Mapping[RowKey, str],
    ) -> None:
        """End the claim of rows, which can be claimed again after a delay in seconds, each its own."""
        values = [
            {
                **_row(*row.row_key),
                "claim": claim_id,
                "new_state": int(state),
                "delay_nsec": delays.get(row.row_key, 0) * _NSEC_PER_SECOND,
                "new_error": errors.get(row.row_key, "")[:_MOST_ERROR_CHARACTERS] or None,
            }
            for row in rows
        ]
        execute_many(connection, self._put_back, values)

    def claimed_places(
        self, connection: Connection, places: Collection[tuple[str, str]]
    ) -> set[tuple[str, str]]:
        """Return which places, given as (store, key), may be deleted at any moment, or are already."""
        c = self._trash.c
        by_store: dict[str, list[str]] = {}
        for store, key in places:
            by_store.setdefault(store, []).append(key)
        begun = c.state != int(TrashRowState.TRASHED)
        found: set[tuple[str, str]] = set()
        for store, keys in by_store.items():
            query = select(c.key).where(c.store == store, c.key.in_(keys), begun)
            found |= {(store, key) for key in connection.execute(query).scalars()}
        return found

    def trashed_ids(self, connection: Connection, dataset_ids: Collection[UUID]) -> set[UUID]:
        """Return which datasets have an artifact in the trash."""
        c = self._trash.c
        query = select(c.dataset_id).where(c.dataset_id.in_(list(dataset_ids)))
        return set(connection.execute(query).scalars())

    def _due(self, connection: Connection, selection: TrashSelection) -> list[ColumnElement[bool]]:
        # A subquery is evaluated once, so that an index can be used.
        due = self._trash.c.due_nsec <= select(database_time()).scalar_subquery()
        return [due, *selected(self._trash, selection, connection)]


def _row(dataset_id: UUID, component: str, store: str) -> dict[str, Any]:
    return {"row_dataset_id": dataset_id, "row_component": component, "row_store": store}


def row_key(task: PurgeTask) -> RowKey:
    """Return the primary key of the row that a task is for."""
    return task.dataset_id, task.component, task.store
