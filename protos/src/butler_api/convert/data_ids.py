# SPDX-License-Identifier: BSD-3-Clause
"""Data IDs: as a caller gave them, and expanded."""

from __future__ import annotations

__all__ = [
    "data_id_from_proto",
    "data_id_to_proto",
    "data_ids_from_proto",
    "data_ids_to_proto",
    "expanded_from_proto",
    "expanded_to_proto",
]

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any

from butler_api.v1 import models_pb2, values_pb2
from butler_model.data_id import DataCoordinate
from butler_model.errors import DimensionNameError, InvalidRequestError
from butler_model.paging import ResultType
from butler_model.records import DimensionRecord
from butler_model.universe import DimensionGroup, DimensionUniverse

from .columns import check_rows, column_to_proto, columns_from_proto, given_column_to_proto
from .dimension_records import (
    RESULT_TYPES,
    kept_record_from_proto,
    kept_record_to_proto,
    record_table_to_proto,
    trusted_records_from_proto,
)
from .values import value_from_proto, value_to_proto


def data_ids_to_proto(data_ids: Sequence[Mapping[str, Any]]) -> values_pb2.Table:
    """Return the table of data IDs as a caller gave them, unchecked; they need not have the same keys.

    Raises
    ------
    DimensionNameError
        Raised if a key is not a string.
    DimensionValueError
        Raised if a value has no form on the wire.
    """
    rows = [each.mapping if isinstance(each, DataCoordinate) else each for each in data_ids]
    names = (
        list(dict.fromkeys(name for row in rows for name in row))
        if _ragged(rows)
        else list(rows[0] if rows else ())
    )
    columns = []
    for name in names:
        _check_name(name)
        values = [row.get(name) for row in rows]
        absent = [i for i, row in enumerate(rows) if name not in row]
        columns.append(given_column_to_proto(name, values, absent))
    return values_pb2.Table(columns=columns, rows=len(rows))


def data_ids_from_proto(table: values_pb2.Table, limit: int) -> list[dict[str, Any]]:
    """Return the data IDs of a table, unchecked, with the types that their caller gave them.

    Raises
    ------
    LimitExceededError
        Raised if there are more than ``limit``.
    InvalidRequestError
        Raised if the table is malformed.
    """
    check_rows(table.rows, limit)
    columns = columns_from_proto(table)
    if not columns:
        return [{} for _ in range(table.rows)]
    names = [column.name for column in columns]
    data_ids = [dict(zip(names, row, strict=True)) for row in zip(*(c.values for c in columns), strict=True)]
    for column in table.columns:
        for row in column.null_rows:
            data_ids[row].pop(column.name, None)
    return data_ids


def data_id_to_proto(data_id: Mapping[str, Any]) -> dict[str, values_pb2.Value]:
    """Return the values of one data ID, unchecked; see `data_ids_to_proto` for errors."""
    if isinstance(data_id, DataCoordinate):
        data_id = data_id.mapping
    return {_check_name(name): value_to_proto(value, name) for name, value in data_id.items()}


def data_id_from_proto(values: Mapping[str, values_pb2.Value]) -> dict[str, Any]:
    """Return one data ID, unchecked."""
    return {name: value_from_proto(value) for name, value in values.items()}


def expanded_to_proto(data_ids: Sequence[DataCoordinate]) -> models_pb2.ExpandedDataIds:
    """Return data IDs of one group, with their implied values and, each once, the records they point to."""
    if not data_ids:
        return models_pb2.ExpandedDataIds()
    group = data_ids[0].dimensions
    cells = list(zip(*(data_id.values_tuple for data_id in data_ids), strict=True)) or [()] * len(group.names)
    columns = [
        column_to_proto(name, _key_type(group, name), values)
        for name, values in zip(group.names, cells, strict=True)
    ]
    attached = [data_id.records for data_id in data_ids]
    tables = []
    for name in group.elements:
        records = {id(record): record for each in attached if (record := each[name]) is not None}
        distinct = list(dict.fromkeys(records.values()))
        if len(distinct) == 1 and group.universe[name].has_table:
            tables.append(kept_record_to_proto(distinct[0]))
        else:
            tables.append(record_table_to_proto(group.universe[name], distinct))
    return models_pb2.ExpandedDataIds(
        data_ids=values_pb2.Table(columns=columns, rows=len(data_ids)), records=tables
    )


def expanded_from_proto(
    universe: DimensionUniverse, message: models_pb2.ExpandedDataIds
) -> list[DataCoordinate]:
    """Return expanded data IDs; those that point to the same record share it.

    Raises `InvalidRequestError` if the message is malformed.
    """
    rows = message.data_ids.rows
    columns = {column.name: column.values for column in columns_from_proto(message.data_ids)}
    if not rows:
        return []
    group = universe.conform(columns)
    if set(group.names) != set(columns):
        raise InvalidRequestError(
            f"Expanded data IDs need values of {group}, not of {', '.join(columns):.200}."
        )
    if not columns:
        return [DataCoordinate.make_empty(universe)] * rows
    found: list[Iterable[DimensionRecord | None]] = []
    tables = {table.element: table for table in message.records}
    for name in group.elements:
        element = universe[name]
        if name not in tables:
            found.append(repeat(None, rows))
            continue
        table = tables[name]
        if table.records.rows == 1:
            records = [kept_record_from_proto(element, table)]
        else:
            records = trusted_records_from_proto(element, table)
        by_key = {record.key: record for record in records}
        keys = zip(*(columns[dimension] for dimension in element.required), strict=True)
        found.append(map(by_key.get, keys))
    cells = zip(*(columns[name] for name in group.names), strict=True)
    attached = (dict(zip(group.elements, row, strict=True)) for row in zip(*found, strict=True))
    return [DataCoordinate(group, values, records) for values, records in zip(cells, attached, strict=True)]


def _ragged(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether not all rows have the keys of the first."""
    if not rows:
        return False
    keys = rows[0].keys()
    return any(row.keys() != keys for row in rows)


def _check_name(name: object) -> str:
    if not isinstance(name, str):
        raise DimensionNameError(
            f"A data ID has the key {name!r:.80}; keys are names of dimensions.", name=repr(name)[:80]
        )
    try:
        name.encode()
    except UnicodeEncodeError:
        raise DimensionNameError(f"There is no dimension {name!r:.80}.", name=repr(name)[:80]) from None
    return name


def _key_type(group: DimensionGroup, name: str) -> ResultType:
    return RESULT_TYPES[group.universe[name].key_columns[name].type]
