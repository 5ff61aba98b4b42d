# SPDX-License-Identifier: BSD-3-Clause
"""Rows of collections."""

from __future__ import annotations

__all__ = ["CollectionRow", "CollectionStore"]

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, select
from sqlalchemy.dialects import postgresql, sqlite

from butler_model.collection import Collection, CollectionType
from butler_model.text import unfit_text

from .chain_store import ChainStore
from .near_names import near_names
from .schema import StaticTables


@dataclass(frozen=True, slots=True)
class CollectionRow:
    """A collection and the integer that stands for it in other tables."""

    id: int
    collection: Collection

    @property
    def is_calibration(self) -> bool:
        """Whether datasets are in it for ranges of time."""
        return self.collection.type is CollectionType.CALIBRATION


class CollectionStore:
    """Collections by name."""

    def __init__(self, tables: StaticTables) -> None:
        self._table = tables.collection
        self.chains = ChainStore(tables)

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

    def insert_or_get(self, connection: Connection, collection: Collection) -> CollectionRow | None:
        """Insert a collection unless there is one of that name, which is returned then."""
        while not self.insert(connection, collection):
            found = self.by_name(connection, [collection.name])
            if found:
                return found[collection.name]
            # It was removed between the two statements.
        return None

    def by_name(self, connection: Connection, names: Sequence[str]) -> dict[str, CollectionRow]:
        """Return those of the named collections that exist."""
        possible = [name for name in names if not unfit_text(name)]
        rows = connection.execute(self._select().where(self._table.c.name.in_(possible)))
        return {row.collection.name: row for row in self._rows(connection, rows)}

    def by_id(self, connection: Connection, ids: Sequence[int]) -> dict[int, CollectionRow]:
        """Return those of the collections that exist."""
        rows = connection.execute(self._select().where(self._table.c.id.in_(ids)))
        return {row.id: row for row in self._rows(connection, rows)}

    def near(self, connection: Connection, name: str) -> list[str]:
        """Return names that may have been meant by one that does not exist."""
        return near_names(connection, self._table.c.name, name)

    def all(self, connection: Connection) -> list[Collection]:
        """Return all collections by name."""
        rows = connection.execute(self._select().order_by(self._table.c.name))
        return [row.collection for row in self._rows(connection, rows)]

    def lock(self, connection: Connection, collection_id: int) -> None:
        """Wait until nobody else holds this collection's row, and keep it until the transaction ends.

        Whoever puts into the collection is not kept waiting.
        """
        query = select(self._table.c.id).where(self._table.c.id == collection_id)
        connection.execute(query.with_for_update(key_share=True)).all()

    def lock_for_removal(self, connection: Connection, collection_id: int) -> None:
        """Wait until nobody puts into this collection, and keep everybody from it until the transaction ends."""
        query = select(self._table.c.id).where(self._table.c.id == collection_id)
        connection.execute(query.with_for_update()).all()

    def set_doc(self, connection: Connection, collection_id: int, doc: str) -> None:
        """Set the description of a collection."""
        connection.execute(self._table.update().where(self._table.c.id == collection_id).values(doc=doc))

    def delete(self, connection: Connection, collection_id: int) -> None:
        """Delete a collection that has no datasets of its own and is in no chain; its memberships go with it."""
        connection.execute(self._table.delete().where(self._table.c.id == collection_id))

    def _rows(self, connection: Connection, rows: Iterable[Row[Any]]) -> list[CollectionRow]:
        found = list(rows)
        chained = [row.id for row in found if row.type == CollectionType.CHAINED]
        children = self.chains.children(connection, chained)
        return [
            CollectionRow(
                row.id, Collection(row.name, CollectionType(row.type), row.doc, children.get(row.id, ()))
            )
            for row in found
        ]

    def _select(self) -> Select[Any]:
        return select(self._table.c.id, self._table.c.name, self._table.c.type, self._table.c.doc)
