# SPDX-License-Identifier: BSD-3-Clause
"""Removing the datasets of a run, none of which is stored any more."""

from __future__ import annotations

__all__ = ["RunRemoval"]

from collections import defaultdict
from uuid import UUID

from sqlalchemy import Connection, select

from butler_model.errors import OrphanedRecordError

from .collection_store import CollectionRow
from .outbox_store import OutboxStore
from .schema import EventKind, StaticTables


class RunRemoval:
    """Deletes the rows of all datasets of a run."""

    def __init__(self, tables: StaticTables, outbox: OutboxStore) -> None:
        self._tables = tables
        self._outbox = outbox

    def remove_datasets(self, connection: Connection, run: CollectionRow) -> None:
        """Delete the datasets of a run; what tags and certifies them goes with them.

        Raises `OrphanedRecordError` if one of them has an artifact, or a put into the run was begun and not ended.
        """
        name, datasets = run.collection.name, self._tables.dataset
        artifacts, intents = self._tables.artifact_record, self._tables.put_intent
        stored = (
            select(artifacts.c.dataset_id)
            .join_from(datasets, artifacts, artifacts.c.dataset_id == datasets.c.id)
            .where(datasets.c.run_id == run.id)
            .limit(1)
        )
        if connection.execute(stored).first() is not None:
            raise OrphanedRecordError(
                f"Datasets of run {name!r} are stored; remove their artifacts first.", collection=name
            )
        begun = select(intents.c.dataset_id).where(intents.c.run_id == run.id).limit(1)
        if connection.execute(begun).first() is not None:
            # What it may have written is known by the intent only.
            raise OrphanedRecordError(
                f"A put into run {name!r} was begun and is neither committed nor given up; try again when it is.",
                collection=name,
            )
        removed: dict[str, list[UUID]] = defaultdict(list)
        types = self._tables.dataset_type
        rows = connection.execute(
            select(types.c.name, datasets.c.id)
            .join_from(datasets, types, types.c.id == datasets.c.dataset_type_id)
            .where(datasets.c.run_id == run.id)
        )
        for dataset_type, dataset_id in rows:
            removed[dataset_type].append(dataset_id)
        connection.execute(datasets.delete().where(datasets.c.run_id == run.id))
        for dataset_type, ids in removed.items():
            self._outbox.append(connection, EventKind.REMOVED, dataset_type, name, ids)
