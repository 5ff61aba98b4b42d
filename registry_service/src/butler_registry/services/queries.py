# SPDX-License-Identifier: BSD-3-Clause
"""The service for queries; implements `butler_model.ports.Queries`."""

from __future__ import annotations

__all__ = ["QueryService"]

import hashlib
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from itertools import islice
from typing import Any

from butler_model.cancellation import Cancellation
from butler_model.errors import InvalidRequestError
from butler_model.paging import PageRequest, ResultPage
from butler_model.query.spec import QuerySpec
from butler_model.repository import Limits
from butler_registry.planning.building import plan_query
from butler_registry.planning.plan import QueryPlan
from butler_registry.storage.database import Connection, Database
from butler_registry.storage.dimension_tables import DimensionTables
from butler_registry.storage.result_columns import ResultColumns
from butler_registry.storage.schema import StaticTables

from .definitions import Definitions, Snapshot
from .page_tokens import PageTokens
from .query_explanation import explain
from .query_requests import request_of
from .query_rows import Cells, ResultRow, cells_of_rows, columns_of_cells, result_rows

_SPARE = 2
"""How many times as many rows are read as are wanted, where some may fail the exact test."""


class QueryService:
    """Answers queries."""

    def __init__(
        self,
        database: Database,
        definitions: Definitions,
        static: StaticTables,
        dimension_tables: DimensionTables,
        tokens: PageTokens,
        limits: Limits,
    ) -> None:
        self._database = database
        self._definitions = definitions
        self._static = static
        self._dimension_tables = dimension_tables
        self._tokens = tokens
        self._limits = limits

    def page(self, spec: QuerySpec, page: PageRequest) -> ResultPage:
        wanted = self._page_rows(page.size)
        question = _question(spec)
        token = self._tokens.open(page.token, question)
        given, position = (0, None) if token is None else (token[0], tuple(token[1:]))
        if spec.limit is not None:
            wanted = min(wanted, spec.limit - given)
        with self._database.reading() as connection, self._in_time(connection):
            snapshot = self._definitions.snapshot(connection)
            plan = self._plan(snapshot, spec)
            rows, cells, last = self._part(connection, plan, position, wanted)
            columns = columns_of_cells(plan, cells)
        if last is not None and spec.limit is not None and given + wanted >= spec.limit:
            last = None
        next_token = b"" if last is None else self._tokens.make(question, (given + rows, *last))
        return ResultPage(columns, rows, next_token, snapshot.revision)

    def stream(
        self, spec: QuerySpec, page_rows: int = 0, *, cancellation: Cancellation | None = None
    ) -> Iterator[ResultPage]:
        wanted = self._page_rows(page_rows)
        if not self._database.may_stream:
            return self._pages(spec, wanted)
        pages = self._read(spec, wanted, cancellation)
        # SQLite works in this process, and would only be in the way of who looks at the page before.
        return _one_ahead(pages, wanted) if self._database.is_postgresql else pages

    def _read(self, spec: QuerySpec, wanted: int, cancellation: Cancellation | None) -> Generator[ResultPage]:
        with self._database.reading(cancellation) as connection:
            with self._in_time(connection):
                snapshot = self._definitions.snapshot(connection)
                plan = self._plan(snapshot, spec)
            with closing(self._parts(connection, plan, wanted, spec.limit)) as parts:
                while True:
                    # While a page is on its way to the client, nothing is counted.
                    with self._in_time(connection):
                        rows, cells = next(parts)
                    columns = columns_of_cells(plan, cells)
                    page = ResultPage(columns, rows, b"", snapshot.revision)
                    if rows < wanted:
                        break
                    yield page
        # Nobody waits for its connection until the client has it.
        yield page

    def _parts(
        self, connection: Connection, plan: QueryPlan, wanted: int, limit: int | None
    ) -> Generator[tuple[int, Cells]]:
        """Yield the number and the values of the next ``wanted`` rows of a result, until there are fewer."""
        rows = wanted
        # If what the statement gives is the result, its rows become columns without an object for each.
        first = limit if plan.is_complete else None
        with closing(
            ResultColumns(connection, plan.ordered(rows=first), wanted, soon=first is None)
        ) as result:
            found = islice(result_rows(plan, result.rows()), limit)
            while rows == wanted:
                if plan.is_complete:
                    rows, cells = result.take()
                else:
                    part = list(islice(found, wanted))
                    rows, cells = len(part), cells_of_rows(plan, part)
                yield rows, cells

    def _pages(self, spec: QuerySpec, rows: int) -> Iterator[ResultPage]:
        token = b""
        while True:
            page = self.page(spec, PageRequest(rows, token))
            token = page.next_token
            yield replace(page, next_token=b"")
            if not token:
                return

    def count(self, spec: QuerySpec, *, exact: bool = True) -> int:
        with self._database.reading() as connection, self._in_time(connection):
            plan = self._plan(
                self._definitions.snapshot(connection), replace(spec, order_by=()), counted=True
            )
            if not exact and plan.pixels is None:
                plan = replace(plan, tests=())
            if plan.is_complete:
                rows = int(connection.execute(plan.count()).scalar_one())
            else:
                ahead = self._limits.page_rows
                with closing(ResultColumns(connection, plan.ordered(), ahead)) as result:
                    rows = sum(1 for _ in result_rows(plan, result.rows()))
        return rows if spec.limit is None else min(rows, spec.limit)

    def explain_no_results(self, spec: QuerySpec) -> list[str]:
        with self._database.reading() as connection, self._in_time(connection):
            snapshot = self._definitions.snapshot(connection)
            return explain(snapshot, spec, lambda changed: self._has_rows(snapshot, changed))

    def _has_rows(self, snapshot: Snapshot, spec: QuerySpec) -> bool:
        return bool(self._rows(snapshot.connection, self._plan(snapshot, spec), None, 1))

    def _in_time(self, connection: Connection) -> AbstractContextManager[None]:
        return self._database.in_time(connection, self._limits.query_seconds)

    def _plan(self, snapshot: Snapshot, spec: QuerySpec, *, counted: bool = False) -> QueryPlan:
        request = request_of(snapshot, self._dimension_tables, spec, self._limits)
        request = replace(request, counted=counted)
        return plan_query(self._static, self._dimension_tables, request, snapshot.connection)

    def _part(
        self, connection: Connection, plan: QueryPlan, position: tuple[Any, ...] | None, wanted: int
    ) -> tuple[int, Cells, tuple[Any, ...] | None]:
        """Return the number and the values of the first rows after a position, and that of the last if more follow."""
        if wanted <= 0:
            return 0, (), None
        if plan.is_complete:
            statement = plan.ordered(position, wanted + 1)
            # Of more rows than there can be the end is read, too: what is let go of before its end is cancelled.
            with closing(ResultColumns(connection, statement, wanted + 2)) as result:
                rows, cells = result.take()
            if rows <= wanted:
                return rows, cells, None
            cells = [column[:wanted] for column in cells]
            return wanted, cells, tuple(cells[at][-1] for at in plan.order_at[: plan.n_key])
        found = self._rows(connection, plan, position, wanted + 1)
        shown = found[:wanted]
        last = shown[-1].position(plan) if len(found) > wanted else None
        return len(shown), cells_of_rows(plan, shown), last

    def _rows(
        self, connection: Connection, plan: QueryPlan, position: tuple[Any, ...] | None, wanted: int
    ) -> list[ResultRow]:
        """Return the first rows after a position."""
        if plan.is_complete:
            statement = plan.ordered(position, wanted)
            return [ResultRow(tuple(row)) for row in connection.execute(statement)]
        found: list[ResultRow] = []
        last_pixel = None
        beyond = position
        if plan.pixels is not None and plan.pixels.shown and position is not None:
            *key, last_pixel = position
            beyond = tuple(key)
        chunk = max(wanted * _SPARE, 100)
        inclusive = last_pixel is not None
        while True:
            statement = plan.ordered(beyond, chunk, inclusive=inclusive)
            rows = [tuple(row) for row in connection.execute(statement)]
            previous = found[-1] if found else None
            for row in result_rows(plan, rows, last_pixel if inclusive else None):
                if previous is None or row.pixel is not None or row.position(plan) != previous.position(plan):
                    found.append(row)
                    if len(found) == wanted:
                        return found
            if len(rows) < chunk:
                return found
            beyond, inclusive = tuple(rows[-1][at] for at in plan.order_at), False

    def _page_rows(self, size: int) -> int:
        if size < 0:
            raise InvalidRequestError(f"A page cannot have {size} rows; use 0 for the default size.")
        return min(size or self._limits.default_page_rows, self._limits.page_rows)


def _one_ahead(pages: Generator[ResultPage], wanted: int) -> Iterator[ResultPage]:
    """Yield pages of ``wanted`` rows and the last one, which has fewer; while one is sent, the next one is made."""
    with closing(pages), ThreadPoolExecutor(1, "page-ahead") as pool:
        page = next(pages)
        while page.rows == wanted:
            following = pool.submit(next, pages)
            yield page
            page = following.result()
        yield page


def _question(spec: QuerySpec) -> str:
    """Return what tells one query from another, in a length that does not depend on what is uploaded."""
    fields = {name: getattr(spec, name) for name in spec.__slots__}
    for name in ("data_id", "bind", "default_data_id"):
        fields[name] = sorted(fields[name].items(), key=lambda item: str(item[0]))
    fields["uploads"] = [(table.dimensions, list(table.rows)) for table in spec.uploads]
    text = repr(sorted(fields.items(), key=lambda item: item[0]))
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
