# SPDX-License-Identifier: BSD-3-Clause
"""Dimension records: a table for each element, a column for each field."""

from __future__ import annotations

__all__ = [
    "RESULT_TYPES",
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
