# SPDX-License-Identifier: BSD-3-Clause
"""Rows of collections."""

from __future__ import annotations

__all__ = ["CollectionRow", "CollectionStore"]

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, select
from sqlalchemy.dialects import postgresql, sqlite

from butler_model.collection import Collection, CollectionType
from butler_model.text import unfit_text

from .schema import StaticTables


@dataclass(frozen=True, slots=True)
class CollectionRow:
    """A collection and the integer that stands for it in other tables."""

    id: int
    collection: Collection


class CollectionStore:
    """Collections by name."""

    def __init__(self, tables: StaticTables) -> None:
        self._table = tables.collection

    def insert(self, connection: Connection, collection: Collection) -> bool:
        """Insert a collection unless there is one of that name; return whether it is new."""
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        statement = (
            dialect.insert(self._table)
            .values(name=collection.name, type=int(collection.type), doc=collection.doc)
            .on_conflict_do_nothing(index_elements=["name"])
            .returning(self._table.c.id)
        )
        return connection.execute(statement).first() is not None

    def by_name(self, connection: Connection, names: Sequence[str]) -> dict[str, CollectionRow]:
        """Return those of the named collections that exist."""
        possible = [name for name in names if not unfit_text(name)]
        rows = connection.execute(self._select().where(self._table.c.name.in_(possible)))
        return {row.name: _row(row) for row in rows}

    def by_id(self, connection: Connection, ids: Sequence[int]) -> dict[int, CollectionRow]:
        """Return those of the collections that exist."""
        rows = connection.execute(self._select().where(self._table.c.id.in_(ids)))
        return {row.id: _row(row) for row in rows}

    def all(self, connection: Connection) -> list[Collection]:
        """Return all collections by name."""
        return [
            _row(row).collection for row in connection.execute(self._select().order_by(self._table.c.name))
        ]

    def _select(self) -> Select[Any]:
        return select(self._table.c.id, self._table.c.name, self._table.c.type, self._table.c.doc)


def _row(row: Row[Any]) -> CollectionRow:
    return CollectionRow(row.id, Collection(row.name, CollectionType(row.type), row.doc))
