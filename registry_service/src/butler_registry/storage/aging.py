# SPDX-License-Identifier: BSD-3-Clause
"""What is kept for a time only."""

from __future__ import annotations

__all__ = ["Aging"]

from collections.abc import Mapping

from sqlalchemy import Connection, select

from .column_types import database_time
from .database import execute_many
from .schema import StaticTables

_NSEC_PER_SECOND = 10**9


class Aging:
    """Deletes the rows that nobody asks for any more."""

    def __init__(self, tables: StaticTables) -> None:
        self._tables = tables

    def delete(self, connection: Connection, *, request_seconds: int, log_seconds: int) -> Mapping[str, int]:
        """Delete requests, the log of deletions and events of that age; return how many rows of each table."""
        seconds = {
            self._tables.request_log: request_seconds,
            self._tables.deletion_log: log_seconds,
            self._tables.outbox: log_seconds,
        }
        now = select(database_time()).scalar_subquery()
        return {
            table.name: execute_many(
                connection, table.delete().where(table.c.time_nsec < now - age * _NSEC_PER_SECOND), [{}]
            )
            for table, age in seconds.items()
        }
