# SPDX-License-Identifier: BSD-3-Clause
"""How many bytes are stored of the datasets of runs."""

from __future__ import annotations

__all__ = ["StoredBytes"]

from typing import Any

from sqlalchemy import Connection, Select, func, or_, select

from butler_model.artifact import DIRECT_STORE

from .schema import StaticTables


class StoredBytes:
    """Sums of the sizes of artifacts; those outside of all stores do not count, shared ones do for each dataset."""

    def __init__(self, tables: StaticTables) -> None:
        self._tables = tables

    def at(self, connection: Connection, place: str, *, below: bool) -> int:
        """Return how much is stored of the run of a name, and of those below it; of all for an empty name."""
        name = self._tables.collection.c.name
        query = self._of_runs(func.sum(self._tables.artifact_record.c.size))
        if place:
            # Not LIKE, for which SQLite takes letters of either case for the same.
            start = f"{place}/"
            fits = name == place
            query = query.where(or_(fits, func.substr(name, 1, len(start)) == start) if below else fits)
        return int(connection.execute(query).scalar_one() or 0)

    def by_run(self, connection: Connection) -> dict[str, int]:
        """Return how much is stored of each run that has something."""
        name = self._tables.collection.c.name
        query = self._of_runs(name, func.sum(self._tables.artifact_record.c.size)).group_by(name)
        return {str(run): int(size) for run, size in connection.execute(query)}

    def _of_runs(self, *columns: Any) -> Select[Any]:
        artifacts, datasets = self._tables.artifact_record, self._tables.dataset
        joined = self._tables.collection.join(
            datasets, datasets.c.run_id == self._tables.collection.c.id
        ).join(artifacts, artifacts.c.dataset_id == datasets.c.id)
        return select(*columns).select_from(joined).where(artifacts.c.store != DIRECT_STORE)
