# SPDX-License-Identifier: BSD-3-Clause
"""Which pixels of the common skypix dimension the regions of records may touch."""

from __future__ import annotations

__all__ = ["OverlapStore"]

from collections.abc import Iterable, Sequence
from typing import Any

import lsst.sphgeom
from sqlalchemy import Connection, Table, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from butler_model.dimensions import DimensionElement
from butler_model.records import DimensionRecord

from .bound_rows import bound_rows
from .database import execute_many
from .dimension_tables import DimensionTables


class OverlapStore:
    """Rows of the ``overlap_<element>`` tables: the envelope of each region."""

    def __init__(self, tables: DimensionTables) -> None:
        self._tables = tables.overlaps
        self._pixel = tables.universe.commonSkyPix.name
        system, level = tables.universe.commonSkyPix.skypix or _no_pixels()
        self._pixelization: lsst.sphgeom.Pixelization = system.pixelization(level)

    def insert(
        self, connection: Connection, element: DimensionElement, records: Iterable[DimensionRecord]
    ) -> None:
        """Insert the pixels of new records; nothing for elements and records without region."""
        if element.name not in self._tables:
            return
        rows = [
            {self._pixel: pixel, **dict(zip(element.required, record.key, strict=True))}
            for record in records
            if (region := record.get("region")) is not None
            for begin, end in self._pixelization.envelope(region)
            for pixel in range(begin, end)
        ]
        # A writer that came between may have inserted the same record and its pixels.
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        execute_many(connection, dialect.insert(self._tables[element.name]).on_conflict_do_nothing(), rows)

    def replace(
        self, connection: Connection, element: DimensionElement, records: Sequence[DimensionRecord]
    ) -> None:
        """Replace the pixels of records that were there before."""
        table: Table | None = self._tables.get(element.name)
        if table is None or not records:
            return
        columns: list[Any] = [table.c[name] for name in element.required]
        keys = [record.key for record in records]
        connection.execute(table.delete().where(tuple_(*columns).in_(bound_rows(columns, keys, connection))))
        self.insert(connection, element, records)


def _no_pixels() -> Any:
    raise AssertionError("the common skypix dimension has pixels")
