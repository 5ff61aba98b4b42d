# SPDX-License-Identifier: BSD-3-Clause
"""Rows of bound values that a statement can search for, whatever their number, in one parameter per column."""

from __future__ import annotations

__all__ = ["among", "among_joined", "bound_rows"]

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    and_,
    any_,
    bindparam,
    cast,
    column,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.elements import BindParameter, NamedColumn
from sqlalchemy.types import NullType, TypeEngine

from .column_types import UuidBytes


def bound_rows(
    columns: Sequence[NamedColumn[Any]], rows: Sequence[Sequence[Any]], connection: Connection
) -> Select[Any]:
    """Return a subquery of the given rows, for ``tuple_(*columns).in_(...)``; ints and strings only.

    On PostgreSQL it unnests one array per column; on SQLite it reads one JSON document. Either way the text of the
    statement does not depend on the number of rows, so it is compiled and prepared once.
    """
    if connection.dialect.name == "postgresql":
        arrays = [
            cast(bindparam(None, [row[i] for row in rows], unique=True), ARRAY(c.type))
            for i, c in enumerate(columns)
        ]
        names = [column(c.name, c.type) for c in columns]
        return select(func.unnest(*arrays).table_valued(*names, name="bound").render_derived())
    document = json.dumps([list(row) for row in rows], separators=(",", ":"), ensure_ascii=False)
    each = func.json_each(bindparam(None, document, String(), unique=True)).table_valued("value", name="each")
    values: list[ColumnElement[Any]] = [
        func.json_extract(each.c.value, text(f"'$[{i}]'"), type_=c.type).label(c.name)
        for i, c in enumerate(columns)
    ]
    return select(*values)


def among(column: ColumnElement[Any], values: Sequence[Any], connection: Connection) -> ColumnElement[bool]:
    """Return whether a column has one of the given values: one parameter on PostgreSQL, whatever their number."""
    return among_joined([column], values, connection)


def among_joined(
    columns: Sequence[ColumnElement[Any]], values: Sequence[Any], connection: Connection
) -> ColumnElement[bool]:
    """Return whether columns on which tables are joined have one of the given values.

    PostgreSQL is told of each column: of those that only follow, it takes all rows of the table where there are many
    values, and SQLite takes the index anyway.
    """
    if connection.dialect.name == "postgresql":
        array = _array(columns[0].type, values)
        return and_(*(column == any_(cast(array, ARRAY(column.type))) for column in columns))
    return columns[0].in_(bindparam(None, list(values), columns[0].type, expanding=True, unique=True))


def _array(type_: TypeEngine[Any], values: Sequence[Any]) -> BindParameter[Any]:
    """Return one parameter for PostgreSQL that has all values."""
    if not isinstance(type_, UuidBytes):
        return bindparam(None, list(values), unique=True)
    # The driver takes 3 us for each UUID, and a batch is asked for in five statements. Of a text without a type the
    # server makes at once what the statement wants there.
    return bindparam(None, f"{{{','.join([value.hex for value in values])}}}", NullType(), unique=True)
