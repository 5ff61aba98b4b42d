# SPDX-License-Identifier: BSD-3-Clause
"""Artifacts in the trash, put there by hand, as a prune does it."""

from __future__ import annotations

__all__ = ["Rows", "open_rows"]

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, Table, create_engine, func, select

from butler_registry.storage.column_types import database_time
from butler_registry.storage.schema import IntentState, StaticTables, TrashRowState

NSEC = 10**9


@dataclass(frozen=True, slots=True)
class Rows:
    """The tables of a repository, to change and to look at without its registry."""

    engine: Engine
    tables: StaticTables

    def trash(self, *dataset_ids: UUID, trash_id: UUID | None = None, due_seconds: int = 0) -> UUID:
        """Move the artifacts of datasets to the trash, and forget the datasets; return the id of the request."""
        trash_id = trash_id or uuid.uuid4()
        tables = self.tables
        moved = {c.name: c for c in tables.artifact_record.c}
        told: dict[str, Any] = {
            "dataset_type": "note",
            "run": "run1",
            "data_id": "[]",
            "ingest_nsec": 0,
            "purged": True,
            "trash_id": trash_id,
            "trashed_by": "somebody",
            "state": int(TrashRowState.TRASHED),
            "attempts": 0,
        }
        with self.engine.begin() as connection:
            ours = tables.artifact_record.c.dataset_id.in_(dataset_ids)
            now = connection.execute(select(database_time())).scalar_one()
            times = {"trashed_nsec": now, "due_nsec": now + due_seconds * NSEC}
            for row in connection.execute(select(*moved.values()).where(ours)).mappings().all():
                connection.execute(tables.artifact_trash.insert().values(**row, **told, **times))
            connection.execute(tables.artifact_record.delete().where(ours))
            connection.execute(tables.dataset.delete().where(tables.dataset.c.id.in_(dataset_ids)))
        return trash_id

    def share(self, owner: UUID, *others: UUID) -> None:
        """Give other datasets the artifact of one."""
        records = self.tables.artifact_record
        with self.engine.begin() as connection:
            key = connection.execute(select(records.c.key).where(records.c.dataset_id == owner)).scalar_one()
            connection.execute(records.update().where(records.c.dataset_id.in_(others)).values(key=key))

    def make_due(self) -> None:
        """Let everything in the trash be due, and every lease of a claim or a put be over."""
        with self.engine.begin() as connection:
            connection.execute(self.tables.artifact_trash.update().values(due_nsec=0))
            connection.execute(self.tables.put_intent.update().values(lease_expires_nsec=0))

    def age(self, table: Table, seconds: int) -> None:
        """Let all rows of a table be older."""
        with self.engine.begin() as connection:
            connection.execute(table.update().values(time_nsec=table.c.time_nsec - seconds * NSEC))

    def all(self, table: Table) -> Sequence[Any]:
        """Return the rows of a table."""
        with self.engine.begin() as connection:
            return connection.execute(select(table)).all()

    def count(self, table: Table) -> int:
        """Return the number of rows of a table."""
        with self.engine.begin() as connection:
            return connection.execute(select(func.count()).select_from(table)).scalar_one()

    def aborted(self) -> int:
        """Return the number of intents that were given up."""
        return sum(row.state == IntentState.ABORTED for row in self.all(self.tables.put_intent))


@contextmanager
def open_rows(database: str, repository: str) -> Iterator[Rows]:
    """Give the tables of a repository.

    Parameters
    ----------
    database
        As a `RegistryApplication` is given it, or the URL of one SQLite file.
    """
    schema = None
    if database.startswith("sqlite:///"):
        if not database.endswith(".sqlite3"):
            database = f"{database}/{repository}.sqlite3"
    else:
        schema = f"butler_{repository}"
    engine = create_engine(database)
    try:
        yield Rows(engine, StaticTables.declare(schema))
    finally:
        engine.dispose()
