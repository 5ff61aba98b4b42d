# SPDX-License-Identifier: BSD-3-Clause
"""Pages of a result as tables: column by column, without an object for each row."""

from __future__ import annotations

__all__ = ["arrow_of_pages", "pandas_of_arrow", "table_of_pages"]

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from butler_model.paging import ResultColumn, ResultPage, ResultType

if TYPE_CHECKING:
    import astropy.table
    import pandas
    import pyarrow


def arrow_of_pages(pages: Iterable[ResultPage]) -> pyarrow.Table:
    """Return pages of one result as a table of pyarrow.

    UUIDs are 16 bytes each, regions as lsst.sphgeom encodes them. A timespan is two
    columns of TAI nanoseconds, ``NAME_begin`` and ``NAME_end``.
    """
    import pyarrow as pa

    types = {
        ResultType.INT: pa.int64(),
        ResultType.FLOAT: pa.float64(),
        ResultType.BOOL: pa.bool_(),
        ResultType.STRING: pa.string(),
        ResultType.UUID: pa.binary(16),
        ResultType.TIMESPAN: pa.int64(),
    }
    batches = []
    for page in pages:
        columns = [column for each in page.columns for column in _split(each)]
        arrays = [pa.array(_bare(c), types.get(c.type, pa.binary())) for c in columns]
        batches.append(pa.table(arrays, names=[c.name for c in columns]))
    return pa.concat_tables(batches) if batches else pa.table({})


def pandas_of_arrow(table: pyarrow.Table) -> pandas.DataFrame:
    """Return a table as a data frame; integers with gaps stay integers, UUIDs are of Python."""
    import pandas as pd
    import pyarrow as pa

    types = {pa.int64(): pd.Int64Dtype()}
    gaps = {name for name in table.column_names if table[name].null_count}
    frame = table.select([n for n in table.column_names if n not in gaps]).to_pandas()
    for name in gaps:
        frame[name] = table[name].to_pandas(types_mapper=types.get)
    frame = frame[table.column_names]
    for name in table.column_names:
        if table.schema.field(name).type == pa.binary(16):
            frame[name] = [None if raw is None else UUID(bytes=raw) for raw in frame[name]]
    return frame


def table_of_pages(pages: Iterable[ResultPage]) -> astropy.table.Table:
    """Return pages of one result as a table of astropy; columns with gaps are masked, UUIDs are text."""
    from astropy.table import Column, MaskedColumn, Table

    names: list[str] = []
    types: list[ResultType] = []
    values: list[list[Any]] = []
    for page in pages:
        columns = [column for each in page.columns for column in _split(each)]
        if not names:
            names, types = [c.name for c in columns], [c.type for c in columns]
            values = [[] for _ in columns]
        for some, column in zip(values, columns, strict=True):
            some += map(str, column.values) if column.type is ResultType.UUID else column.values
    table = Table()
    for name, type_, cells in zip(names, types, values, strict=True):
        mask = [cell is None for cell in cells]
        empty, dtype = _CELLS.get(type_, (None, object))
        filled = [empty if gap else cell for cell, gap in zip(cells, mask, strict=True)]
        if any(mask):
            table[name] = MaskedColumn(filled, mask=mask, dtype=dtype)
        else:
            table[name] = Column(filled, dtype=dtype)
    return table


_CELLS: dict[ResultType, tuple[Any, Any]] = {
    ResultType.INT: (0, "int64"),
    ResultType.TIMESPAN: (0, "int64"),
    ResultType.FLOAT: (0.0, "float64"),
    ResultType.BOOL: (False, "bool"),
    ResultType.STRING: ("", "str"),
    ResultType.UUID: ("", "str"),
}


def _split(column: ResultColumn) -> Iterator[ResultColumn]:
    if column.type is not ResultType.TIMESPAN:
        yield column
        return
    for i, end in enumerate(("begin", "end")):
        values = [None if value is None else value.nsec[i] for value in column.values]
        yield ResultColumn(f"{column.name}_{end}", ResultType.TIMESPAN, values)


def _bare(column: ResultColumn) -> Sequence[Any]:
    if column.type is ResultType.UUID:
        return [value.bytes for value in column.values]
    if column.type is ResultType.REGION:
        return [None if value is None else value.encode() for value in column.values]
    return column.values
