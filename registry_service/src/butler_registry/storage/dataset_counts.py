# SPDX-License-Identifier: BSD-3-Clause
"""How many datasets there are, and how much is stored of them."""

from __future__ import annotations

__all__ = ["DatasetCount", "DatasetCounts"]

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, select, true

from .schema import StaticTables


@dataclass(frozen=True, slots=True)
class DatasetCount:
    """Datasets of one type and run; ``store`` is empty if they are not those of which a store has something."""

    dataset_type_id: int
    run_id: int
    store: str
    datasets: int
    artifacts: int = 0
    size: int = 0


class DatasetCounts:
    """Counts of datasets and artifacts."""

    def __init__(self, tables: StaticTables) -> None:
        self._types = tables.dataset_type
        self._collections = tables.collection
        self._datasets = tables.dataset
        self._artifacts = tables.artifact_record

    def names(self, connection: Connection) -> tuple[dict[int, str], dict[int, str]]:
        """Return the names of all dataset types and of all collections, by id."""
        types, collections = (
            {i: str(name) for i, name in connection.execute(select(table.c.id, table.c.name))}
            for table in (self._types, self._collections)
        )
        return types, collections

    def registered(self, connection: Connection) -> Iterator[DatasetCount]:
        """Yield how many datasets of each type and run there are; an index has all that is needed."""
        return self._count(connection, true())

    def unstored(self, connection: Connection) -> Iterator[DatasetCount]:
        """Yield how many of them nothing is stored of."""
        records = select(self._artifacts.c.dataset_id).where(
            self._artifacts.c.dataset_id == self._datasets.c.id
        )
        return self._count(connection, ~records.exists())

    def _count(self, connection: Connection, which: ColumnElement[bool]) -> Iterator[DatasetCount]:
        columns = (self._datasets.c.dataset_type_id, self._datasets.c.run_id)
        query = select(*columns, func.count()).where(which).group_by(*columns)
        for type_id, run_id, datasets in connection.execute(query):
            yield DatasetCount(type_id, run_id, "", datasets)

    def stored(self, connection: Connection) -> Iterator[DatasetCount]:
        """Yield what is in each store of each type and run, where a file that several datasets share counts once."""
        shared = {
            (row.dataset_type_id, row.run_id, row.store): (int(row.artifacts), int(row.size))
            for row in connection.execute(self._repeated())
        }
        datasets, artifacts = self._datasets, self._artifacts
        columns = (datasets.c.dataset_type_id, datasets.c.run_id, artifacts.c.store)
        query = (
            select(
                *columns,
                func.count(artifacts.c.dataset_id.distinct()),
                func.count(),
                func.sum(artifacts.c.size),
            )
            .join_from(artifacts, datasets, artifacts.c.dataset_id == datasets.c.id)
            .group_by(*columns)
        )
        for type_id, run_id, store, number, files, size in connection.execute(query):
            fewer_files, fewer_bytes = shared.get((type_id, run_id, store), (0, 0))
            yield DatasetCount(type_id, run_id, store, number, files - fewer_files, int(size) - fewer_bytes)

    def _repeated(self) -> Select[Any]:
        """Return the query for files that several records name: how often more than once, and their bytes so often.

        To look for them first, in an index, is much quicker than to group all records by file.
        """
        datasets, artifacts = self._datasets, self._artifacts
        shared = (
            select(artifacts.c.store, artifacts.c.key)
            .group_by(artifacts.c.store, artifacts.c.key)
            .having(func.count() > 1)
            .subquery("shared")
        )
        columns = (datasets.c.dataset_type_id, datasets.c.run_id, artifacts.c.store)
        files = (
            select(*columns, func.count().label("records"), func.max(artifacts.c.size).label("size"))
            .join_from(
                shared,
                artifacts,
                and_(artifacts.c.store == shared.c.store, artifacts.c.key == shared.c.key),
            )
            .join(datasets, artifacts.c.dataset_id == datasets.c.id)
            .group_by(*columns, artifacts.c.key)
            .subquery("files")
        )
        more = files.c.records - 1
        group = (files.c.dataset_type_id, files.c.run_id, files.c.store)
        return select(
            *group, func.sum(more).label("artifacts"), func.sum(more * files.c.size).label("size")
        ).group_by(*group)
