# SPDX-License-Identifier: BSD-3-Clause
"""What a name in an expression or an order stands for: a field of a dimension record, or of a dataset."""

from __future__ import annotations

__all__ = ["DATASET_FIELDS", "column_of_name", "dataset_field", "is_element_name"]

import difflib
from collections.abc import Collection, Iterable, Mapping

from butler_model.dimensions import ColumnType, DimensionElement
from butler_model.errors import UnknownNameError
from butler_model.universe import DimensionUniverse

from .typed import Column, DatasetColumn, ValueType

_TYPES: Mapping[ColumnType, ValueType] = {
    ColumnType.STRING: ValueType.STRING,
    ColumnType.INT: ValueType.INT,
    ColumnType.FLOAT: ValueType.FLOAT,
    ColumnType.BOOL: ValueType.BOOL,
    ColumnType.HASH: ValueType.HASH,
    ColumnType.REGION: ValueType.REGION,
    ColumnType.TIMESPAN: ValueType.TIMESPAN,
}
DATASET_FIELDS: Mapping[str, ValueType] = {
    "ingest_date": ValueType.TIME,
    "run": ValueType.STRING,
    "collection": ValueType.STRING,
    "id": ValueType.UUID,
    "timespan": ValueType.TIMESPAN,
}
_ENDS = ("begin", "end")


def is_element_name(universe: DimensionUniverse, name: str) -> bool:
    """Return whether a bound value must not have this name, because expressions mean an element by it."""
    return name in universe.elements


def dataset_field(name: str, dataset_types: Collection[str]) -> DatasetColumn | None:
    """Return the field of a dataset that a name means, if it does.

    ``TYPE.field`` names the type; a bare ``ingest_date`` (in any case) needs exactly one type.
    """
    if name.lower() == "ingest_date" and len(dataset_types) == 1:
        return DatasetColumn(next(iter(dataset_types)), "ingest_date", ValueType.TIME)
    for dataset_type in dataset_types:
        if not name.startswith(dataset_type + "."):
            continue
        field, _, end = name[len(dataset_type) + 1 :].partition(".")
        if field not in DATASET_FIELDS or (end and (field != "timespan" or end not in _ENDS)):
            raise _unknown(name, (f"{dataset_type}.{known}" for known in DATASET_FIELDS))
        type_ = ValueType.TIME if end else DATASET_FIELDS[field]
        return DatasetColumn(dataset_type, field, type_, end)
    return None


def column_of_name(universe: DimensionUniverse, name: str, also: Iterable[str] = ()) -> Column:
    """Return the field that a name means: ``dimension``, ``element.field``, or ``element.timespan.begin``.

    Parameters
    ----------
    also
        Other names that would have been right, for the message.

    Raises
    ------
    UnknownNameError
        Raised if it means none; the message suggests the nearest.
    """
    parts = name.split(".")
    element = universe.get(parts[0])
    if element is None:
        raise _unknown(name, [*universe.elements, *also], _owners(universe, name))
    if len(parts) == 1:
        if element.primary_key is None:
            raise UnknownNameError(
                f"{name!r} relates dimensions and has no value of its own; name a field of it.", name=name
            )
        return Column(name, element.primary_key.name, _TYPES[element.primary_key.type])
    return _field(element, parts[1], parts[2] if len(parts) > 2 else "", name)


def _field(element: DimensionElement, field: str, end: str, name: str) -> Column:
    columns = {column.name: column for column in element.columns}
    if field in element.universe.elements and field != element.name and field in element.required:
        raise UnknownNameError(f"{name!r} is written {field!r}: every dimension has one name.", name=name)
    if field == element.name and element.primary_key is not None:
        field = element.primary_key.name
    column = columns.get(field)
    if column is None or not (element.has_table or field == element.field_name(element.name)):
        raise _unknown(name, (f"{element.name}.{known}" for known in columns))
    if end and (column.type is not ColumnType.TIMESPAN or end not in _ENDS):
        raise _unknown(
            name, (f"{element.name}.timespan.{each}" for each in _ENDS) if element.temporal else ()
        )
    return Column(element.name, field, ValueType.TIME if end else _TYPES[column.type], end)


def _owners(universe: DimensionUniverse, field: str) -> list[str]:
    return [f"{e.name}.{field}" for e in universe if any(column.name == field for column in e.columns)]


def _unknown(name: str, known: Iterable[str], exact: Iterable[str] = ()) -> UnknownNameError:
    near = [*exact][:3] or difflib.get_close_matches(name, [*known], 2)
    hint = (
        f"did you mean {' or '.join(near)}?"
        if near
        else "bind a value to it, or name a dimension or its field."
    )
    return UnknownNameError(
        f"{name!r:.200} is neither a dimension nor a field nor a bound value; {hint}", name=name[:200]
    )
