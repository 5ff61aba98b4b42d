# SPDX-License-Identifier: BSD-3-Clause
"""What waits in a repository, for those who watch over it."""

from __future__ import annotations

__all__ = ["BacklogService"]

from butler_registry.storage.backlog import Backlog, BacklogStore
from butler_registry.storage.database import Database


class BacklogService:
    """The backlog of one repository."""

    def __init__(self, database: Database, store: BacklogStore) -> None:
        self._database = database
        self._store = store

    def read(self) -> Backlog:
        """Return what waits now."""
        with self._database.reading() as connection:
            return self._store.read(connection)
