# SPDX-License-Identifier: BSD-3-Clause
"""What PostgreSQL knows of how full its tables are: brought up to date as they fill, before its own daemon comes by."""

from __future__ import annotations

__all__ = ["Statistics"]

import logging
import threading
from collections.abc import Iterable

from sqlalchemy import Table, text

from butler_model.errors import ButlerError

from .database import Database

_LOGGER = logging.getLogger(__name__)
_FIRST_ROWS = 100
_GROWTH = 0.5


class Statistics:
    """Counts rows that this process writes. A table is analysed after 100, and whenever it has grown by half.

    Without, a query that joins tables which were just filled can take a thousand times as long.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._written: dict[str, int] = {}
        self._analysed: dict[str, int] = {}

    def wrote(self, tables: Iterable[Table], rows: int) -> None:
        """Take note of rows that were committed; a failure to analyse is logged and does no harm."""
        if not self._database.is_postgresql or not rows:
            return
        due = [table for table in tables if self._is_due(table.fullname, rows)]
        if not due:
            return
        try:
            with self._database.single_statement() as connection:
                names = map(connection.dialect.identifier_preparer.format_table, due)
                # What somebody else analyses just now is left to them.
                connection.execute(text(f"ANALYZE (SKIP_LOCKED) {', '.join(names)}"))
        except ButlerError as error:
            _LOGGER.warning("The statistics of the database could not be brought up to date: %s", error)

    def _is_due(self, table: str, rows: int) -> bool:
        with self._lock:
            written = self._written[table] = self._written.get(table, 0) + rows
            analysed = self._analysed.get(table, 0)
            if written - analysed < max(_FIRST_ROWS, analysed * _GROWTH):
                return False
            self._analysed[table] = written
            return True
