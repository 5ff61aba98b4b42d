# SPDX-License-Identifier: BSD-3-Clause
"""Columns and tables: many values in one message, without an object per row where the type allows."""

from __future__ import annotations

__all__ = [
    "check_rows",
    "column_from_proto",
    "column_to_proto",
    "columns_from_proto",
    "given_column_to_proto",
]

import itertools
from collections.abc import Callable, Mapping, Sequence
from types import NoneType
from typing import Any
from uuid import UUID

from butler_api.v1 import values_pb2 as pb
from butler_model.errors import InvalidRequestError, LimitExceededError
from butler_model.paging import ResultColumn, ResultType
from butler_model.timespan import Timespan
from butler_model.uuids import UUID_BYTES, Uuids

from .values import (
    plain_value,
    region_from_proto,
    timespan_from_nsec,
    unsendable,
    value_from_proto,
    value_to_proto,
)

_GET_NUMBER = UUID.__dict__["int"].__get__
_NO_UUID = UUID(int=0)
_NO_TIMESPAN = Timespan.from_nsec(None, None)


def check_rows(rows: int, limit: int) -> None:
    """Raise `LimitExceededError` if a table has more rows than a batch may have.

    To be called before the rows are made: a table without columns can claim four thousand million rows in a
    message of six bytes.
    """
    if rows > limit:
        raise LimitExceededError(
            f"A batch of {rows} items is too large; send at most {limit} at a time.", limit=str(limit)
        )


def column_to_proto(name: str, kind: ResultType, values: Sequence[Any]) -> pb.Column:
    """Return the message for values that are all of one type, or `None`."""
    write, placeholder = _WRITERS[kind]
    nulls: list[int] = []
    # By type: the equality of UUIDs and timespans would be asked once for each value.
    if not isinstance(values, Uuids) and NoneType in map(type, values):
        nulls = [i for i, value in enumerate(values) if value is None]
        values = [placeholder if value is None else value for value in values]
    column = write(values)
    column.name = name
    column.null_rows.extend(nulls)
    return column


def given_column_to_proto(name: str, values: list[Any], absent: Sequence[int] = ()) -> pb.Column:
    """Return the message for one key of data IDs as a caller gave them, every value with the type it has.

    Parameters
    ----------
    absent
        Rows that do not have the key, ascending; their values are ignored.

    Raises
    ------
    DimensionValueError
        Raised if a value has no form on the wire.
    """
    missing = frozenset(absent)
    kinds = (
        {type(value) for i, value in enumerate(values) if i not in missing}
        if missing
        else set(map(type, values))
    )
    if not kinds <= {int} and not kinds <= {str}:
        values = [plain_value(value) for value in values]
        kinds = {type(value) for i, value in enumerate(values) if i not in missing}
    if len(kinds) == 1 and (simple := _GIVEN.get(kind := kinds.pop())):
        filled = [kind() if i in missing else value for i, value in enumerate(values)] if missing else values
        try:
            column = _WRITERS[simple][0](filled)
        except ValueError as error:
            raise unsendable(name, _offender(filled)) from error
    else:
        cells = [pb.Value() if i in missing else value_to_proto(v, name) for i, v in enumerate(values)]
        column = pb.Column(mixed=pb.ValueColumn(values=cells))
    column.name = name
    column.null_rows.extend(absent)
    return column


def columns_from_proto(table: pb.Table) -> list[ResultColumn]:
    """Return the columns of a table.

    Raises `InvalidRequestError` if a column is not as long as the table, has no values, or comes twice.
    """
    columns = [column_from_proto(column, table.rows) for column in table.columns]
    if len({column.name for column in columns}) != len(columns):
        names = ", ".join(sorted(column.name for column in columns))
        raise InvalidRequestError(f"A table has two columns of the same name among {names:.200}.")
    return columns


def column_from_proto(message: pb.Column, rows: int) -> ResultColumn:
    """Return one column of a table that has ``rows`` rows; see `columns_from_proto`."""
    kind = message.WhichOneof("values")
    if kind is None:
        raise InvalidRequestError(f"The column {message.name!r:.80} has no values.", column=message.name[:80])
    if kind == "mixed":
        # The type of such a column is that of no value in particular.
        type_, values = ResultType.STRING, [value_from_proto(value) for value in message.mixed.values]
    else:
        type_, read = _READERS[kind]
        values = read(message)
    if len(values) != rows:
        raise InvalidRequestError(
            f"The column {message.name!r:.80} has {len(values)} values in a table of {rows} rows.",
            column=message.name[:80],
        )
    if message.null_rows:
        values = list(values)
    for row in message.null_rows:
        if row >= rows:
            raise InvalidRequestError(
                f"The column {message.name!r:.80} lacks a value in row {row} of {rows}.",
                column=message.name[:80],
            )
        values[row] = None
    return ResultColumn(message.name, type_, values)


