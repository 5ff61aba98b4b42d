# SPDX-License-Identifier: BSD-3-Clause
"""From the values of required dimensions to full data IDs with all records, many at a time."""

from __future__ import annotations

__all__ = ["expand"]

from collections.abc import Sequence
from typing import Any

from butler_model.data_id import DataCoordinate, DataIdValue
from butler_model.dimensions import DimensionElement
from butler_model.errors import DataIdValueError, InconsistentDataIdError
from butler_model.records import DimensionRecord
from butler_model.universe import DimensionGroup

from .definitions import Snapshot


def expand(
    snapshot: Snapshot, group: DimensionGroup, data_ids: Sequence[dict[str, DataIdValue]]
) -> list[DataCoordinate]:
    """Return expanded data IDs, with one statement per element for all of them.

    Parameters
    ----------
    data_ids
        Values of at least the required dimensions of ``group``; values of implied ones are checked.

    Raises
    ------
    DataIdValueError
        Raised if a value has no record.
    InconsistentDataIdError
        Raised if a value of an implied dimension is not what the record says, or always-joined elements do not
        relate the values (a visit and an exposure that is not part of it).
    """
    known = [{name: values[name] for name in group.required} for values in data_ids]
    records: list[dict[str, DimensionRecord | None]] = [{} for _ in data_ids]
    for element in group.lookup_order:
        found = _records_of(snapshot, group, element, known)
        for values, given, row_records in zip(known, data_ids, records, strict=True):
            key = tuple(values[name] for name in element.required)
            record = found.get(key)
            if record is None:
                _refuse_missing(element, key)
            else:
                _take_implied(element, record, values, given, group)
            row_records[element.name] = record
    names, elements = group.names, group.elements
    return [
        DataCoordinate(group, tuple(values[name] for name in names), {e: row_records[e] for e in elements})
        for values, row_records in zip(known, records, strict=True)
    ]


def _records_of(
    snapshot: Snapshot,
    group: DimensionGroup,
    element: DimensionElement,
    known: Sequence[dict[str, DataIdValue]],
) -> dict[tuple[Any, ...], DimensionRecord]:
    keys = dict.fromkeys(tuple(values[name] for name in element.required) for values in known)
    if element.skypix:
        return {}
    if element.view_of is not None:
        existing = {key[-1] for key in keys}
        if element.name in group.required:
            # An implied value was just read from the record that has it.
            existing = snapshot.existing_values(element, existing)
        return {key: DimensionRecord.from_values(element, key) for key in keys if key[-1] in existing}
    return snapshot.records(element, keys)


def _refuse_missing(element: DimensionElement, key: tuple[Any, ...]) -> None:
    shown = "{" + ", ".join(f"{n}: {v!r}" for n, v in zip(element.required, key, strict=True)) + "}"
    if element.is_dimension and not element.skypix:
        raise DataIdValueError(
            f"There is no {element} {shown}; insert its record with registry.insertDimensionData first.",
            dimension=element.name,
        )
    if element.always_join:
        raise InconsistentDataIdError(
            f"{', '.join(element.required)} do not belong together: no {element} record for {shown}.",
            element=element.name,
        )


def _take_implied(
    element: DimensionElement,
    record: DimensionRecord,
    values: dict[str, DataIdValue],
    given: dict[str, DataIdValue],
    group: DimensionGroup,
) -> None:
    for name in element.implied:
        if name not in group.index:
            continue
        value = record.get(name)
        said = values.get(name, given.get(name))
        if said is not None and said != value:
            raise InconsistentDataIdError(
                f"The {name} of {element} {record.key[-1]!r} is {value!r}, not {said!r}.", dimension=name
            )
        values[name] = value
