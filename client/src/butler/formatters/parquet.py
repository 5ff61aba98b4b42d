# SPDX-License-Identifier: BSD-3-Clause
"""Parquet: tables of four libraries in one format."""

from __future__ import annotations

__all__ = ["ParquetFormatter"]

import fnmatch
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, BinaryIO, Literal

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from butler_model.errors import StorageClassError

from .arrow_columns import structured_from_arrow, structured_to_arrow
from .formatter import Formatter

_Kind = Literal["arrow", "pandas", "astropy", "numpy"]

# By package and name, so that only the library that a table comes from is imported.
_KINDS: Mapping[tuple[str, str], _Kind] = {
    ("pyarrow", "Table"): "arrow",
    ("pandas", "DataFrame"): "pandas",
    ("astropy", "Table"): "astropy",
    ("numpy", "ndarray"): "numpy",
}


class ParquetFormatter(Formatter):
    """A pandas DataFrame, pyarrow Table, astropy Table or QTable, or NumPy structured array.

    What one library wrote, the others can read. The parameter ``columns`` (a name or glob, or a list of them in
    the order wanted) restricts what is read, and what is moved, to these columns; the index of a DataFrame comes
    along. The parameter ``filters`` keeps the rows that a condition holds for, in the form of pyarrow:
    ``[(column, operator, value), …]`` must all hold, or of a list of such lists at least one; groups of rows that
    the footer rules out are not moved. The components ``columns``, ``rowcount`` and ``schema`` need the footer
    only. Pages have checksums, so that what is read in part is verified too.

    Write parameters are ``compression`` with its ``compression_level``, and ``row_group_size`` in rows: small groups
    let filters skip more.
    """

    label = "parquet"
    extension = ".parq"
    other_extensions = (".parquet",)
    components = frozenset({"columns", "rowcount", "schema"})
    parameters = frozenset({"columns", "filters"})
    write_parameters = MappingProxyType(
        {
            "compression": ("brotli", "gzip", "lz4", "none", "snappy", "zstd"),
            "compression_level": (int,),
            "row_group_size": (int,),
        }
    )

    def encode(self, obj: object, sink: BinaryIO, parameters: Mapping[str, object]) -> None:
        table = self._to_arrow(obj)
        pq.write_table(table, sink, **{"compression": "zstd", **parameters}, write_page_checksum=True)

    def decode(
        self, source: BinaryIO, pytype: type, component: str | None, parameters: Mapping[str, object]
    ) -> object:
        file = pq.ParquetFile(source, page_checksum_verification=True)
        if component is not None:
            if parameters:
                raise StorageClassError(
                    f"Component {component!r} of a table takes no parameters.", component=component
                )
            return _component(file, component, pytype)
        kind = _kind_of(pytype)
        if kind is None:
            raise self.refusal(
                f"gives tables of pandas, pyarrow, astropy or NumPy, not a {pytype.__qualname__}."
            )
        names = self._wanted(file.schema_arrow, parameters.get("columns"), with_index=kind == "pandas")
        if "filters" in parameters:
            table = _filtered(source, names, parameters["filters"])
        elif names is None:
            table = file.read()
        else:
            # The file gives them in its own order, and with a name also those that begin with it and a dot.
            table = file.read(columns=names).select(names)
        return _from_arrow(table, kind, pytype)

    def _to_arrow(self, obj: Any) -> pa.Table:
        kind = _kind_of(type(obj))
        if kind == "arrow":
            return obj
        if kind == "pandas":
            table = pa.Table.from_pandas(obj)
            self._check_keys(obj, table.schema)
            return table
        if kind == "astropy":
            from .arrow_astropy import table_to_arrow

            return table_to_arrow(obj)
        if kind == "numpy":
            return structured_to_arrow(obj)
        raise self.refusal(
            f"takes tables of pandas, pyarrow, astropy or NumPy, not a {type(obj).__qualname__}."
        )

    def _check_keys(self, frame: Any, schema: pa.Schema) -> None:
        """Refuse dictionaries of different keys in one column: each would come back with the keys of all."""
        for position, (label, cells) in enumerate(frame.items()):
            if pa.types.is_struct(schema.field(position).type):
                keys = {field.name for field in schema.field(position).type}
                if any(isinstance(cell, dict) and cell.keys() != keys for cell in cells):
                    raise self.refusal(
                        f"column {label!r} has dictionaries of different keys, which a table file would all give the "
                        "same ones; store them as text, or each key in a column."
                    )

    def _wanted(self, schema: pa.Schema, columns: object, with_index: bool) -> list[str] | None:
        """Return the Arrow columns to read, in order; `None` for all."""
        if columns is None:
            return None
        wanted = [columns] if isinstance(columns, str) else columns
        if not isinstance(wanted, list | tuple) or not all(isinstance(name, str) for name in wanted):
            raise self.refusal(f"parameter 'columns' is a name or a list of names, not {columns!r}.")
        known = _columns_behind(schema)
        matches = {name: [name] if name in known else fnmatch.filter(known, name) for name in wanted}
        if unknown := [name for name, found in matches.items() if not found]:
            raise self.refusal(
                f"the table has no column {', '.join(map(repr, unknown))}; it has {', '.join(known)}."
            )
        chosen = dict.fromkeys(name for found in matches.values() for name in found)
        names = [part for name in chosen for part in known[name]]
        if with_index:
            names += [name for name in _index_columns(schema) if name not in names]
        return names


def _filtered(source: BinaryIO, names: list[str] | None, filters: object) -> pa.Table:
    options = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
    fragment = ds.ParquetFileFormat(default_fragment_scan_options=options).make_fragment(source)
    columns = None if names is None else {name: ds.field(name) for name in names}
    return fragment.to_table(columns=columns, filter=pq.filters_to_expression(filters))


def _component(file: pq.ParquetFile, component: str, pytype: type) -> object:
    schema = file.schema_arrow
    if component == "rowcount":
        return file.metadata.num_rows
    if component == "schema":
        return schema
    if issubclass(pytype, list):
        index = _index_columns(schema)
        return [name for name in _columns_behind(schema) if name not in index]
    # Labels of a DataFrame need not be strings: let pandas restore them.
    return schema.empty_table().to_pandas().columns


def _columns_behind(schema: pa.Schema) -> dict[str, list[str]]:
    if schema.metadata and b"table_meta_yaml" in schema.metadata:
        from .arrow_astropy import columns_behind

        return columns_behind(schema)
    return {name: [name] for name in schema.names}


def _index_columns(schema: pa.Schema) -> list[str]:
    """Columns that are the index of a DataFrame; a range has none."""
    described = (schema.pandas_metadata or {}).get("index_columns", [])
    return [name for name in described if isinstance(name, str)]


def _from_arrow(table: pa.Table, kind: _Kind, pytype: Any) -> object:
    if kind == "arrow":
        return table
    if kind == "pandas":
        # Only a column of objects gives a frame's integers nulls; as floats they would lose digits from 2**53 on.
        return table.to_pandas(integer_object_nulls=table.schema.pandas_metadata is not None)
    if kind == "astropy":
        from .arrow_astropy import table_from_arrow

        return table_from_arrow(table, pytype)
    return structured_from_arrow(table)


def _kind_of(pytype: type) -> _Kind | None:
    for ancestor in pytype.__mro__:
        if kind := _KINDS.get((ancestor.__module__.partition(".")[0], ancestor.__qualname__)):
            return kind
    return None