def _offender(values: Sequence[Any]) -> object:
    for value in values:
        try:
            value_to_proto(value, "")
        except ValueError:
            return value
    return values[0]


def _write_strings(values: Sequence[str]) -> pb.Column:
    dictionary = dict(zip(dict.fromkeys(values), itertools.count()))
    return pb.Column(
        strings=pb.StringColumn(dictionary=dictionary, indexes=list(map(dictionary.__getitem__, values)))
    )


def _read_strings(message: pb.Column) -> list[str]:
    dictionary = list(message.strings.dictionary)
    try:
        return list(map(dictionary.__getitem__, message.strings.indexes))
    except IndexError:
        raise InvalidRequestError(
            f"The column {message.name!r:.80} refers beyond its dictionary of {len(dictionary)} strings.",
            column=message.name[:80],
        ) from None


def _write_uuids(values: Sequence[UUID]) -> pb.Column:
    if isinstance(values, Uuids):
        return pb.Column(uuids=values.raw)
    numbers = map(_GET_NUMBER, values)
    return pb.Column(uuids=b"".join([number.to_bytes(UUID_BYTES, "big") for number in numbers]))


def _read_uuids(message: pb.Column) -> Uuids:
    raw = message.uuids
    if len(raw) % UUID_BYTES:
        raise InvalidRequestError(
            f"The column {message.name!r:.80} has {len(raw)} bytes of UUIDs, no multiple of {UUID_BYTES}.",
            column=message.name[:80],
        )
    return Uuids(raw)


def _write_timespans(values: Sequence[Timespan]) -> pb.Column:
    bounds = [value.nsec for value in values]
    begins, ends = [begin for begin, _ in bounds], [end for _, end in bounds]
    return pb.Column(timespans=pb.TimespanColumn(begin_nsec=begins, end_nsec=ends))


def _read_timespans(message: pb.Column) -> list[Timespan]:
    begins, ends = message.timespans.begin_nsec, message.timespans.end_nsec
    if len(begins) != len(ends):
        raise InvalidRequestError(
            f"The column {message.name!r:.80} has {len(begins)} begins and {len(ends)} ends.",
            column=message.name[:80],
        )
    return list(map(timespan_from_nsec, begins, ends))


def _write_regions(values: Sequence[Any]) -> pb.Column:
    return pb.Column(regions=pb.BytesColumn(values=[value.encode() if value else b"" for value in values]))


def _read_regions(message: pb.Column) -> list[Any]:
    nulls = frozenset(message.null_rows)
    encoded = message.regions.values
    return [None if i in nulls else region_from_proto(value) for i, value in enumerate(encoded)]


_WRITERS: Mapping[ResultType, tuple[Callable[[Any], pb.Column], Any]] = {
    ResultType.INT: (lambda values: pb.Column(ints=pb.IntColumn(values=values)), 0),
    ResultType.STRING: (_write_strings, ""),
    ResultType.FLOAT: (lambda values: pb.Column(floats=pb.FloatColumn(values=values)), 0.0),
    ResultType.BOOL: (lambda values: pb.Column(bools=pb.BoolColumn(values=values)), False),
    ResultType.BYTES: (lambda values: pb.Column(bytes=pb.BytesColumn(values=values)), b""),
    ResultType.REGION: (_write_regions, None),
    ResultType.TIMESPAN: (_write_timespans, _NO_TIMESPAN),
    ResultType.UUID: (_write_uuids, _NO_UUID),
}
"""For each type how a column is made, and what stands in rows without a value."""

_READERS: Mapping[str, tuple[ResultType, Callable[[pb.Column], Any]]] = {
    "ints": (ResultType.INT, lambda message: list(message.ints.values)),
    "strings": (ResultType.STRING, _read_strings),
    "floats": (ResultType.FLOAT, lambda message: list(message.floats.values)),
    "bools": (ResultType.BOOL, lambda message: list(message.bools.values)),
    "bytes": (ResultType.BYTES, lambda message: list(message.bytes.values)),
    "regions": (ResultType.REGION, _read_regions),
    "timespans": (ResultType.TIMESPAN, _read_timespans),
    "uuids": (ResultType.UUID, _read_uuids),
}

_GIVEN: Mapping[type, ResultType] = {int: ResultType.INT, str: ResultType.STRING}
