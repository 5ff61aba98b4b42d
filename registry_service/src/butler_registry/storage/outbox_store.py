# SPDX-License-Identifier: BSD-3-Clause
"""The outbox: what appeared and what was removed."""

from __future__ import annotations

__all__ = ["OutboxEvent", "OutboxStore", "current_transaction"]

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Connection, Table, func, literal, select, tuple_
from sqlalchemy import cast as sql_cast
from sqlalchemy.types import Text

from .bulk_insert import prepared_insert
from .column_types import database_time
from .schema import EventKind, StaticTables

_DATASETS_PER_ROW = 5_000

Position = tuple[int, int]
"""Transaction and id of an event; events come in this order."""


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """What happened to datasets of one type and run, and where it stands in the outbox."""

    position: Position
    kind: EventKind
    dataset_type: str
    run: str
    dataset_ids: tuple[UUID, ...]
    time_nsec: int


def current_transaction(*, is_postgresql: bool) -> ColumnElement[int]:
    """Return the number of the transaction that writes an event; 0 on SQLite, which has one writer."""
    if not is_postgresql:
        return literal(0, BigInteger())
    return sql_cast(sql_cast(func.pg_current_xact_id(), Text()), BigInteger())


class OutboxStore:
    """Events."""

    def __init__(self, tables: StaticTables) -> None:
        self._table = tables.outbox
        self._append = {
            name: prepared_insert(
                tables.outbox,
                {
                    "transaction_id": current_transaction(is_postgresql=name == "postgresql"),
                    "time_nsec": database_time(),
                },
                left_out="id",
            )
            for name in ("postgresql", "sqlite")
        }

    def append(
        self,
        connection: Connection,
        kind: EventKind,
        dataset_type: str,
        run: str,
        dataset_ids: Sequence[UUID],
    ) -> None:
        """Write what happened to datasets of one type and run, in the transaction that does it."""
        for start in range(0, len(dataset_ids), _DATASETS_PER_ROW):
            some = dataset_ids[start : start + _DATASETS_PER_ROW]
            values: dict[str, Any] = {
                "kind": int(kind),
                "dataset_type": dataset_type,
                "run": run,
                "dataset_ids": b"".join(dataset_id.bytes for dataset_id in some),
            }
            self._append[connection.dialect.name].count(connection, values)

    def newest(self, connection: Connection) -> Position:
        """Return the position of the newest event that `after` would give; (0, 0) if there is none."""
        table = self._table
        query = select(table.c.transaction_id, table.c.id).where(*_settled(table, connection))
        row = connection.execute(
            query.order_by(table.c.transaction_id.desc(), table.c.id.desc()).limit(1)
        ).first()
        return (0, 0) if row is None else (row.transaction_id, row.id)

    def after(self, connection: Connection, position: Position, events: int) -> list[OutboxEvent]:
        """Return the first events after a position, in order.

        On PostgreSQL only those of transactions older than every one still open: none can appear before them any more.
        """
        table = self._table
        query = (
            select(table)
            .where(tuple_(table.c.transaction_id, table.c.id) > position, *_settled(table, connection))
            .order_by(table.c.transaction_id, table.c.id)
            .limit(events)
        )
        return [
            OutboxEvent(
                (row.transaction_id, row.id),
                EventKind(row.kind),
                row.dataset_type,
                row.run,
                _unpacked(row.dataset_ids),
                row.time_nsec,
            )
            for row in connection.execute(query)
        ]


def _settled(table: Table, connection: Connection) -> list[ColumnElement[bool]]:
    if connection.dialect.name != "postgresql":
        return []
    oldest_open = func.pg_snapshot_xmin(func.pg_current_snapshot())
    return [table.c.transaction_id < sql_cast(sql_cast(oldest_open, Text()), BigInteger())]


def _unpacked(raw: bytes) -> tuple[UUID, ...]:
    return tuple(UUID(bytes=bytes(raw[i : i + 16])) for i in range(0, len(raw), 16))
