# SPDX-License-Identifier: BSD-3-Clause
"""All artifacts that a repository knows of, in the order in which stores list theirs."""

from __future__ import annotations

__all__ = ["KnownArtifactStore"]

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, literal, select, union_all

from butler_model.ports import KnownArtifact, Ownership

from .intent_claims import IntentClaims
from .schema import StaticTables


class KnownArtifactStore:
    """Live artifacts, those in the trash, and those that puts may write."""

    def __init__(self, tables: StaticTables, intents: IntentClaims) -> None:
        self._owned = ((tables.artifact_record, Ownership.LIVE), (tables.artifact_trash, Ownership.TRASHED))
        self._intents = intents

    def page(self, connection: Connection, store: str, after: str, limit: int) -> list[KnownArtifact]:
        """Return artifacts by key, about ``limit`` of them: all of one key come together."""
        # Intents first: what is committed meanwhile is then seen twice, not never.
        intended = self._intents.intended(connection, store, after)
        rows = self._rows(connection, store, lambda table: table.c.key > after, limit + 1)
        last: str | None = None
        if len(rows) > limit:
            cut = rows[-1].key
            whole = [row for row in rows if row.key != cut]
            rows = whole or self._rows(connection, store, lambda table: table.c.key == cut, None)
            last = rows[-1].key
        found = [
            KnownArtifact(r.key, Ownership(r.ownership), r.dataset_id, r.component, r.size, r.checksum)
            for r in rows
        ]
        found += [
            KnownArtifact(key, Ownership.INTENDED, dataset_id, component, 0, "", members)
            for key, dataset_id, component, members in intended
            if last is None or key <= last
        ]
        return sorted(found, key=lambda artifact: artifact.key)

    def _rows(
        self,
        connection: Connection,
        store: str,
        condition: Any,
        limit: int | None,
    ) -> list[Row[Any]]:
        parts: list[Select[Any]] = []
        for table, ownership in self._owned:
            part = _columns(table, ownership).where(table.c.store == store, condition(table))
            if limit is not None:
                part = part.order_by(table.c.key).limit(limit)
            # Each part has its own limit, so that an index gives it; only a subquery may have one on SQLite.
            parts.append(select(part.subquery()))
        both = union_all(*parts).subquery()
        query = select(both).order_by(both.c.key)
        return list(connection.execute(query if limit is None else query.limit(limit)))


def _columns(table: Table, ownership: Ownership) -> Select[Any]:
    told: ColumnElement[str] = literal(ownership.value)
    c = table.c
    return select(c.key, told.label("ownership"), c.dataset_id, c.component, c.size, c.checksum)
