# SPDX-License-Identifier: BSD-3-Clause
"""The commit of one dataset as one statement: on PostgreSQL a round trip costs more than the work it does."""

from __future__ import annotations

__all__ = ["SingleCommit"]

from sqlalchemy import Connection, Delete, Table, bindparam
from sqlalchemy.exc import IntegrityError

from butler_model.artifact import ArtifactRecord

from .dataset_store import NewDataset, already_there, artifact_values, ingest_time, place_values
from .dataset_type_store import DatasetTypeRow
from .schema import StaticTables


class SingleCommit:
    """Turns the intent of one dataset with one artifact into the dataset, by one statement with CTEs."""

    def __init__(self, tables: StaticTables) -> None:
        self._tables = tables
        self._statements: dict[Table, Delete] = {}

    def insert(
        self, connection: Connection, row: DatasetTypeRow, dataset: NewDataset, artifact: ArtifactRecord
    ) -> None:
        """Insert dataset, place and artifact record, and delete the intent; raises as `DatasetStore.insert`."""
        values = {
            "id": dataset.dataset_id,
            "run_id": dataset.run_id,
            **place_values(row, dataset),
            **artifact_values(artifact),
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
        for table in (datasets, tags, artifacts):
            given = {
                c.name: bindparam(f"new_{c.name}", type_=c.type) for c in table.c if c.name != "ingest_nsec"
            }
            extra = {"ingest_nsec": ingest_time()} if table is datasets else {}
            parts.append(table.insert().values(**given, **extra).cte(f"new_{table.name}"))
        done = intents.c.dataset_id == bindparam("new_id", type_=datasets.c.id.type)
        return intents.delete().where(done).add_cte(*parts)
