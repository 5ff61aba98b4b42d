# SPDX-License-Identifier: BSD-3-Clause
"""Statements that are executed for nearly every request, without what SQLAlchemy does around each execution."""

from __future__ import annotations

__all__ = ["PreparedStatement"]

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Dialect, Executable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement

from .driver_errors import as_of_sqlalchemy
from .statement_spans import statement_span

_CURSOR = "butler_cursor"
"""Where a connection keeps its cursor: to make one costs a fifth of a small execution."""


class PreparedStatement:
    """A statement whose text is always the same.

    On PostgreSQL it is rendered once and goes straight to the driver, which prepares it: SQLAlchemy takes twice as long
    for the execution of a small statement as the database itself. On SQLite, SQLAlchemy executes it.

    Parameters
    ----------
    statement
        Its values are bound by name. For PostgreSQL it has no lists that are rendered item by item, and the driver
        takes and gives its values as they are (no regions).
    """

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._rendered: tuple[str, Mapping[str, Any]] | None = None

    def rows(self, connection: Connection, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Execute it, and return the rows; raises what SQLAlchemy raises."""
        if connection.dialect.name != "postgresql":
            return [tuple(row) for row in connection.execute(self._statement, parameters)]
        rows: list[tuple[Any, ...]] = self._execute(connection, parameters).fetchall()
        return rows

    def count(self, connection: Connection, parameters: Mapping[str, Any]) -> int:
        """Execute it, and return how many rows of the database it touched; raises what SQLAlchemy raises."""
        if connection.dialect.name != "postgresql":
            return connection.execute(self._statement, parameters).rowcount
        touched: int = self._execute(connection, parameters).rowcount
        return touched

    def _execute(self, connection: Connection, parameters: Mapping[str, Any]) -> Any:
        """Return the driver's cursor, whose result is good until the next execution on the connection."""
        if self._rendered is None:
            self._rendered = _rendered(self._statement, connection.dialect)
        text, fixed = self._rendered
        values = {**fixed, **parameters}
        driver: Any = connection.connection.driver_connection
        cursor = connection.info.get(_CURSOR)
        if cursor is None:
            cursor = connection.info[_CURSOR] = driver.cursor(binary=True)
        with as_of_sqlalchemy(connection, text, values), statement_span(text):
            return cursor.execute(text, values)


def _rendered(statement: Executable, dialect: Dialect) -> tuple[str, Mapping[str, Any]]:
    """Return the text of a statement, and the values that it has of its own."""
    assert isinstance(statement, ClauseElement)
    compiled = statement.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)
    return str(compiled), compiled.params
