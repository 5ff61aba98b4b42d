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
from butler_registry.storage.database import Connection, CursorResult, Database
from butler_registry.storage.dimension_tables import DimensionTables
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
            rows = self._rows(connection, plan, position, wanted + 1) if wanted > 0 else []
            more = len(rows) > wanted
            rows = rows[:wanted]
            columns = columns_of_cells(plan, cells_of_rows(plan, rows), snapshot.run_names)
        if more and spec.limit is not None and given + wanted >= spec.limit:
            more = False
        next_token = (
            self._tokens.make(question, (given + len(rows), *rows[-1].position(plan))) if more else b""
        )
        return ResultPage(columns, len(rows), next_token, snapshot.revision)

    def stream(
        self, spec: QuerySpec, page_rows: int = 0, *, cancellation: Cancellation | None = None
    ) -> Iterator[ResultPage]:
        wanted = self._page_rows(page_rows)
        if not self._database.has_cursors:
            return self._pages(spec, wanted)
        return _one_ahead(self._read(spec, wanted, cancellation), wanted)

    def _read(self, spec: QuerySpec, wanted: int, cancellation: Cancellation | None) -> Generator[ResultPage]:
        with self._database.reading_one_state(cancellation) as connection:
            with self._in_time(connection):
                snapshot = self._definitions.snapshot(connection)
                plan = self._plan(snapshot, spec)
                needed = spec.limit if plan.is_complete else None
                result = self._database.cursor(connection, plan.ordered(rows=needed), wanted)
            parts = _parts(plan, result, wanted, spec.limit)
            try:
                while True:
                    # While a page is on its way to the client, nothing is counted.
                    with self._in_time(connection):
                        part = next(parts, None)
                    if part is None:
                        return
                    rows, cells = part
                    columns = columns_of_cells(plan, cells, snapshot.run_names)
                    yield ResultPage(columns, rows, b"", snapshot.revision)
            finally:
                result.close()

    def _pages(self, spec: QuerySpec, rows: int) -> Iterator[ResultPage]:
        token = b""
        while True:
            page = self.page(spec, PageRequest(rows, token))
            token = page.next_token
            yield replace(page, next_token=b"")
            if not token:
                return

    def count(self, spec: QuerySpec, *, exact: bool = True) -> int:
        with self._database.reading_one_state() as connection, self._in_time(connection):
            plan = self._plan(self._definitions.snapshot(connection), replace(spec, order_by=()))
            if not exact and plan.pixels is None:
                plan = replace(plan, tests=())
            if plan.is_complete:
                rows = int(connection.execute(plan.count()).scalar_one())
            else:
                result = self._database.cursor(connection, plan.ordered(), self._limits.page_rows)
                try:
                    rows = sum(1 for _ in result_rows(plan, result))
                finally:
                    result.close()
        return rows if spec.limit is None else min(rows, spec.limit)

    def explain_no_results(self, spec: QuerySpec) -> list[str]:
        with self._database.reading() as connection, self._in_time(connection):
            snapshot = self._definitions.snapshot(connection)
            return explain(snapshot, spec, lambda changed: self._has_rows(snapshot, changed))

    def _has_rows(self, snapshot: Snapshot, spec: QuerySpec) -> bool:
        return bool(self._rows(snapshot.connection, self._plan(snapshot, spec), None, 1))

    def _in_time(self, connection: Connection) -> AbstractContextManager[None]:
        return self._database.in_time(connection, self._limits.query_seconds)

    def _plan(self, snapshot: Snapshot, spec: QuerySpec) -> QueryPlan:
        request = request_of(snapshot, self._dimension_tables, spec, self._limits)
        return plan_query(self._static, self._dimension_tables, request, snapshot.connection)

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


def _parts(
    plan: QueryPlan, result: CursorResult[Any], wanted: int, limit: int | None
) -> Iterator[tuple[int, Cells]]:
    """Yield the number and the values of the next ``wanted`` rows of a result, until there are fewer."""
    if plan.is_complete:
        # What the statement gives is the result: its rows become columns without an object for each.
        rows = wanted
        while rows == wanted:
            some = result.fetchmany(wanted)
            rows = len(some)
            yield rows, list(zip(*some, strict=True))
        return
    found = islice(result_rows(plan, result), limit)
    rows = wanted
    while rows == wanted:
        part = list(islice(found, wanted))
        rows = len(part)
        yield rows, cells_of_rows(plan, part)


def _question(spec: QuerySpec) -> str:
    """Return what tells one query from another, in a length that does not depend on what is uploaded."""
    fields = {name: getattr(spec, name) for name in spec.__slots__}
    for name in ("data_id", "bind", "default_data_id"):
        fields[name] = sorted(fields[name].items(), key=lambda item: str(item[0]))
    fields["uploads"] = [(table.dimensions, list(table.rows)) for table in spec.uploads]
    text = repr(sorted(fields.items(), key=lambda item: item[0]))
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
