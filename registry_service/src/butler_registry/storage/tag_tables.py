# SPDX-License-Identifier: BSD-3-Clause
"""Tables of which dataset stands where: two for each group of dimensions, made when they are first needed."""

from __future__ import annotations

__all__ = ["CALIBRATION_BEGIN", "CALIBRATION_END", "PlaceTables", "TagTables"]

from dataclasses import dataclass
from threading import Lock
from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index, MetaData, PrimaryKeyConstraint, Table

from butler_model.universe import DimensionGroup

from .dimension_tables import key_type
from .schema import NAMING, StaticTables

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
    """Declares the tables of groups of dimensions.

    Which group has which id is not the same in every repository; on SQLite not even always in one, where an id is given
    again whose transaction was rolled back. So a pair of both is declared apart from all others.
    """

    def __init__(self, static: StaticTables) -> None:
        self._static = static
        self._declared: dict[tuple[int, DimensionGroup], PlaceTables] = {}
        self._lock = Lock()

    def declare(self, group_id: int, group: DimensionGroup) -> PlaceTables:
        """Return the tables of a group of dimensions."""
        with self._lock:
            tables = self._declared.get((group_id, group))
            if tables is None:
                metadata = MetaData(schema=self._static.metadata.schema, naming_convention=NAMING)
                tables = self._declared[group_id, group] = PlaceTables(
                    self._make(f"dataset_tags_{group_id}", metadata, group, []),
                    self._make(
                        f"dataset_calibs_{group_id}",
                        metadata,
                        group,
                        [
                            Column(CALIBRATION_BEGIN, BigInteger, nullable=False, comment="TAI nanoseconds"),
                            Column(CALIBRATION_END, BigInteger, nullable=False, comment="TAI nanoseconds"),
                        ],
                    ),
                )
            return tables

    def _make(
        self, name: str, metadata: MetaData, group: DimensionGroup, validity: list[Column[Any]]
    ) -> Table:
        static = self._static
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
            metadata,
            Column("dataset_type_id", ForeignKey(static.dataset_type.c.id), nullable=False),
            Column("collection_id", ForeignKey(static.collection.c.id, ondelete="CASCADE"), nullable=False),
            *keys,
            *validity,
            Column("dataset_id", ForeignKey(static.dataset.c.id, ondelete="CASCADE"), nullable=False),
            PrimaryKeyConstraint(
                "dataset_type_id", "collection_id", *group.required, *(c.name for c in validity[:1])
            ),
            # Deleting datasets without it was 23 to 80 times slower.
            Index(None, "dataset_id"),
            *last,
        )
