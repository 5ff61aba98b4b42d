# SPDX-License-Identifier: BSD-3-Clause
"""Statements that are executed for nearly every request, without what SQLAlchemy does around each execution."""

from __future__ import annotations

__all__ = ["PreparedStatement"]

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Dialect, Executable, Select
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.types import TypeEngine

from .driver_errors import as_of_sqlalchemy, refuse_while_rows_flow
from .statement_spans import statement_span

_Convert = Callable[[Any], Any] | None

_CURSOR = "butler_cursor"
"""Where a connection keeps its cursor: to make one costs a fifth of a small execution."""


class PreparedStatement:
    """A statement whose text is always the same.

    It is rendered once and goes straight to the driver, which prepares it: SQLAlchemy takes twice as long for the
    execution of a small statement as PostgreSQL, and twenty times as long as SQLite. On SQLite no transaction is begun
    for it, so what changes rows is executed where one is open; what has a list that is rendered item by item, or
    returns what it changes, SQLAlchemy executes.

    Parameters
    ----------
    statement
        Its values are bound by name. For PostgreSQL it has no lists that are rendered item by item, and the driver
        takes and gives its values as they are (no regions).
    columns
        Of an INSERT: for which columns values are bound, by their names, besides those that it computes.
    """

    def __init__(self, statement: Executable, columns: Sequence[str] | None = None) -> None:
        self._statement = statement
        self._columns = columns
        self._rendered: dict[str, _Rendered] = {}

    def rows(self, connection: Connection, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Execute it, and return the rows; raises what SQLAlchemy raises."""
        rendered = self._for(connection.dialect)
        if rendered.text is None:
            return [tuple(row) for row in connection.execute(self._statement, parameters)]
        rows: list[tuple[Any, ...]] = self._execute(connection, rendered, parameters).fetchall()
        return rendered.converted(rows)

    def count(self, connection: Connection, parameters: Mapping[str, Any]) -> int:
        """Execute it, and return how many rows of the database it touched; raises what SQLAlchemy raises."""
        rendered = self._for(connection.dialect)
        if rendered.text is None:
            return connection.execute(self._statement, parameters).rowcount
        touched: int = self._execute(connection, rendered, parameters).rowcount
        return touched

    def count_of_all(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """Execute it for each of some rows of parameters, on SQLite; return as `count` does, for all of them."""
        if len(rows) < 2:
            return self.count(connection, rows[0]) if rows else 0
        rendered = self._for(connection.dialect)
        text = rendered.text
        assert text is not None
        values = rendered.bound_of_all(rows)
        with as_of_sqlalchemy(connection, text, values), statement_span(text):
            touched: int = _cursor(connection, rendered).executemany(text, values).rowcount
        return touched

    def _for(self, dialect: Dialect) -> _Rendered:
        known = self._rendered.get(dialect.name)
        if known is None:
            known = self._rendered[dialect.name] = _rendered(self._statement, dialect, self._columns)
        return known

    def _execute(self, connection: Connection, rendered: _Rendered, parameters: Mapping[str, Any]) -> Any:
        """Return the driver's cursor, whose result is good until the next execution on the connection."""
        values = rendered.bound(parameters)
        cursor = _cursor(connection, rendered)
        text = rendered.text
        assert text is not None
        with as_of_sqlalchemy(connection, text, values), statement_span(text):
            return cursor.execute(text, values)


def _cursor(connection: Connection, rendered: _Rendered) -> Any:
    driver: Any = connection.connection.driver_connection
    cursor = connection.info.get(_CURSOR)
    if cursor is None:
        options = {"binary": True} if rendered.names is None else {}
        cursor = connection.info[_CURSOR] = driver.cursor(**options)
    if rendered.names is None:
        refuse_while_rows_flow(driver)
    return cursor


@dataclass(frozen=True, slots=True)
class _Rendered:
    """A statement as the driver of a database takes it.

    Attributes
    ----------
    text
        `None` if SQLAlchemy has to execute it.
    fixed
        The values that it has of its own.
    names
        For SQLite, what is bound, in the order of the text; `None` where the driver takes names.
    to_driver, from_driver
        For SQLite, how to convert what is bound, by name, and the columns of the result by number, where that is
        needed.
    """

    text: str | None
    fixed: Mapping[str, Any]
    names: tuple[str, ...] | None = None
    to_driver: Mapping[str, Callable[[Any], Any]] | None = None
    from_driver: Mapping[int, Callable[[Any], Any]] | None = None

    def bound(self, parameters: Mapping[str, Any]) -> Any:
        """Return the values to bind."""
        values = {**self.fixed, **parameters}
        if self.names is None:
            return values
        for name, convert in (self.to_driver or {}).items():
            values[name] = convert(values[name])
        return [values[name] for name in self.names]

    def bound_of_all(self, rows: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
        """Return the values to bind for each of some rows, all of which have the same names (SQLite)."""
        convert = self.to_driver or {}
        takes = [(name, convert.get(name)) for name in self.names or ()]
        own = {name: value for name, value in self.fixed.items() if name not in rows[0]}
        complete = ({**own, **row} for row in rows) if own else rows
        return [tuple(row[name] if to is None else to(row[name]) for name, to in takes) for row in complete]

    def converted(self, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Return rows with the values that they are to have."""
        if not self.from_driver:
            return rows
        made = []
        for row in rows:
            values = list(row)
            for at, convert in self.from_driver.items():
                values[at] = convert(values[at])
            made.append(tuple(values))
        return made


def _rendered(statement: Executable, dialect: Dialect, columns: Sequence[str] | None) -> _Rendered:
    assert isinstance(statement, ClauseElement)
    compiled = statement.compile(dialect=dialect, column_keys=columns)
    assert isinstance(compiled, SQLCompiler)
    if dialect.name == "postgresql":
        return _Rendered(str(compiled), compiled.params)
    if compiled.effective_returning or any(each.expanding for each in compiled.binds.values()):
        return _Rendered(None, {})
    to_driver = {name: _to_driver(each.type, dialect) for name, each in compiled.binds.items()}
    selected: Iterable[ColumnElement[Any]] = (
        statement.selected_columns if isinstance(statement, Select) else ()
    )
    from_driver = enumerate(_from_driver(c.type, dialect) for c in selected)
    return _Rendered(
        str(compiled),
        compiled.params,
        tuple(compiled.positiontup or ()),
        {name: convert for name, convert in to_driver.items() if convert is not None},
        {at: convert for at, convert in from_driver if convert is not None},
    )


def _to_driver(of_type: TypeEngine[Any], dialect: Dialect) -> _Convert:
    return of_type.dialect_impl(dialect).bind_processor(dialect)


def _from_driver(of_type: TypeEngine[Any], dialect: Dialect) -> _Convert:
    return of_type.dialect_impl(dialect).result_processor(dialect, None)
