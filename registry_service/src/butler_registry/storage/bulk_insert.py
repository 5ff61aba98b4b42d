# SPDX-License-Identifier: BSD-3-Clause
"""Many rows in one statement: on PostgreSQL to send them one by one costs both sides more than the rows themselves."""

from __future__ import annotations

__all__ = ["BulkInsert", "document_of", "prepared_insert", "rows_of_document"]

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Table,
    Text,
    bindparam,
    cast,
    column,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import JSON

from .database import execute_many
from .prepared import PreparedStatement


class BulkInsert:
    """Inserts rows into a table.

    Parameters
    ----------
    computed
        Values that the database computes for each row, by column.
    """

    def __init__(self, table: Table, computed: Mapping[str, ColumnElement[Any]] | None = None) -> None:
        computed = computed or {}
        given = rows_of_document(table, [c.name for c in table.c if c.name not in computed])
        values = [computed[c.name] if c.name in computed else given.c[c.name] for c in table.c]
        self._at_once = table.insert().from_select(list(table.c), select(*values).select_from(given))
        self._one_by_one = prepared_insert(table, computed)

    def execute(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """Insert rows, in their order; return how many."""
        if connection.dialect.name == "postgresql":
            return execute_many(connection, self._at_once, [{"rows": document_of(rows)}]) if rows else 0
        return self._one_by_one.count_of_all(connection, rows)


def prepared_insert(
    table: Table, computed: Mapping[str, ColumnElement[Any]], left_out: str = ""
) -> PreparedStatement:
    """Return the statement that inserts a row, given as the values of all columns that are not computed."""
    given = [c.name for c in table.c if c.name not in computed and c.name != left_out]
    return PreparedStatement(table.insert().values(computed).inline(), given)


def rows_of_document(table: Table, names: Sequence[str]) -> FromClause:
    """Return the rows of a document bound to ``rows`` as a table, with some of the columns of another (PostgreSQL)."""
    columns = (column(name, table.c[name].type) for name in names)
    document = cast(bindparam("rows", type_=Text()), JSON)
    return func.json_to_recordset(document).table_valued(*columns).render_derived(with_types=True)


def document_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows of ints, strings and UUIDs as one document of JSON."""
    return json.dumps(rows, default=str, separators=(",", ":"))
