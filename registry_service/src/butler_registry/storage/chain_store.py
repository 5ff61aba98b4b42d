# SPDX-License-Identifier: BSD-3-Clause
"""Members of chains."""

from __future__ import annotations

__all__ = ["ChainStore"]

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import Connection, select

from .schema import StaticTables


class ChainStore:
    """Which collections are in which chain, and in what order."""

    def __init__(self, tables: StaticTables) -> None:
        self._chain = tables.collection_chain
        self._collection = tables.collection

    def children(self, connection: Connection, parent_ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
        """Return the names of the members of each chain, in search order; nothing for those without."""
        if not parent_ids:
            return {}
        rows = connection.execute(
            select(self._chain.c.parent_id, self._collection.c.name)
            .join_from(self._chain, self._collection, self._chain.c.child_id == self._collection.c.id)
            .where(self._chain.c.parent_id.in_(parent_ids))
            .order_by(self._chain.c.parent_id, self._chain.c.position)
        )
        found: dict[int, list[str]] = defaultdict(list)
        for parent_id, name in rows:
            found[parent_id].append(name)
        return {parent_id: tuple(names) for parent_id, names in found.items()}

    def parents(self, connection: Connection, child_id: int) -> list[str]:
        """Return the names of the chains that a collection is in, ascending."""
        rows = connection.execute(
            select(self._collection.c.name)
            .join_from(self._chain, self._collection, self._chain.c.parent_id == self._collection.c.id)
            .where(self._chain.c.child_id == child_id)
            .order_by(self._collection.c.name)
        )
        return list(rows.scalars())

    def take_out(self, connection: Connection, child_id: int) -> None:
        """Take a collection out of every chain that it is in."""
        connection.execute(self._chain.delete().where(self._chain.c.child_id == child_id))

    def replace(self, connection: Connection, parent_id: int, child_ids: Sequence[int]) -> None:
        """Make these the members of a chain."""
        connection.execute(self._chain.delete().where(self._chain.c.parent_id == parent_id))
        rows = [
            {"parent_id": parent_id, "position": position, "child_id": child_id}
            for position, child_id in enumerate(child_ids)
        ]
        if rows:
            connection.execute(self._chain.insert(), rows)
