# SPDX-License-Identifier: BSD-3-Clause
"""Results by column, past the rows of SQLAlchemy: an object for each costs as much as all else in a listing."""

from __future__ import annotations

__all__ = ["ResultColumns", "let_results_flow"]

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from itertools import islice
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import Connection, Dialect, Engine, Select, event, literal_column, select

from butler_model.uuids import Uuids

from .column_types import UuidBytes
from .driver_errors import as_of_sqlalchemy, refuse_while_rows_flow
from .statement_spans import RENDERED_INTO, statement_span

_Cells: TypeAlias = Sequence[Any]

_ALL = select(literal_column(str(2**63 - 1))).scalar_subquery()
"""A limit that is none, and that PostgreSQL does not know beforehand: it plans for a tenth of the rows, as it does for
cursors. Without it, it may sort all of an immense product before it gives one."""


def let_results_flow(engine: Engine) -> None:
    """Let SQLAlchemy render what `ResultColumns` asks of an engine for PostgreSQL, and the driver execute it."""

    @event.listens_for(engine, "do_execute")
    def keep(cursor: Any, text: str, values: Mapping[str, Any], context: Any) -> bool:
        refuse_while_rows_flow(cursor.connection)
        rendered = context.execution_options.get(RENDERED_INTO)
        if rendered is None:
            return False
        rendered.append((text, values))
        return True


class ResultColumns:
    """The result of a statement, of which so many rows at a time are taken.

    On PostgreSQL they come as they are taken; until the last of them, or `close`, the connection does nothing else. A
    cursor of the server would take four more messages, and a transaction.

    Parameters
    ----------
    rows
        How many are taken at a time, at most.
    soon
        Whether the first are wanted soon rather than all; the statement has no limit then.
    """

    def __init__(
        self, connection: Connection, statement: Select[Any], rows: int, *, soon: bool = False
    ) -> None:
        self._connection = connection
        self._statement = statement
        self._rows = rows
        self._makers: list[Callable[[_Cells], _Cells]] = []
        self._open = ExitStack()
        self._text: str = ""
        self._values: Mapping[str, Any] = {}
        if connection.dialect.name == "postgresql":
            self._text, self._values = _rendered(connection, statement.limit(_ALL) if soon else statement)
            self._cursor = self._open.enter_context(_binary_cursor(connection))
            self._flow = self._cursor.stream(self._text, self._values, size=rows)
            self._open.callback(self._flow.close)
        else:
            self._cursor = connection.execute(statement).cursor
            self._open.callback(self._cursor.close)
            self._flow = self._cursor

    def take(self) -> tuple[int, Sequence[_Cells]]:
        """Return how many rows came, and their values by column; no column without rows."""
        begins = self._text and not self._makers
        span = statement_span(self._text) if begins else nullcontext()
        with as_of_sqlalchemy(self._connection, self._text, self._values), span:
            some = list(islice(self._flow, self._rows))
        if not some:
            return 0, []
        if not self._makers:
            self._makers = [
                _maker(column.type, self._connection.dialect, given[1])
                for column, given in zip(
                    self._statement.selected_columns, self._cursor.description, strict=True
                )
            ]
        columns = zip(*some, strict=True)
        return len(some), [make(cells) for make, cells in zip(self._makers, columns, strict=True)]

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Yield the rows that were not taken."""
        taken = self._rows
        while taken == self._rows:
            taken, cells = self.take()
            yield from zip(*cells, strict=True)

    def close(self) -> None:
        """Let go of the rows that were not taken; if there may be some, the statement is cancelled."""
        self._open.close()


def _rendered(connection: Connection, statement: Select[Any]) -> tuple[str, Mapping[str, Any]]:
    """Return the text of a statement and its values, as the driver takes them."""
    # SQLAlchemy knows the texts of statements that only differ in values, and has no other way to ask for one.
    rendered: list[tuple[str, Mapping[str, Any]]] = []
    connection.execute(statement, execution_options={RENDERED_INTO: rendered})
    return rendered[0]


def _binary_cursor(connection: Connection) -> Any:
    # Who works on SQLite does not wait for it.
    from psycopg.types.string import ByteaBinaryLoader

    driver: Any = connection.connection.driver_connection
    cursor = driver.cursor(binary=True)
    # An object for each of many UUIDs would be taken apart again.
    cursor.adapters.register_loader("uuid", ByteaBinaryLoader)
    return cursor


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
