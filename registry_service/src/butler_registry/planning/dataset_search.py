# SPDX-License-Identifier: BSD-3-Clause
"""Where datasets of one type stand: rows of tags, and of ranges of validity."""

from __future__ import annotations

__all__ = ["Places", "dataset_places", "existing_data_ids"]

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, FromClause, false, literal, select, true

from butler_model.timespan import MAX_NSEC, MIN_NSEC
from butler_registry.storage.collection_store import CollectionRow
from butler_registry.storage.dataset_type_store import DatasetTypeRow
from butler_registry.storage.tag_tables import CALIBRATION_BEGIN, CALIBRATION_END

_ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Places:
    """Rows that say which dataset stands in which collection.

    Attributes
    ----------
    valid
        Begin and end of validity; `None` if no CALIBRATION collection is searched.
    always
        Whether it is from another kind of collection, where time does not matter; `None` if none of those is searched.
    conditions
        What narrows the table to the search.
    """

    table: FromClause
    valid: tuple[ColumnElement[int], ColumnElement[int]] | None
    conditions: tuple[ColumnElement[bool], ...]
    always: ColumnElement[bool] | None = None

    def dimensions(self, row: DatasetTypeRow) -> dict[str, ColumnElement[Any]]:
        """Return the columns of the required dimensions."""
        return {name: self.table.c[name] for name in row.dataset_type.dimensions.required}


def dataset_places(row: DatasetTypeRow, collections: Sequence[CollectionRow]) -> Places:
    """Return the places of datasets of one type in some collections; chains must be resolved already.

    Datasets of other than calibration types stand in no CALIBRATION collection.
    """
    tagged = [c.id for c in collections if not c.is_calibration]
    certified = [c.id for c in collections if c.is_calibration]
    if not certified or not row.dataset_type.isCalibration():
        tags = row.tags
        return Places(tags, None, _searched(tags, row, tagged))
    names = ["dataset_id", "collection_id", *row.dataset_type.dimensions.required]
    ranges = select(*(row.calibrations.c[name] for name in (*names, CALIBRATION_BEGIN, CALIBRATION_END)))
    ranges = ranges.where(*_searched(row.calibrations, row, certified))
    if not tagged:
        certain = ranges.subquery("places")
        return Places(certain, (certain.c[CALIBRATION_BEGIN], certain.c[CALIBRATION_END]), ())
    always = literal(MIN_NSEC).label(CALIBRATION_BEGIN), literal(MAX_NSEC).label(CALIBRATION_END)
    rest = select(*(row.tags.c[name] for name in names), *always, true().label(_ALWAYS))
    rest = rest.where(*_searched(row.tags, row, tagged))
    table = ranges.add_columns(false().label(_ALWAYS)).union_all(rest).subquery("places")
    return Places(table, (table.c[CALIBRATION_BEGIN], table.c[CALIBRATION_END]), (), table.c[_ALWAYS])


def existing_data_ids(row: DatasetTypeRow, collections: Sequence[CollectionRow], number: int) -> Places:
    """Return the places that a constraint needs: each data ID once, unless its ranges of validity differ.

    Parameters
    ----------
    number
        Position of the constraint among those of a query, for a name.
    """
    places = dataset_places(row, collections)
    always = [] if places.always is None else [places.always]
    columns = [*places.dimensions(row).values(), *(places.valid or ()), *always]
    query = select(*(columns or [places.table.c.dataset_type_id])).where(*places.conditions)
    if len(collections) != 1 or places.valid is not None or not columns:
        query = query.distinct()
    table = query.subquery(f"existing_{number}")
    valid = (table.c[CALIBRATION_BEGIN], table.c[CALIBRATION_END]) if places.valid is not None else None
    return Places(table, valid, (), table.c[_ALWAYS] if always else None)


def _searched(table: FromClause, row: DatasetTypeRow, ids: Sequence[int]) -> tuple[ColumnElement[bool], ...]:
    return (table.c.dataset_type_id == row.id, table.c.collection_id.in_(ids))
