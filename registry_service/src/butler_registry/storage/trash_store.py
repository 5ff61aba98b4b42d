# SPDX-License-Identifier: BSD-3-Clause
"""The rows of the trash: how they come, how they are shown, and how they go back."""

from __future__ import annotations

__all__ = ["RestorableDataset", "RowKey", "TrashMove", "TrashStore", "selected"]

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Insert,
    Row,
    Table,
    Text,
    and_,
    cast,
    func,
    literal,
    select,
    tuple_,
)
from sqlalchemy import exists as sql_exists

from butler_model.artifact import ArtifactLayout, ArtifactRecord
from butler_model.trash import TrashedArtifact, TrashSelection, TrashState

from .bound_rows import among, among_joined
from .column_types import database_time
from .dataset_type_store import DatasetTypeRow
from .schema import StaticTables, TrashRowState

_NSEC_PER_SECOND = 10**9

RowKey = tuple[UUID, str, str]
"""Primary key of a row: dataset, component, store."""


@dataclass(frozen=True, slots=True)
class TrashMove:
    """How artifacts come into the trash.

    Attributes
    ----------
    trash_id
        Id of the request.
    purged
        Whether their datasets go, too.
    delay_seconds
        How long they stay at least.
    """

    trash_id: UUID
    purged: bool
    delay_seconds: int
    trashed_by: str = ""


@dataclass(frozen=True, slots=True)
class RestorableDataset:
    """A dataset with artifacts in the trash, as it was.

    Attributes
    ----------
    data_id
        Required values.
    """

    id: UUID
    dataset_type: str
    run: str
    data_id: tuple[Any, ...]
    purged: bool


