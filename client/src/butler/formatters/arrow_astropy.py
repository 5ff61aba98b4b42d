# SPDX-License-Identifier: BSD-3-Clause
"""Astropy tables as Arrow tables.

The header that describes units, descriptions, metadata and mixin columns is the one that astropy itself
writes into Parquet files, under the same key, so that ``Table.read(path)`` understands the files too.
"""

from __future__ import annotations

__all__ = ["columns_behind", "table_from_arrow", "table_to_arrow"]

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from astropy.table import (
    Column,
    MaskedColumn,
    SerializedColumn,
    Table,
    meta,
    represent_mixins_as_columns,
    serialize,
)

from .arrow_columns import ArrayColumn, from_arrow, to_arrow

_HEADER = b"table_meta_yaml"
_MIXINS = "__serialized_columns__"
_ATTRIBUTES = ("unit", "format", "description", "meta")


def table_to_arrow(table: Table) -> pa.Table:
    """Make an Arrow table; masked values become nulls, mixin columns as many columns as they need."""
    # Masked columns stay one column each: Arrow has nulls.
    plain = represent_mixins_as_columns(table, exclude_classes=(MaskedColumn,))
    columns = [to_arrow(column.name, _array_column(column)) for column in plain.itercols()]
    header = "\n".join(meta.get_yaml_from_table(plain))
    schema = pa.schema([field for field, _ in columns], metadata={_HEADER: header.encode("utf-8")})
    return pa.Table.from_arrays([column for _, column in columns], schema=schema)


def table_from_arrow(arrow: pa.Table, pytype: type[Table]) -> Table:
    """Make an astropy table of an Arrow table, whoever wrote it.

    Parameters
    ----------
    arrow
        May lack columns that its header describes.
    pytype
        ``Table`` also gives a ``QTable``, where one was written.
    """
    header = _header(arrow.schema)
    described = {column["name"]: column for column in header.get("datatype", ())}
    columns = [
        _astropy_column(field, arrow.column(index), described.get(field.name, {}))
        for index, field in enumerate(arrow.schema)
    ]
    metadata = dict(header.get("meta", {}))
    mixins = {
        name: attributes
        for name, attributes in metadata.pop(_MIXINS, {}).items()
        if _serialized_in(attributes) <= set(arrow.column_names)
    }
    if mixins:
        metadata[_MIXINS] = mixins
    table = Table(columns, meta=metadata, copy=False)
    # There is no public name for the inverse of represent_mixins_as_columns; every astropy reader uses this
    # one.
    table = serialize._construct_mixins_from_columns(table)
    return table if isinstance(table, pytype) else pytype(table, copy=False)


def columns_behind(schema: pa.Schema) -> dict[str, list[str]]:
    """Name of each column that a user sees, with the names of the Arrow columns that it consists of."""
    mixins = _header(schema).get("meta", {}).get(_MIXINS, {})
    owner = {part: name for name, attributes in mixins.items() for part in _serialized_in(attributes)}
    behind: dict[str, list[str]] = {}
    for name in schema.names:
        behind.setdefault(owner.get(name, name), []).append(name)
    return behind


def _array_column(column: Column) -> ArrayColumn:
    if isinstance(column, MaskedColumn):
        mask = np.ma.getmaskarray(column.data)
        return ArrayColumn(np.asarray(column.data.data), mask)
    return ArrayColumn(np.asarray(column.data))


def _astropy_column(field: pa.Field, chunks: pa.ChunkedArray, described: Mapping[str, Any]) -> Column:
    column = from_arrow(field, chunks)
    attributes = {name: described[name] for name in _ATTRIBUTES if name in described}
    if column.mask is None:
        return Column(column.values, name=field.name, copy=False, **attributes)
    return MaskedColumn(column.values, name=field.name, mask=column.mask, copy=False, **attributes)


def _header(schema: pa.Schema) -> dict[str, Any]:
    text = (schema.metadata or {}).get(_HEADER)
    return {} if text is None else dict(meta.get_header_from_yaml(text.decode("utf-8").split("\n")))


def _serialized_in(attributes: object) -> set[str]:
    """Names of all columns that the description of a mixin column refers to."""
    if isinstance(attributes, SerializedColumn) and attributes.keys() == {"name"}:
        return {attributes["name"]}
    if isinstance(attributes, Mapping):
        return set().union(*(_serialized_in(value) for value in attributes.values()))
    return set()
