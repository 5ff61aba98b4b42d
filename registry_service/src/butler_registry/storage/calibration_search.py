# SPDX-License-Identifier: BSD-3-Clause
"""Finding the calibration datasets that are valid for a range of time."""

from __future__ import annotations

__all__ = ["CalibrationLookup", "CalibrationSearch", "ValidDataset"]

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, and_

from .bound_rows import among, bound_rows
from .dataset_store import DatasetRow, DatasetStore
from .dataset_type_store import DatasetTypeRow
from .tag_tables import CALIBRATION_BEGIN, CALIBRATION_END

CalibrationLookup = tuple[tuple[Any, ...], int, int]
"""Values of required dimensions, and the range (TAI nanoseconds) that a calibration must be valid in."""


@dataclass(frozen=True, slots=True)
class ValidDataset:
    """A dataset that is valid for some of what was looked for; comes once per range of validity and artifact."""

    lookup: CalibrationLookup
    valid_from: int
    row: DatasetRow


class CalibrationSearch:
    """Searches CALIBRATION collections."""

    def __init__(self, datasets: DatasetStore) -> None:
        self._datasets = datasets

    def find(
        self,
        connection: Connection,
        row: DatasetTypeRow,
        lookups: Sequence[CalibrationLookup],
        collection_ids: Sequence[int],
        *,
        want_artifacts: bool,
    ) -> list[ValidDataset]:
        """Return every dataset of a type with one of the data IDs that is valid in some of the range beside it."""
        table, required = row.calibrations, row.dataset_type.dimensions.required
        ends = [table.c[CALIBRATION_BEGIN], table.c[CALIBRATION_END]]
        columns: list[Column[Any]] = [*(table.c[name] for name in required), *ends]
        wanted = bound_rows(
            columns, [(*key, begin, end) for key, begin, end in lookups], connection
        ).subquery("wanted")
        begin, end = wanted.c[CALIBRATION_BEGIN], wanted.c[CALIBRATION_END]
        matches = and_(
            *(table.c[name] == wanted.c[name] for name in required), ends[0] < end, ends[1] > begin
        )
        query = (
            self._datasets.select_from(table, row, want_artifacts=want_artifacts)
            .join(wanted, matches)
            .add_columns(begin, end, ends[0])
            .where(
                table.c.dataset_type_id == row.id, among(table.c.collection_id, collection_ids, connection)
            )
        )
        found = []
        for values in connection.execute(query):
            one = self._datasets.row_from(values, len(required), want_artifacts=want_artifacts)
            lookup = (one.data_id, values[-3], values[-2])
            found.append(ValidDataset(lookup, values[-1], one))
        return found
