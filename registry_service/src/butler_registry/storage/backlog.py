# SPDX-License-Identifier: BSD-3-Clause
"""How much is left to be done in a repository: puts that are open, artifacts that are to be deleted."""

from __future__ import annotations

__all__ = ["Backlog", "BacklogStore"]

from dataclasses import dataclass

from sqlalchemy import Connection, case, func, literal, select, union_all

from .column_types import database_time
from .schema import StaticTables, TrashRowState

_NSEC_PER_SECOND = 10**9


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in a repository.

    Attributes
    ----------
    intents, expired_intents
        Puts that were begun and not finished, and those of them whose lease has ended.
    trash, failed_trash
        Artifacts in the trash, and those of them whose latest deletion failed.
    oldest_trash_seconds, oldest_expired_seconds
        Age of the oldest artifact in the trash, and since when the first lease has ended; 0 if there is none.
    """

    intents: int
    expired_intents: int
    trash: int
    failed_trash: int
    oldest_trash_seconds: float
    oldest_expired_seconds: float


class BacklogStore:
    """Counts in one statement, from indexes and the tables themselves: nothing is kept for it."""

    def __init__(self, tables: StaticTables) -> None:
        intent, trash, now = tables.put_intent, tables.artifact_trash, database_time()
        self._count = union_all(
            select(
                literal(0).label("kind"),
                func.count().label("all"),
                func.coalesce(func.sum(case((intent.c.lease_expires_nsec < now, 1), else_=0)), 0).label(
                    "some"
                ),
                (now - func.min(intent.c.lease_expires_nsec)).label("age"),
            ).select_from(intent),
            select(
                literal(1),
                func.count(),
                func.coalesce(func.sum(case((trash.c.state == TrashRowState.FAILED, 1), else_=0)), 0),
                now - func.min(trash.c.trashed_nsec),
            ).select_from(trash),
        )

    def read(self, connection: Connection) -> Backlog:
        """Return what waits now."""
        intents, trash = sorted(tuple(row) for row in connection.execute(self._count))
        return Backlog(
            intents=int(intents[1]),
            expired_intents=int(intents[2]),
            trash=int(trash[1]),
            failed_trash=int(trash[2]),
            oldest_trash_seconds=_seconds(trash[3]),
            oldest_expired_seconds=_seconds(intents[3]),
        )


def _seconds(nanoseconds: int | None) -> float:
    return max(int(nanoseconds or 0), 0) / _NSEC_PER_SECOND
