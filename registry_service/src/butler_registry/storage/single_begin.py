# SPDX-License-Identifier: BSD-3-Clause
"""The begin of the put of one dataset as one statement: on PostgreSQL a round trip costs more than the work it does."""

from __future__ import annotations

__all__ = ["SingleBegin"]

from sqlalchemy import Connection, Table, bindparam, exists, select
from sqlalchemy.dialects import postgresql

from .dataset_type_store import DatasetTypeRow
from .intent_store import IntentRow, intent_values, upsert_statement
from .prepared import PreparedStatement
from .schema import StaticTables


class SingleBegin:
    """Writes the intent of one dataset if what it was planned from is still true."""

    def __init__(self, tables: StaticTables) -> None:
        self._tables = tables
        self._statements: dict[Table, PreparedStatement] = {}

    def insert(
        self,
        connection: Connection,
        row: DatasetTypeRow,
        intent: IntentRow,
        lease_seconds: int,
        revision: int,
    ) -> bool:
        """Write an intent, or give its repeat a new lease; return whether that was done.

        It is not if the definitions are at another revision, if the run has a dataset of that type and data ID, or if
        the id is taken by a dataset, by another put, or in the trash. Nor is one that adopts.
        """
        statement = self._statements.get(row.tags)
        if statement is None:
            statement = self._statements[row.tags] = self._build(row)
        values = {f"value_{i}": value for i, value in enumerate(intent.data_id)}
        parameters = {**intent_values(intent, lease_seconds), **values, "revision": revision}
        return statement.count(connection, parameters) == 1

    def _build(self, row: DatasetTypeRow) -> PreparedStatement:
        tags, intents = row.tags, self._tables.put_intent
        place = exists().where(
            tags.c.dataset_type_id == bindparam("dataset_type_id", type_=tags.c.dataset_type_id.type),
            tags.c.collection_id == bindparam("run_id", type_=tags.c.collection_id.type),
            *(
                tags.c[name] == bindparam(f"value_{i}")
                for i, name in enumerate(row.dataset_type.dimensions.required)
            ),
        )
        current = select(self._tables.revision.c.value).scalar_subquery() == bindparam("revision")
        return PreparedStatement(
            upsert_statement(postgresql.insert(intents), self._tables, [current, ~place])
        )
