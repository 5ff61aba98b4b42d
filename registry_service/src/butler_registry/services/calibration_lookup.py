# SPDX-License-Identifier: BSD-3-Clause
"""Which calibrations are valid for what was looked for.

The time comes from the lookup, or else from the data ID: from the first of exposure, visit and night (the members of
the temporal family) that it names. One without times counts as unbounded. Without any time, a CALIBRATION collection
holds nothing that could be meant, and the search goes on.
"""

from __future__ import annotations

__all__ = ["find_valid", "temporal_dimensions"]

from collections import defaultdict
from collections.abc import Mapping, Sequence

from butler_model.data_id import DataIdValue
from butler_model.errors import AmbiguousDatasetError, DataIdValueError
from butler_model.ports import DatasetLookup
from butler_model.timespan import Timespan
from butler_model.universe import DimensionUniverse
from butler_registry.storage.calibration_search import CalibrationLookup, CalibrationSearch, ValidDataset
from butler_registry.storage.dataset_store import DatasetRow
from butler_registry.storage.dataset_type_store import DatasetTypeRow

from .definitions import Snapshot

_ALWAYS = Timespan(None, None)


def temporal_dimensions(universe: DimensionUniverse) -> tuple[str, ...]:
    """Return the dimensions whose records have times, those first that decide before others."""
    return tuple(
        name
        for members in universe.families["temporal"].values()
        for name in members
        if universe[name].is_dimension
    )


def find_valid(
    snapshot: Snapshot,
    search: CalibrationSearch,
    row: DatasetTypeRow,
    lookup: DatasetLookup,
    values: Sequence[Mapping[str, DataIdValue]],
    collection_ids: Sequence[int],
) -> dict[int, list[DatasetRow]]:
    """Return the datasets that are valid for each data ID, by its position; nothing for those without a time.

    Raises
    ------
    AmbiguousDatasetError
        Raised if a collection has more than one range of validity for what was looked for, be it of one dataset.
    DataIdValueError
        Raised if the exposure, visit or night of a data ID has no record.
    """
    required = row.dataset_type.dimensions.required
    wanted: dict[int, CalibrationLookup] = {}
    for i, given in enumerate(values):
        timespan = lookup.timespan or _time_of(snapshot, given)
        if timespan is not None and not timespan.isEmpty():
            wanted[i] = (tuple(given[name] for name in required), *timespan.nsec)
    if not wanted:
        return {}
    found = search.find(
        snapshot.connection,
        row,
        list(dict.fromkeys(wanted.values())),
        collection_ids,
        want_artifacts=lookup.want_artifacts,
    )
    by_lookup: dict[CalibrationLookup, list[ValidDataset]] = defaultdict(list)
    for valid in found:
        by_lookup[valid.lookup].append(valid)
    for some in by_lookup.values():
        _refuse_ambiguous(row, some)
    return {i: [valid.row for valid in by_lookup[key]] for i, key in wanted.items() if key in by_lookup}


def _time_of(snapshot: Snapshot, values: Mapping[str, DataIdValue]) -> Timespan | None:
    universe = snapshot.universe
    for name in temporal_dimensions(universe):
        element = universe[name]
        if name not in values or any(parent not in values for parent in element.required):
            continue
        key = tuple(values[parent] for parent in element.required)
        record = snapshot.records(element, [key]).get(key)
        if record is None:
            shown = ", ".join(f"{n}: {v!r}" for n, v in zip(element.required, key, strict=True))
            raise DataIdValueError(
                f"There is no {name} {{{shown}}} whose time could be looked up.", dimension=name
            )
        timespan: Timespan | None = record.get("timespan")
        return _ALWAYS if timespan is None else timespan
    return None


def _refuse_ambiguous(row: DatasetTypeRow, found: Sequence[ValidDataset]) -> None:
    ranges: dict[int, set[int]] = defaultdict(set)
    for valid in found:
        ranges[valid.row.collection_id].add(valid.valid_from)
    if any(len(begins) > 1 for begins in ranges.values()):
        shown = dict(zip(row.dataset_type.dimensions.required, found[0].row.data_id, strict=True))
        raise AmbiguousDatasetError(
            f"More than one {row.dataset_type.name!r} for {shown} is valid in the time that was looked up; ask for a "
            "shorter timespan.",
            dataset_type=row.dataset_type.name,
        )
