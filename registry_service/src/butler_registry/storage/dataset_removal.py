# SPDX-License-Identifier: BSD-3-Clause
"""Removing datasets, and forgetting their artifacts."""

from __future__ import annotations

__all__ = ["DatasetRemoval", "RemovableDataset"]

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, func, select

from butler_model.errors import OrphanedRecordError

from .bound_rows import among
from .collection_store import CollectionRow
from .outbox_store import OutboxStore
from .schema import EventKind, StaticTables, TrashRowState

_DATASETS_PER_STATEMENT = 5_000


@dataclass(frozen=True, slots=True)
class RemovableDataset:
    """A dataset that is to be removed, or to lose something."""

    id: UUID
    dataset_type_id: int
    dataset_type: str
    run: str


class DatasetRemoval:
    """Deletes datasets, and what is recorded of their artifacts."""

    def __init__(self, tables: StaticTables, outbox: OutboxStore) -> None:
        self._tables = tables
        self._outbox = outbox
        datasets, types, runs = tables.dataset, tables.dataset_type, tables.collection
        self._select = (
            select(datasets.c.id, datasets.c.dataset_type_id, types.c.name, runs.c.name)
            .join_from(datasets, types, types.c.id == datasets.c.dataset_type_id)
            .join(runs, runs.c.id == datasets.c.run_id)
            .order_by(datasets.c.id)
        )

    def lock(self, connection: Connection, dataset_ids: Collection[UUID]) -> list[RemovableDataset]:
        """Keep others from some datasets until the transaction ends; return those that exist, by id.

        Rows are locked in one order, so that of two transactions one waits for the other, and not both.
        """
        query = self._select.with_for_update(of=self._tables.dataset)
        return self._found(connection, query, dataset_ids)

    def find(self, connection: Connection, dataset_ids: Collection[UUID]) -> list[RemovableDataset]:
        """Return those of the datasets that exist, by id."""
        return self._found(connection, self._select, dataset_ids)

    def _found(
        self, connection: Connection, query: Select[Any], dataset_ids: Collection[UUID]
    ) -> list[RemovableDataset]:
        query = query.where(among(self._tables.dataset.c.id, list(dataset_ids), connection))
        return [RemovableDataset(*row) for row in connection.execute(query)]

    def some_of_run(self, connection: Connection, run_id: int, limit: int) -> list[UUID]:
        """Return ids of datasets of a run, at most ``limit``, in no order."""
        table = self._tables.dataset
        return list(
            connection.execute(select(table.c.id).where(table.c.run_id == run_id).limit(limit)).scalars()
        )

    def artifacts(self, connection: Connection, dataset_ids: Collection[UUID]) -> dict[UUID, tuple[int, int]]:
        """Return, of each dataset that has artifacts, how many, and their recorded bytes together."""
        table = self._tables.artifact_record
        query = (
            select(table.c.dataset_id, func.count(), func.sum(table.c.size))
            .where(among(table.c.dataset_id, list(dataset_ids), connection))
            .group_by(table.c.dataset_id)
        )
        return {
            dataset_id: (artifacts, int(size)) for dataset_id, artifacts, size in connection.execute(query)
        }

    def forget_artifacts(self, connection: Connection, dataset_ids: Collection[UUID]) -> None:
        """Delete the records of artifacts."""
        table = self._tables.artifact_record
        connection.execute(table.delete().where(among(table.c.dataset_id, list(dataset_ids), connection)))

    def mark_purged(self, connection: Connection, dataset_ids: Collection[UUID]) -> None:
        """Note that datasets go whose artifacts went to the trash before."""
        if not dataset_ids:
            return
        trash = self._tables.artifact_trash
        # Whoever confirms a deletion touches only what it has claimed, so neither waits for the other.
        theirs = among(trash.c.dataset_id, list(dataset_ids), connection)
        unclaimed = trash.c.state != int(TrashRowState.PURGING)
        connection.execute(trash.update().where(theirs, unclaimed, ~trash.c.purged).values(purged=True))

    def delete(self, connection: Connection, datasets: Sequence[RemovableDataset]) -> None:
        """Delete datasets that have no artifacts; what tags and certifies them goes with them."""
        table = self._tables.dataset
        ids = [dataset.id for dataset in datasets]
        connection.execute(table.delete().where(among(table.c.id, ids, connection)))
        removed: dict[tuple[str, str], list[UUID]] = defaultdict(list)
        for dataset in datasets:
            removed[dataset.dataset_type, dataset.run].append(dataset.id)
        for (dataset_type, run), some in removed.items():
            self._outbox.append(connection, EventKind.REMOVED, dataset_type, run, some)

    def delete_all_of_run(self, connection: Connection, run: CollectionRow) -> None:
        """Delete the datasets of a run, none of which has an artifact."""
        while ids := self.some_of_run(connection, run.id, _DATASETS_PER_STATEMENT):
            datasets = self.lock(connection, ids)
            self.mark_purged(connection, ids)
            self.delete(connection, datasets)

    def refuse_use(self, connection: Connection, run: CollectionRow) -> None:
        """Raise `OrphanedRecordError` if a dataset of a run has an artifact, or as `refuse_puts_under_way` does."""
        artifacts, datasets = self._tables.artifact_record, self._tables.dataset
        stored = (
            select(artifacts.c.dataset_id)
            .join_from(datasets, artifacts, artifacts.c.dataset_id == datasets.c.id)
            .where(datasets.c.run_id == run.id)
            .limit(1)
        )
        name = run.collection.name
        if connection.execute(stored).first() is not None:
            raise OrphanedRecordError(
                f"Datasets of run {name!r} are stored; remove their artifacts first, or use removeRuns.",
                collection=name,
            )
        self.refuse_puts_under_way(connection, run)

    def refuse_puts_under_way(self, connection: Connection, run: CollectionRow) -> None:
        """Raise `OrphanedRecordError` if a put into a run was begun and not ended."""
        name, intents = run.collection.name, self._tables.put_intent
        begun = select(intents.c.dataset_id).where(intents.c.run_id == run.id).limit(1)
        if connection.execute(begun).first() is not None:
            # What it may have written is known by the intent only.
            raise OrphanedRecordError(
                f"A put into run {name!r} was begun and is neither committed nor given up; try again when it is.",
                collection=name,
            )

    def count_run(self, connection: Connection, run_id: int) -> tuple[dict[str, int], int, int]:
        """Return how many datasets of each type a run has, how many artifacts, and their bytes together."""
        datasets, types, artifacts = (
            self._tables.dataset,
            self._tables.dataset_type,
            self._tables.artifact_record,
        )
        by_type = (
            select(types.c.name, func.count().label("datasets"))
            .join_from(datasets, types, types.c.id == datasets.c.dataset_type_id)
            .where(datasets.c.run_id == run_id)
            .group_by(types.c.name)
            .order_by(types.c.name)
        )
        stored = (
            select(func.count(), func.coalesce(func.sum(artifacts.c.size), 0))
            .join_from(datasets, artifacts, artifacts.c.dataset_id == datasets.c.id)
            .where(datasets.c.run_id == run_id)
        )
        count, size = connection.execute(stored).one()
        return {row.name: row.datasets for row in connection.execute(by_type)}, count, int(size)