class TrashStore:
    """Artifacts that are to be deleted."""

    def __init__(self, tables: StaticTables) -> None:
        self._tables = tables
        self.table = trash = tables.artifact_trash
        self._artifact_columns = [c.name for c in tables.artifact_record.c]
        self._key = [trash.c.dataset_id, trash.c.component, trash.c.store]

    def move(
        self,
        connection: Connection,
        by_type: Sequence[tuple[DatasetTypeRow, Sequence[UUID]]],
        move: TrashMove,
    ) -> dict[UUID, tuple[int, int]]:
        """Copy the records of artifacts of datasets, given with their types; the caller deletes the records.

        Return, of each dataset that has artifacts, how many, and their recorded bytes together.
        """
        by_table: dict[Table, list[UUID]] = defaultdict(list)
        for row, ids in by_type:
            by_table[row.tags] += ids
        moved: dict[UUID, tuple[int, int]] = {}
        for tags, together in by_table.items():
            statement = self._move(connection, tags, together, move)
            for dataset_id, size in connection.execute(
                statement.returning(self.table.c.dataset_id, self.table.c.size)
            ):
                artifacts, before = moved.get(dataset_id, (0, 0))
                moved[dataset_id] = (artifacts + 1, before + size)
        return moved

    def _move(self, connection: Connection, tags: Table, dataset_ids: list[UUID], move: TrashMove) -> Insert:
        """Return the statement for datasets whose types share a tag table."""
        records, datasets = self._tables.artifact_record, self._tables.dataset
        types, runs = self._tables.dataset_type, self._tables.collection
        # Not by its type, too: SQLite would look through the whole run for each dataset, by the primary key.
        in_its_run = and_(tags.c.dataset_id == datasets.c.id, tags.c.collection_id == datasets.c.run_id)
        now = select(database_time()).scalar_subquery()
        values: dict[str, ColumnElement[Any]] = {
            **{name: records.c[name] for name in self._artifact_columns},
            "dataset_type": types.c.name,
            "run": runs.c.name,
            "data_id": _json_of_data_id(tags, connection),
            "ingest_nsec": datasets.c.ingest_nsec,
            "purged": literal(move.purged),
            "trash_id": literal(move.trash_id, self.table.c.trash_id.type),
            "trashed_by": literal(move.trashed_by),
            "trashed_nsec": now,
            "state": literal(int(TrashRowState.TRASHED)),
            "due_nsec": now + literal(move.delay_seconds * _NSEC_PER_SECOND, BigInteger()),
            "attempts": literal(0),
        }
        source = (
            select(*values.values())
            .join_from(records, datasets, records.c.dataset_id == datasets.c.id)
            .join(tags, in_its_run)
            .join(types, types.c.id == datasets.c.dataset_type_id)
            .join(runs, runs.c.id == datasets.c.run_id)
            .where(
                among_joined(
                    [records.c.dataset_id, datasets.c.id, tags.c.dataset_id], dataset_ids, connection
                )
            )
        )
        return self.table.insert().from_select(list(values), source)

    def page(
        self, connection: Connection, selection: TrashSelection, after: RowKey | None, limit: int
    ) -> list[TrashedArtifact]:
        """Return the first artifacts after a key, in the order of keys."""
        query = select(self.table).where(*selected(self.table, selection, connection))
        if after is not None:
            query = query.where(tuple_(*self._key) > after)
        rows = connection.execute(query.order_by(*self._key).limit(limit))
        return [_trashed(row) for row in rows]

    def count(self, connection: Connection, selection: TrashSelection) -> dict[TrashState, int]:
        """Return how many artifacts there are in each state."""
        state = self.table.c.state
        query = select(state, func.count()).where(*selected(self.table, selection, connection))
        return {_state(number): count for number, count in connection.execute(query.group_by(state))}

    def dataset_ids(self, connection: Connection, selection: TrashSelection, limit: int) -> list[UUID]:
        """Return the datasets that have some of the selected, by id, at most ``limit``."""
        column = self.table.c.dataset_id
        query = select(column).where(*selected(self.table, selection, connection)).distinct()
        return list(connection.execute(query.order_by(column).limit(limit)).scalars())

    def runs(self, connection: Connection, dataset_ids: Collection[UUID]) -> dict[UUID, str]:
        """Return the name of the run that each dataset was in."""
        query = select(self.table.c.dataset_id, self.table.c.run).where(
            among(self.table.c.dataset_id, list(dataset_ids), connection)
        )
        return {row.dataset_id: row.run for row in connection.execute(query)}

    def lock(self, connection: Connection, dataset_ids: Collection[UUID]) -> list[RestorableDataset]:
        """Keep others from the rows of datasets until the transaction ends; return each dataset once, by id."""
        trash = self.table
        query = (
            select(trash.c.dataset_id, trash.c.dataset_type, trash.c.run, trash.c.data_id, trash.c.purged)
            .where(among(trash.c.dataset_id, list(dataset_ids), connection))
            .order_by(*self._key)
            .with_for_update()
        )
        found: dict[UUID, RestorableDataset] = {}
        for dataset_id, dataset_type, run, data_id, purged in connection.execute(query):
            values = tuple(json.loads(data_id))
            found[dataset_id] = RestorableDataset(dataset_id, dataset_type, run, values, bool(purged))
        return list(found.values())

    def claimed(self, connection: Connection, dataset_ids: Collection[UUID]) -> UUID | None:
        """Return one of the datasets of which an artifact, or other trash under its key, was claimed."""
        trash, other = self.table, self.table.alias("other")
        begun = sql_exists().where(
            other.c.store == trash.c.store,
            other.c.key == trash.c.key,
            other.c.state != int(TrashRowState.TRASHED),
        )
        query = select(trash.c.dataset_id).where(
            among(trash.c.dataset_id, list(dataset_ids), connection), begun
        )
        return connection.execute(query.order_by(trash.c.dataset_id).limit(1)).scalar()

    def restore(self, connection: Connection, dataset_ids: Collection[UUID]) -> int:
        """Make rows of the trash the records of artifacts that they were; return how many."""
        trash, datasets = self.table, self._tables.dataset
        ids = list(dataset_ids)
        its = among(trash.c.dataset_id, ids, connection)
        ingested = (
            select(trash.c.ingest_nsec).where(trash.c.dataset_id == datasets.c.id).limit(1).scalar_subquery()
        )
        connection.execute(
            datasets.update().where(among(datasets.c.id, ids, connection)).values(ingest_nsec=ingested)
        )
        records = select(*(trash.c[name] for name in self._artifact_columns)).where(its)
        statement = self._tables.artifact_record.insert().from_select(self._artifact_columns, records)
        connection.execute(statement)
        return connection.execute(trash.delete().where(its)).rowcount


def selected(trash: Table, selection: TrashSelection, connection: Connection) -> list[ColumnElement[bool]]:
    """Return the conditions of a selection; none if it restricts nothing."""
    wanted: list[tuple[str, Sequence[Any]]] = [
        ("trash_id", selection.trash_ids),
        ("dataset_id", selection.dataset_ids),
        ("store", selection.stores),
        ("state", sorted(int(TrashRowState[state.name]) for state in selection.states)),
    ]
    return [among(trash.c[name], values, connection) for name, values in wanted if values]


def _json_of_data_id(tags: Table, connection: Connection) -> ColumnElement[str]:
    """Return the required values of a data ID as a JSON list."""
    places = {"dataset_type_id", "collection_id", "dataset_id"}
    values = [c for c in tags.c if c.name not in places]
    if connection.dialect.name == "postgresql":
        return cast(func.json_build_array(*values), Text())
    return func.json_array(*values, type_=Text())


def _state(number: int) -> TrashState:
    return TrashState[TrashRowState(number).name]


def _trashed(row: Row[Any]) -> TrashedArtifact:
    layout = ArtifactLayout(row.formatter, row.extension, row.storage_class, row.component)
    return TrashedArtifact(
        ArtifactRecord(row.dataset_id, row.store, row.key, layout, row.size, row.checksum),
        row.dataset_type,
        row.run,
        bool(row.purged),
        row.trash_id,
        row.trashed_by,
        row.trashed_nsec,
        _state(row.state),
        row.due_nsec,
        row.attempts,
        row.last_error,
    )
