# SPDX-License-Identifier: BSD-3-Clause
"""Facts about the repository itself, and the counter of changes of its definitions."""

from __future__ import annotations

__all__ = ["AttributeStore"]

from sqlalchemy import Connection, inspect, select, text

from .prepared import PreparedStatement
from .schema import StaticTables

_ONLY_ROW = 1


class AttributeStore:
    """Named texts, and the revision."""

    def __init__(self, tables: StaticTables) -> None:
        self._tables = tables
        read = select(tables.revision.c.value).where(tables.revision.c.id == _ONLY_ROW)
        self._read_revision = PreparedStatement(read)
        self._lock_revision = read.with_for_update()
        self._next_revision = (
            tables.revision.update()
            .where(tables.revision.c.id == _ONLY_ROW)
            .values(value=tables.revision.c.value + 1)
            .returning(tables.revision.c.value)
        )

    def read_all(self, connection: Connection) -> dict[str, str]:
        """Return all attributes; none at all if the database holds no repository."""
        table = self._tables.attribute
        if not inspect(connection).has_table(table.name, schema=table.schema):
            return {}
        return {row.name: row.value for row in connection.execute(select(table.c.name, table.c.value))}

    def initialise(self, connection: Connection, attributes: dict[str, str]) -> None:
        """Write the attributes of a new repository and start its revision at 1."""
        rows = [{"name": name, "value": value} for name, value in attributes.items()]
        connection.execute(self._tables.attribute.insert(), rows)
        connection.execute(self._tables.revision.insert(), {"id": _ONLY_ROW, "value": 1})

    def get(self, connection: Connection, name: str, absent: str) -> str:
        """Return an attribute, or something else if the repository has none of that name."""
        table = self._tables.attribute
        found = connection.execute(select(table.c.value).where(table.c.name == name)).scalar_one_or_none()
        return absent if found is None else str(found)

    def put(self, connection: Connection, name: str, value: str) -> None:
        """Give an attribute a value, whether there is one of that name or not; the revision is to be locked."""
        table = self._tables.attribute
        if not connection.execute(table.update().where(table.c.name == name).values(value=value)).rowcount:
            connection.execute(table.insert().values(name=name, value=value))

    def change(self, connection: Connection, name: str, value: str) -> None:
        """Give an attribute another value."""
        table = self._tables.attribute
        connection.execute(table.update().where(table.c.name == name).values(value=value))

    def revision(self, connection: Connection) -> int:
        """Return the revision."""
        ((revision,),) = self._read_revision.rows(connection, {})
        return int(revision)

    def lock_revision(self, connection: Connection) -> None:
        """Wait until nobody else changes definitions, and keep them from it until the transaction ends."""
        if connection.dialect.name == "postgresql":
            # Whoever makes the tables of a new group of dimensions locks those that they refer to, in this order, and
            # comes to the revision afterwards. So whoever may write to these after the revision locks them before it.
            tables = (self._tables.dataset_type, self._tables.collection, self._tables.dataset)
            names = ", ".join(map(connection.dialect.identifier_preparer.format_table, tables))
            connection.execute(text(f"LOCK TABLE {names} IN ROW EXCLUSIVE MODE"))
        connection.execute(self._lock_revision).scalar_one()

    def advance(self, connection: Connection) -> int:
        """Count one change of definitions; call it last, since others wait for the row until the commit."""
        return int(connection.execute(self._next_revision).scalar_one())
