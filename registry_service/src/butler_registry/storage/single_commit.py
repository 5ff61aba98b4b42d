# SPDX-License-Identifier: BSD-3-Clause
"""The commit of one dataset as one statement: on PostgreSQL a round trip costs more than the work it does."""

from __future__ import annotations

__all__ = ["SingleCommit"]

from typing import Any

from sqlalchemy import ColumnElement, Connection, Delete, Table, bindparam
from sqlalchemy.exc import IntegrityError

from butler_model.artifact import ArtifactRecord

from .column_types import database_time
from .dataset_store import NewDataset, already_there, artifact_values, ingest_time, place_values
from .dataset_type_store import DatasetTypeRow
from .outbox_store import current_transaction
from .schema import EventKind, StaticTables


class SingleCommit:
    """Turns the intent of one dataset with one artifact into the dataset, by one statement with CTEs."""

    def __init__(self, tables: StaticTables) -> None:
        self._tables = tables
        self._statements: dict[Table, Delete] = {}

    def insert(
        self,
        connection: Connection,
        row: DatasetTypeRow,
        run: str,
        dataset: NewDataset,
        artifact: ArtifactRecord,
    ) -> None:
        """Insert dataset, place, artifact record and event, and delete the intent; raises as `DatasetStore.insert`."""
        values = {
            "id": dataset.dataset_id,
            "run_id": dataset.run_id,
            **place_values(row, dataset),
            **artifact_values(artifact),
            "kind": int(EventKind.APPEARED),
            "dataset_type": row.dataset_type.name,
            "run": run,
            "dataset_ids": dataset.dataset_id.bytes,
        }
        parameters = {f"new_{name}": value for name, value in values.items()}
        try:
            connection.execute(self._statement(row.tags), parameters)
        except IntegrityError as error:
            raise already_there(row) from error

    def _statement(self, tags: Table) -> Delete:
        statement = self._statements.get(tags)
        if statement is None:
            statement = self._statements[tags] = self._build(tags)
        return statement

    def _build(self, tags: Table) -> Delete:
        datasets, artifacts, intents = (
            self._tables.dataset,
            self._tables.artifact_record,
            self._tables.put_intent,
        )
        parts = []
        made: dict[Table, dict[str, ColumnElement[Any]]] = {
            datasets: {"ingest_nsec": ingest_time()},
            tags: {},
            artifacts: {},
            self._tables.outbox: {
                "transaction_id": current_transaction(is_postgresql=True),
                "time_nsec": database_time(),
            },
        }
        for table, extra in made.items():
            given = {
                c.name: bindparam(f"new_{c.name}", type_=c.type)
                for c in table.c
                if c.name not in extra and not (table is self._tables.outbox and c.name == "id")
            }
            parts.append(table.insert().values(**given, **extra).cte(f"new_{table.name}"))
        done = intents.c.dataset_id == bindparam("new_id", type_=datasets.c.id.type)
        return intents.delete().where(done).add_cte(*parts)
