# SPDX-License-Identifier: BSD-3-Clause
"""Tables of which dataset stands where: two for each group of dimensions, made when they are first needed."""

from __future__ import annotations

__all__ = ["CALIBRATION_BEGIN", "CALIBRATION_END", "PlaceTables", "TagTables"]

from dataclasses import dataclass
from threading import Lock
from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index, PrimaryKeyConstraint, Table

from butler_model.universe import DimensionGroup

from .dimension_tables import key_type
from .schema import StaticTables

CALIBRATION_BEGIN, CALIBRATION_END = "valid_begin", "valid_end"


@dataclass(frozen=True, slots=True)
class PlaceTables:
    """The tables of one group of dimensions.

    Attributes
    ----------
    tags
        ``dataset_tags_<group id>``: a dataset is in a collection, its run or one it is tagged into. The primary key
        allows one dataset for each type and data ID in a collection: it picks the one winner of contested puts.
    calibrations
        ``dataset_calibs_<group id>``: a dataset of a calibration type is in a CALIBRATION collection, valid from
        ``valid_begin`` until before ``valid_end`` (TAI nanoseconds). The ranges of one type and data ID in a collection
        do not overlap; whoever writes them holds the lock of the collection's row.
    """

    tags: Table
    calibrations: Table


class TagTables:
    """Declares the tables of groups of dimensions."""

    def __init__(self, static: StaticTables) -> None:
        self._static = static
        self._prefix = f"{static.metadata.schema}." if static.metadata.schema else ""
        self._declared: dict[int, tuple[DimensionGroup, PlaceTables]] = {}
        self._lock = Lock()

    def declare(self, group_id: int, group: DimensionGroup) -> PlaceTables:
        """Return the tables of a group of dimensions."""
        with self._lock:
            known, tables = self._declared.get(group_id, (group, None))
            if tables is not None and known != group:
                # SQLite gives an id again whose transaction was rolled back.
                for table in (tables.tags, tables.calibrations):
                    self._static.metadata.remove(table)
                tables = None
            if tables is None:
                tables = PlaceTables(
                    self._make(f"dataset_tags_{group_id}", group, []),
                    self._make(
                        f"dataset_calibs_{group_id}",
                        group,
                        [
                            Column(CALIBRATION_BEGIN, BigInteger, nullable=False, comment="TAI nanoseconds"),
                            Column(CALIBRATION_END, BigInteger, nullable=False, comment="TAI nanoseconds"),
                        ],
                    ),
                )
                self._declared[group_id] = group, tables
            return tables

    def _make(self, name: str, group: DimensionGroup, validity: list[Column[Any]]) -> Table:
        elements = group.universe.elements
        keys = [
            Column(name, key_type(elements[name].key_columns[name]), nullable=False)
            for name in group.required
        ]
        # The primary key finds the first dimensions. The last one, a visit, say, would be searched for once for each
        # detector there is; groups of two have nothing but a governor before it.
        last = (
            []
            if validity or len(keys) < 3
            else [Index(None, "dataset_type_id", "collection_id", keys[-1].name)]
        )
        return Table(
            name,
            self._static.metadata,
            Column("dataset_type_id", ForeignKey(f"{self._prefix}dataset_type.id"), nullable=False),
            Column(
                "collection_id",
                ForeignKey(f"{self._prefix}collection.id", ondelete="CASCADE"),
                nullable=False,
            ),
            *keys,
            *validity,
            Column("dataset_id", ForeignKey(f"{self._prefix}dataset.id", ondelete="CASCADE"), nullable=False),
            PrimaryKeyConstraint(
                "dataset_type_id", "collection_id", *group.required, *(c.name for c in validity[:1])
            ),
            # Deleting datasets without it was 23 to 80 times slower.
            Index(None, "dataset_id"),
            *last,
        )
