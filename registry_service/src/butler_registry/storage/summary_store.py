# SPDX-License-Identifier: BSD-3-Clause
"""What collections may hold, and whether they do."""

from __future__ import annotations

__all__ = ["Holding", "SummaryStore", "governors_of"]

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, exists, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from .bound_rows import among
from .collection_store import CollectionRow
from .dataset_type_store import DatasetTypeRow
from .driver_errors import removed_meanwhile
from .schema import StaticTables

_PROBES_PER_STATEMENT = 50


def governors_of(row: DatasetTypeRow) -> tuple[str, ...]:
    """Return the governor dimensions of a dataset type, in the order of its dimensions."""
    group = row.dataset_type.dimensions
    return tuple(name for name in group.required if group.universe[name].is_governor)


@dataclass(frozen=True, slots=True)
class Holding:
    """A collection may hold datasets of this type with these values of governor dimensions."""

    collection_id: int
    dataset_type_id: int
    governors: tuple[str, ...]


class SummaryStore:
    """Rows of ``collection_summary``: an upper bound that only grows.

    A row that was seen committed is remembered for as long as the process lives, and never written again: ids are never
    given twice, and rows go only with their collection or dataset type.
    """

    def __init__(self, tables: StaticTables) -> None:
        self._table = tables.collection_summary
        self._known: set[Holding] = set()
        self._lock = Lock()

    def unknown(self, holdings: Iterable[Holding]) -> set[Holding]:
        """Return those that may have to be recorded."""
        return set(holdings) - self._known

    def learn(self, holdings: Iterable[Holding]) -> None:
        """Remember what was recorded; call it after the transaction is committed."""
        with self._lock:
            self._known |= set(holdings)

    def record(self, connection: Connection, holdings: Iterable[Holding]) -> None:
        """Insert rows that are not there.

        Raises `MissingCollectionError` or `MissingDatasetTypeError` if a collection or a type is gone; the transaction
        is then of no use.
        """
        rows = [
            {
                "collection_id": holding.collection_id,
                "dataset_type_id": holding.dataset_type_id,
                "governors": json.dumps(holding.governors, ensure_ascii=False),
            }
            # In one order, so that of two transactions with the same rows one waits for the other, and not both.
            for holding in sorted(holdings, key=lambda h: (h.collection_id, h.dataset_type_id, h.governors))
        ]
        if rows:
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            try:
                connection.execute(dialect.insert(self._table).on_conflict_do_nothing(), rows)
            except IntegrityError as error:
                if gone := removed_meanwhile(error):
                    raise gone from error
                raise

    def candidates(self, connection: Connection, collection_ids: Sequence[int]) -> list[Holding]:
        """Return what collections may hold."""
        rows = connection.execute(
            select(self._table).where(among(self._table.c.collection_id, collection_ids, connection))
        )
        return [Holding(c, t, tuple(json.loads(governors))) for c, t, governors in rows]

    def existing(
        self,
        connection: Connection,
        holdings: Sequence[tuple[Holding, CollectionRow, DatasetTypeRow]],
    ) -> list[Holding]:
        """Return those that are true now: each is one probe of an index."""
        found = []
        for start in range(0, len(holdings), _PROBES_PER_STATEMENT):
            some = holdings[start : start + _PROBES_PER_STATEMENT]
            answers = connection.execute(select(*(_probe(*each) for each in some))).one()
            found += [holding for (holding, _, _), is_there in zip(some, answers, strict=True) if is_there]
        return found


def _probe(holding: Holding, collection: CollectionRow, row: DatasetTypeRow) -> ColumnElement[bool]:
    table = row.calibrations if collection.is_calibration else row.tags
    query: Select[Any] = select(table.c.dataset_id).where(
        table.c.dataset_type_id == row.id, table.c.collection_id == holding.collection_id
    )
    for name, value in zip(governors_of(row), holding.governors, strict=True):
        query = query.where(table.c[name] == value)
    return exists(query).label(None)
