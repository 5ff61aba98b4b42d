# SPDX-License-Identifier: BSD-3-Clause
"""Dimension records: a table for each element, a column for each field."""

from __future__ import annotations

__all__ = [
    "RESULT_TYPES",
    "kept_record_from_proto",
    "kept_record_to_proto",
    "record_from_proto",
    "record_table_to_proto",
    "records_from_proto",
    "records_to_proto",
    "trusted_records_from_proto",
]

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any

from butler_api.v1 import models_pb2, values_pb2
from butler_model.dimensions import ColumnType, DimensionElement
from butler_model.errors import InvalidRequestError
from butler_model.paging import ResultType
from butler_model.records import DimensionRecord
from butler_model.universe import DimensionUniverse

from .columns import check_rows, column_to_proto, columns_from_proto

RESULT_TYPES: Mapping[ColumnType, ResultType] = {
    ColumnType.STRING: ResultType.STRING,
    ColumnType.INT: ResultType.INT,
    ColumnType.FLOAT: ResultType.FLOAT,
    ColumnType.BOOL: ResultType.BOOL,
    ColumnType.HASH: ResultType.BYTES,
    ColumnType.REGION: ResultType.REGION,
    ColumnType.TIMESPAN: ResultType.TIMESPAN,
}
"""How the fields of records travel."""


_MAX_KEPT = 4096
_TABLES: dict[int, tuple[DimensionRecord, models_pb2.DimensionRecordTable]] = {}
_RECORDS: dict[tuple[int, bytes], tuple[DimensionElement, DimensionRecord]] = {}
"""Conversions of single records that were made; the put of one dataset brings one of each element, mostly the same."""


def records_to_proto(
    element: DimensionElement, records: Sequence[DimensionRecord]
) -> models_pb2.DimensionRecordTable:
    """Return the table of records of one element; `InvalidRequestError` if one is of another element."""
    for record in records:
        if record.definition is not element:
            raise InvalidRequestError(
                f"A record of {record.definition} was given where records of {element} are needed.",
                element=element.name,
            )
    return record_table_to_proto(element, records)


def record_table_to_proto(
    element: DimensionElement, records: Sequence[DimensionRecord]
) -> models_pb2.DimensionRecordTable:
    """Return the table of records that are known to be of the element."""
    cells: Iterable[Sequence[Any]] = [()] * len(element.columns)
    if records:
        cells = zip(*(record.values for record in records), strict=True)
    columns = [
        column_to_proto(column.name, RESULT_TYPES[column.type], values)
        for column, values in zip(element.columns, cells, strict=True)
    ]
    return models_pb2.DimensionRecordTable(
        element=element.name, records=values_pb2.Table(columns=columns, rows=len(records))
    )


def kept_record_to_proto(record: DimensionRecord) -> models_pb2.DimensionRecordTable:
    """Return the table of one record; made once for a record that is given again and again, as caches do."""
    kept = _TABLES.get(id(record))
    if kept is None:
        _make_room(_TABLES)
        # The record stays with its table, so no other one can have its id.
        kept = _TABLES[id(record)] = record, record_table_to_proto(record.definition, [record])
    return kept[1]


def kept_record_from_proto(
    element: DimensionElement, message: models_pb2.DimensionRecordTable
) -> DimensionRecord:
    """Return the one record of a response; made once from what comes again and again. Errors as for many."""
    key = id(element), message.SerializeToString(deterministic=True)
    kept = _RECORDS.get(key)
    if kept is None:
        _make_room(_RECORDS)
        kept = _RECORDS[key] = element, trusted_records_from_proto(element, message)[0]
    return kept[1]


def _make_room(kept: dict[Any, Any]) -> None:
    if len(kept) >= _MAX_KEPT:
        kept.clear()


def records_from_proto(
    universe: DimensionUniverse, message: models_pb2.DimensionRecordTable, limit: int
) -> list[DimensionRecord]:
    """Return the records of a request, checked as if they had been made here.

    Raises
    ------
    LimitExceededError
        Raised if there are more than ``limit``.
    InvalidRequestError
        Raised if the table is malformed.
    DimensionNameError, DimensionValueError
        Raised as by `butler_model.records.DimensionRecord`.
    """
    element = universe[message.element]
    check_rows(message.records.rows, limit)
    columns = columns_from_proto(message.records)
    names = [column.name for column in columns]
    cells = (
        zip(*(column.values for column in columns), strict=True)
        if columns
        else repeat((), message.records.rows)
    )
    return [DimensionRecord(element, dict(zip(names, row, strict=True))) for row in cells]


def record_from_proto(
    universe: DimensionUniverse, message: models_pb2.DimensionRecordTable
) -> DimensionRecord:
    """Return the one record of a request; errors as of `records_from_proto`."""
    records = records_from_proto(universe, message, 1)
    if not records:
        raise InvalidRequestError("A table of exactly one record is needed, not an empty one.")
    return records[0]


def trusted_records_from_proto(
    element: DimensionElement, message: models_pb2.DimensionRecordTable
) -> list[DimensionRecord]:
    """Return the records of a response, whose fields the service has checked; only their types are.

    Raises `InvalidRequestError` if the table is malformed.
    """
    rows = message.records.rows
    given = {column.name: column for column in columns_from_proto(message.records)}
    cells: list[Iterable[Any]] = []
    for column in element.columns:
        found = given.get(column.name)
        if found is not None and found.type is not RESULT_TYPES[column.type]:
            raise InvalidRequestError(f"The field {element}.{column.name} came as {found.type.value}.")
        cells.append(repeat(None, rows) if found is None else found.values)
    return [DimensionRecord.from_values(element, row) for row in zip(*cells, strict=True)]
