# SPDX-License-Identifier: BSD-3-Clause
"""Dimension records that a test needs and does not care about."""

from __future__ import annotations

__all__ = ["addDataIdValue", "expandUniqueId"]

from collections.abc import Mapping
from typing import Any

from butler import Butler
from butler_model.data_id import DataCoordinate
from butler_model.dimensions import Column, ColumnType, DimensionElement
from butler_model.errors import NotInsertableError


def addDataIdValue(butler: Butler, dimension: str, value: str | int, **related: str | int) -> None:
    """Make a value of a dimension valid, with whatever else that takes.

    Other dimensions that its record needs are those given, else the first there are, else made up.

    Parameters
    ----------
    butler
        May write.
    dimension
        Name; ``band`` makes a physical filter of that band.
    value
        Nothing happens if there is such a value already.
    **related
        Values of dimensions that this one depends on: ``instrument="Cam"`` for a detector. They are made, too.

    Raises
    ------
    DimensionNameError
        Raised if a dimension is unknown.
    DimensionValueError
        Raised if a value is of the wrong type.
    NotInsertableError
        Raised for pixels, which are there without being added.
    ReadOnlyError
        Raised if the butler is not writeable.
    """
    element = butler.dimensions.dimension(dimension)
    if element.skypix is not None:
        raise NotInsertableError(
            f"{dimension} has all its values from the beginning; use them.", dimension=dimension
        )
    for name in related:
        butler.dimensions.dimension(name)
    known = {**related, dimension: value}
    if element.view_of is None:
        _add(butler, element, known)
    elif not butler.query().where({dimension: value}, check=False).data_ids(dimension).any():
        _add(butler, butler.dimensions[element.view_of], known)


def expandUniqueId(butler: Butler, partialId: Mapping[str, Any]) -> DataCoordinate:
    """Return the one data ID of the dimensions there are that has some values, with its records.

    Parameters
    ----------
    partialId
        Values that it must have; what they depend on is found.

    Raises
    ------
    ValueError
        Raised if there is no such data ID, or several.
    """
    dimensions = butler.dimensions.conform(partialId)
    found = list(butler.query().where(dict(partialId), check=False).data_ids(dimensions).expanded().limit(2))
    if len(found) != 1:
        number = "no data ID" if not found else "several data IDs"
        raise ValueError(
            f"There are {number} of {dimensions} with {dict(partialId)}; add or give other values."
        )
    return found[0]


def _add(butler: Butler, element: DimensionElement, known: dict[str, Any]) -> str | int:
    """Insert a record of an element unless it is there; return the value of its key."""
    values = dict(known)
    for name in (*element.required, *element.implied):
        if name != element.name:
            values[name] = _value_of(butler, butler.dimensions[name], values)
    # One that does not fit may be there already, under the name that another would be given.
    made_up = "-".join([element.name, *(str(known[each]) for each in element.implied if each in known)])
    key: str | int = values.setdefault(element.name, _made_up(element.key_columns[element.name], made_up))
    required = {name: values[name] for name in element.required}
    existing = butler.query().where(required, check=False).dimension_records(element.name)
    if existing.any():
        return key
    fields = {element.field_name(name): values[name] for name in (*element.required, *element.implied)}
    for column in (*element.alternate_keys, *element.metadata):
        if not column.nullable or column in element.alternate_keys:
            fields.setdefault(column.name, _made_up(column, f"{element.name}{key}"))
    butler.registry.insertDimensionData(element.name, fields)
    return key


def _value_of(butler: Butler, element: DimensionElement, known: Mapping[str, Any]) -> str | int:
    """Return the value of a dimension that a record needs: the known one, else the first there is, else a new one."""
    if element.view_of is not None:
        # The record itself has it.
        value: str | int = known.get(element.name) or _made_up(
            element.key_columns[element.name], element.name
        )
        return value
    if element.name in known:
        return _add(butler, element, dict(known))
    fitting = {name: known[name] for name in (*element.required, *element.implied) if name in known}
    for found in butler.query().where(fitting, check=False).data_ids(element.name).limit(1):
        first: str | int = found[element.name]
        return first
    return _add(butler, element, dict(known))


def _made_up(column: Column, text: str) -> Any:
    match column.type:
        case ColumnType.STRING:
            return text[: column.length]
        case ColumnType.INT | ColumnType.FLOAT:
            return 0
        case ColumnType.BOOL:
            return False
        case ColumnType.HASH:
            return text.encode()[: column.nbytes]
    return None
