# SPDX-License-Identifier: BSD-3-Clause
"""Results by column, past the rows of SQLAlchemy: an object for each costs as much as all else in a listing."""

from __future__ import annotations

__all__ = ["ResultColumns"]

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import Connection, Dialect, Select
from sqlalchemy.sql.compiler import SQLCompiler

from butler_model.uuids import Uuids

from .column_types import UuidBytes
from .driver_errors import as_of_sqlalchemy
from .statement_spans import statement_span

_Cells: TypeAlias = Sequence[Any]

_NUMBERS = itertools.count()


class ResultColumns:
    """The result of a statement, of which so many rows at a time are taken.

    Parameters
    ----------
    ahead
        Whether PostgreSQL keeps the result and gives what is taken; the connection is in a transaction then. Otherwise
        all of it comes at once.
    """

    def __init__(self, connection: Connection, statement: Select[Any], *, ahead: bool = False) -> None:
        self._connection = connection
        self._text: str = ""
        self._values: Mapping[str, Any] = {}
        if ahead and connection.dialect.name == "postgresql":
            self._text, self._values = _rendered(statement, connection.dialect)
            self._cursor = self._opened()
        else:
            self._cursor = connection.execute(statement).cursor
        self._makers = [
            _maker(column.type, connection.dialect, given[1])
            for column, given in zip(statement.selected_columns, self._cursor.description, strict=True)
        ]

    def take(self, rows: int) -> tuple[int, list[_Cells]]:
        """Return how many rows came, at most so many as wanted, and their values by column; no column without rows."""
        with as_of_sqlalchemy(self._connection, self._text, self._values):
            some = self._cursor.fetchmany(rows)
        columns = zip(*some, strict=True)
        # Without rows there are no columns to be made.
        return len(some), [make(cells) for make, cells in zip(self._makers, columns, strict=False)]

    def close(self) -> None:
        """Give back the cursor."""
        self._cursor.close()

    def _opened(self) -> Any:
        # Who works on SQLite does not wait for it.
        from psycopg.types.string import ByteaBinaryLoader

        driver: Any = self._connection.connection.driver_connection
        cursor = driver.cursor(f"butler_columns_{next(_NUMBERS)}", binary=True)
        # An object for each of many UUIDs would be taken apart again.
        cursor.adapters.register_loader("uuid", ByteaBinaryLoader)
        with as_of_sqlalchemy(self._connection, self._text, self._values), statement_span(self._text):
            return cursor.execute(self._text, self._values)


def _rendered(statement: Select[Any], dialect: Dialect) -> tuple[str, Mapping[str, Any]]:
    """Return the text of a statement and its values, as the driver takes them."""
    compiled = statement.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)
    state = compiled.construct_expanded_state()
    values = dict(state.parameters)
    for name, process in state.processors.items():
        if name in values:
            values[name] = process(values[name])
    return state.statement, values


def _maker(type_: Any, dialect: Dialect, given: object) -> Callable[[_Cells], _Cells]:
    """Return what makes the values of a column from what the driver gives."""
    if isinstance(type_, UuidBytes):
        return _uuids
    process = type_.dialect_impl(dialect).result_processor(dialect, given)
    return _as_they_are if process is None else lambda cells: list(map(process, cells))


def _as_they_are(cells: _Cells) -> _Cells:
    return cells


def _uuids(cells: _Cells) -> _Cells:
    try:
        return Uuids(b"".join(cells))
    except TypeError:
        # Some are None, or the driver has made UUIDs already.
        return [UUID(bytes=cell) if isinstance(cell, bytes) else cell for cell in cells]
