# SPDX-License-Identifier: BSD-3-Clause
"""The outbox: what appeared and what was removed."""

from __future__ import annotations

__all__ = ["OutboxStore", "current_transaction"]

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Connection, func, literal
from sqlalchemy import cast as sql_cast
from sqlalchemy.types import Text

from .column_types import database_time
from .schema import EventKind, StaticTables

_DATASETS_PER_ROW = 5_000


def current_transaction(*, is_postgresql: bool) -> ColumnElement[int]:
    """Return the number of the transaction that writes an event; 0 on SQLite, which has one writer."""
    if not is_postgresql:
        return literal(0, BigInteger())
    return sql_cast(sql_cast(func.pg_current_xact_id(), Text()), BigInteger())


class OutboxStore:
    """Events."""

    def __init__(self, tables: StaticTables) -> None:
        self._table = tables.outbox

    def append(
        self,
        connection: Connection,
        kind: EventKind,
        dataset_type: str,
        run: str,
        dataset_ids: Sequence[UUID],
    ) -> None:
        """Write what happened to datasets of one type and run, in the transaction that does it."""
        statement = self._table.insert().values(
            transaction_id=current_transaction(is_postgresql=connection.dialect.name == "postgresql"),
            time_nsec=database_time(),
        )
        for start in range(0, len(dataset_ids), _DATASETS_PER_ROW):
            some = dataset_ids[start : start + _DATASETS_PER_ROW]
            values: dict[str, Any] = {
                "kind": int(kind),
                "dataset_type": dataset_type,
                "run": run,
                "dataset_ids": b"".join(dataset_id.bytes for dataset_id in some),
            }
            connection.execute(statement, values)
