# SPDX-License-Identifier: BSD-3-Clause
"""The service for queries; implements `butler_model.ports.Queries`."""

from __future__ import annotations

__all__ = ["QueryService"]

from collections.abc import Sequence
from typing import Any

from butler_model.errors import InvalidRequestError, LimitExceededError
from butler_model.paging import PageRequest, ResultColumn, ResultPage, ResultType
from butler_model.query.spec import QuerySpec, ResultKind
from butler_model.repository import Limits
from butler_model.timespan import Timespan
from butler_registry.planning.page_query import PagePlan, plan_data_ids, plan_datasets, plan_records
from butler_registry.storage.database import Database
from butler_registry.storage.dimension_tables import DimensionTables
from butler_registry.storage.schema import StaticTables

from .definitions import Definitions, Snapshot
from .limits import MAX_COLLECTIONS
from .page_tokens import PageTokens


class QueryService:
    """Answers queries a page at a time."""

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
        if page.size < 0:
            raise InvalidRequestError(f"A page cannot have {page.size} rows; use 0 for the default size.")
        if len(spec.collections) > MAX_COLLECTIONS:
            raise LimitExceededError(f"At most {MAX_COLLECTIONS} collections can be searched in one query.")
        rows_wanted = min(page.size or self._limits.default_page_rows, self._limits.page_rows)
        question = _question(spec)
        after = self._tokens.open(page.token, question)
        with self._database.reading() as connection:
            snapshot = self._definitions.snapshot(connection)
            plan = self._plan(snapshot, spec)
            rows = [tuple(row) for row in connection.execute(plan.page(after, rows_wanted))]
        next_token = b""
        if len(rows) > rows_wanted:
            rows.pop()
            next_token = self._tokens.make(question, tuple(rows[-1][i] for i in plan.key))
        return ResultPage(_columns(plan, rows), len(rows), next_token, snapshot.revision)

    def _plan(self, snapshot: Snapshot, spec: QuerySpec) -> PagePlan:
        universe = snapshot.universe
        if spec.kind is ResultKind.DIMENSION_RECORDS:
            return plan_records(self._dimension_tables, universe[spec.element], spec.data_id)
        if spec.kind is ResultKind.DATA_IDS:
            return plan_data_ids(self._dimension_tables, universe.conform(spec.dimensions), spec.data_id)
        row = snapshot.dataset_type(spec.dataset_type)
        collections = snapshot.search(spec.collections)
        ranks = {c.id: i for i, c in reversed(list(enumerate(collections)))}
        return plan_datasets(
            self._static, self._dimension_tables, row, ranks, spec.data_id, find_first=spec.find_first
        )


def _question(spec: QuerySpec) -> str:
    return repr(
        (spec.kind.value, spec.dimensions, spec.element, spec.dataset_type, spec.collections, spec.find_first)
    ) + repr(sorted(spec.data_id.items()))


def _columns(plan: PagePlan, rows: Sequence[tuple[Any, ...]]) -> tuple[ResultColumn, ...]:
    by_position: list[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else []
    columns, position = [], 0
    for planned in plan.columns:
        values: Sequence[Any] = by_position[position] if rows else ()
        if planned.type is ResultType.TIMESPAN:
            ends: Sequence[Any] = by_position[position + 1] if rows else ()
            values = [
                None if begin is None else Timespan.from_simple([begin, end])
                for begin, end in zip(values, ends, strict=True)
            ]
        columns.append(ResultColumn(planned.name, planned.type, values))
        position += planned.width
    return tuple(columns)
