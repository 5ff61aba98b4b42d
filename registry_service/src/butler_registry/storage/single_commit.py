# SPDX-License-Identifier: BSD-3-Clause
"""The commit of one dataset as one statement: on PostgreSQL a round trip costs more than the work it does."""

from __future__ import annotations

__all__ = ["SingleCommit"]

from collections.abc import Mapping
from typing import Any

from sqlalchemy import CTE, ColumnElement, Connection, Insert, Table, bindparam, cast, select
from sqlalchemy.exc import IntegrityError

from butler_model.artifact import ArtifactRecord

from .column_types import database_time
from .dataset_store import NewDataset, artifact_values, ingest_time, not_inserted, place_values
from .dataset_type_store import DatasetTypeRow
from .intent_store import IDENTITY, IntentRow, intent_values
from .outbox_store import current_transaction
from .prepared import PreparedStatement
from .schema import EventKind, StaticTables


class SingleCommit:
    """Turns the intent of one dataset with one artifact into the dataset, by one statement with CTEs."""

    def __init__(self, tables: StaticTables) -> None:
        self._tables = tables
        self._statements: dict[Table, PreparedStatement] = {}

    def insert(
        self,
        connection: Connection,
        row: DatasetTypeRow,
        run: str,
        intent: IntentRow,
        artifact: ArtifactRecord,
    ) -> bool:
        """Delete the intent, and insert dataset, place, artifact record and event; raises as `DatasetStore.insert`.

        Returns whether there was just this intent, neither given up nor expired; otherwise nothing is done.
        """
        dataset = NewDataset(intent.dataset_id, intent.run_id, intent.data_id, (artifact,))
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
        held = intent_values(intent, 0)
        parameters = {f"new_{name}": value for name, value in values.items()}
        parameters |= {f"held_{name}": held[name] for name in ("dataset_id", *IDENTITY)}
        try:
            return self._statement(row.tags).count(connection, parameters) == 1
        except IntegrityError as error:
            raise not_inserted(row, error) from error

    def _statement(self, tags: Table) -> PreparedStatement:
        statement = self._statements.get(tags)
        if statement is None:
            statement = self._statements[tags] = PreparedStatement(self._build(tags))
        return statement

    def _build(self, tags: Table) -> Insert:
        tables, held = self._tables, self._tables.put_intent
        same = (
            held.c[name] == bindparam(f"held_{name}", type_=held.c[name].type)
            for name in ("dataset_id", *IDENTITY)
        )
        taken = (
            held.delete()
            .where(*same, held.c.lease_expires_nsec >= database_time())
            .returning(held.c.dataset_id)
            .cte("taken")
        )
        dataset, place, artifact = (
            _insert(table, taken, extra).cte(f"new_{table.name}")
            for table, extra in (
                (tables.dataset, {"ingest_nsec": ingest_time()}),
                (tags, {}),
                (tables.artifact_record, {}),
            )
        )
        event = {"transaction_id": current_transaction(is_postgresql=True), "time_nsec": database_time()}
        return _insert(tables.outbox, taken, event, left_out="id").add_cte(dataset, place, artifact)


def _insert(table: Table, taken: CTE, extra: Mapping[str, ColumnElement[Any]], left_out: str = "") -> Insert:
    """Return the statement that inserts a row of parameters if the intent was taken."""
    values = {
        # The casts tell PostgreSQL the types, which it does not take from the columns of an INSERT from SELECT.
        c.name: extra.get(c.name, cast(bindparam(f"new_{c.name}", type_=c.type), c.type))
        for c in table.c
        if c.name != left_out
    }
    columns = [value.label(name) for name, value in values.items()]
    return table.insert().from_select(list(values), select(*columns).select_from(taken))
