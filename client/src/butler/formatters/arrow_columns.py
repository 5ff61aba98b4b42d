# SPDX-License-Identifier: BSD-3-Clause
"""Columns of NumPy values as Arrow columns, and back with the same dtype, shape and mask."""

from __future__ import annotations

__all__ = ["ArrayColumn", "from_arrow", "structured_from_arrow", "structured_to_arrow", "to_arrow"]

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

# Metadata of an Arrow field: what Arrow itself cannot tell of the column that it was made from.
_DTYPE = b"numpy.dtype"
_MASKED = b"numpy.masked"

_KINDS = "biufUSMm"
_WIDEST_FLOAT = 8
_STRINGS = {"U": pa.string(), "S": pa.binary()}
_ZEROS: dict[str, object] = {"U": "", "S": b"", "b": False}


@dataclass(frozen=True, slots=True, eq=False)
class ArrayColumn:
    """One column.

    Parameters
    ----------
    values
        Shape (rows, ...).
    mask
        Same shape, true where there is no value; `None` if the column is not a masked one.
    """

    values: np.ndarray[Any, Any]
    mask: np.ndarray[Any, Any] | None = None


def to_arrow(name: str, column: ArrayColumn) -> tuple[pa.Field, pa.Array]:
    """Make an Arrow column; cells that are arrays become fixed-size lists.

    Raises
    ------
    TypeError
        Raised if Arrow has no equal of the dtype.
    """
    values, dtype = column.values, column.values.dtype
    if dtype.kind not in _KINDS or (dtype.kind == "f" and dtype.itemsize > _WIDEST_FLOAT):
        raise TypeError(f"column {name!r} is of dtype {dtype}, which has no equal in a table file")
    if 0 in values.shape[1:]:
        raise TypeError(f"column {name!r} has cells of shape {values.shape[1:]}, which are empty")
    flat = np.ascontiguousarray(values, dtype=dtype.newbyteorder("=")).reshape(-1)
    mask = None if column.mask is None else np.ascontiguousarray(column.mask).reshape(-1)
    if dtype.kind in "US":
        # As Python strings: pyarrow would end NumPy's at the first NUL inside.
        flat = flat.astype(object)
    array = pa.array(flat, type=_STRINGS.get(dtype.kind), mask=mask, from_pandas=False)
    if pa.types.is_date32(array.type) and np.any(~np.isnat(flat) & (abs(flat.view("i8")) >= 2**31)):
        raise TypeError(f"column {name!r} has days that Arrow's 32 bits do not reach")
    for size in reversed(values.shape[1:]):
        array = pa.FixedSizeListArray.from_arrays(array, size)
    metadata = {_DTYPE: dtype.str.encode()}
    if mask is not None:
        metadata[_MASKED] = b"true"
    return pa.field(name, array.type, metadata=metadata), array


def from_arrow(field: pa.Field, chunks: pa.ChunkedArray) -> ArrayColumn:
    """Make a NumPy column from any Arrow column that has an equal.

    Raises
    ------
    TypeError
        Raised if it has none, e.g. for lists of different lengths.
    """
    array = chunks.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        # What is too large for one chunk stays in several.
        raise TypeError(f"column {field.name!r} is too large for one array")
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    shape = [len(array)]
    while pa.types.is_fixed_size_list(array.type) and not array.null_count:
        shape.append(array.type.list_size)
        array = array.flatten()
    values, mask = _flat_values(field.name, array)
    metadata = field.metadata or {}
    if _DTYPE in metadata:
        values = values.astype(np.dtype(metadata[_DTYPE].decode()))
    if mask is None and _MASKED in metadata:
        # A time that is none is a value of a masked column, and no null.
        mask = array.is_null().to_numpy(zero_copy_only=False)
    return ArrayColumn(values.reshape(shape), None if mask is None else mask.reshape(shape))


def _flat_values(name: str, array: pa.Array) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any] | None]:
    """Copy of the values, and where they are null."""
    kind = _kind(array.type)
    if kind is None:
        raise TypeError(f"column {name!r} is of type {array.type}, which has no equal in NumPy")
    mask = None
    if array.null_count and kind not in "Mm":
        mask = array.is_null().to_numpy(zero_copy_only=False)
        array = array.fill_null(pa.scalar(_ZEROS.get(kind, 0), array.type))
    values = array.to_numpy(zero_copy_only=False)
    return np.array(values, dtype=kind if kind in "US" else None), mask


def _kind(arrow_type: pa.DataType) -> str | None:
    types = pa.types
    if types.is_string(arrow_type) or types.is_large_string(arrow_type) or types.is_string_view(arrow_type):
        return "U"
    if types.is_binary(arrow_type) or types.is_large_binary(arrow_type) or types.is_binary_view(arrow_type):
        return "S"
    if types.is_timestamp(arrow_type) or types.is_date(arrow_type):
        return "M"
    for kind, fits in (
        ("b", types.is_boolean),
        ("i", types.is_integer),
        ("f", types.is_floating),
        ("m", types.is_duration),
    ):
        if fits(arrow_type):
            return kind
    return None


def structured_to_arrow(array: np.ndarray[Any, Any]) -> pa.Table:
    """Make a table with a column for each field of a one-dimensional structured array.

    Raises
    ------
    TypeError
        Raised if the array is of another kind, or its fields are not packed.
    """
    dtype = array.dtype
    if type(array) is not np.ndarray or array.ndim != 1 or not dtype.names:
        raise TypeError(
            f"it takes a plain one-dimensional structured array, not a {type(array).__qualname__} of {dtype}"
        )
    packed = np.dtype([(name, dtype[name]) for name in dtype.names])
    if packed != dtype:
        raise TypeError(
            "the fields of the array are padded; numpy.lib.recfunctions.repack_fields makes them packed"
        )
    columns = [to_arrow(name, ArrayColumn(array[name])) for name in dtype.names]
    return pa.Table.from_arrays(
        [column for _, column in columns], schema=pa.schema([field for field, _ in columns])
    )


def structured_from_arrow(table: pa.Table) -> np.ndarray[Any, Any]:
    """Make a structured array of a table.

    Raises
    ------
    TypeError
        Raised if a column has no equal in NumPy, or misses values and is not of a float type.
    """
    columns = [_without_mask(field, table.column(index)) for index, field in enumerate(table.schema)]
    dtype = [
        (name, values.dtype, values.shape[1:])
        for name, values in zip(table.column_names, columns, strict=True)
    ]
    array = np.empty(table.num_rows, dtype=dtype)
    for name, values in zip(table.column_names, columns, strict=True):
        array[name] = values
    return array


def _without_mask(field: pa.Field, chunks: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    column = from_arrow(field, chunks)
    if column.mask is not None and column.mask.any():
        if column.values.dtype.kind != "f":
            raise TypeError(
                f"column {field.name!r} misses values, which {column.values.dtype} cannot express"
            )
        column.values[column.mask] = np.nan
    return column.values
