# SPDX-License-Identifier: BSD-3-Clause
"""ECSV: astropy tables as text that people can read."""

from __future__ import annotations

__all__ = ["EcsvFormatter"]

import io
from collections.abc import Mapping
from typing import BinaryIO

import numpy as np
from astropy.table import Column, MaskedColumn, Table
from astropy.time import TimeBase

from .formatter import Formatter


class EcsvFormatter(Formatter):
    """An astropy ``Table`` or ``QTable`` with units, masks, metadata and mixin columns.

    The format keeps the text of strings but not the room they had (``U10`` may come back as ``U3``), and a
    masked column without a masked value comes back as a plain one. Text that would change (white space at its
    ends) is refused. Times that their own format would round are written as two numbers each. Large tables belong
    in Parquet.
    """

    label = "ecsv"
    extension = ".ecsv"

    def encode(self, obj: object, sink: BinaryIO, parameters: Mapping[str, object]) -> None:
        if not isinstance(obj, Table):
            raise self.refusal(f"takes an astropy Table or QTable, not a {type(obj).__qualname__}.")
        explicit = _with_explicit_masks(obj)
        text = _text(explicit)
        if rounded := _rounded_times(obj, text):
            for name in rounded:
                explicit[name].info.serialize_method["ecsv"] = "jd1_jd2"
            text = _text(explicit)
        if changed := _changed(obj, text):
            raise self.refusal(
                f"the text in column {changed!r} would come back different; a Parquet table keeps it."
            )
        sink.write(text.encode("utf-8"))

    def decode(
        self, source: BinaryIO, pytype: type, component: str | None, parameters: Mapping[str, object]
    ) -> object:
        if not issubclass(pytype, Table):
            raise self.refusal(f"gives an astropy Table or QTable, not a {pytype.__qualname__}.")
        return _parse(source.read().decode("utf-8"), pytype)


def _text_columns(table: Table) -> list[str]:
    return [c.name for c in table.itercols() if isinstance(c, Column) and c.dtype.kind in "USO"]


def _with_explicit_masks(table: Table) -> Table:
    """Give text columns with an empty string a column for their mask; ECSV would take it for masked."""
    explicit = table.copy(copy_data=False)
    for name in _text_columns(table):
        if np.any(np.ma.getdata(table[name].data) == ""):
            explicit[name] = MaskedColumn(table[name], copy=False)
            explicit[name].info.serialize_method["ecsv"] = "data_mask"
    return explicit


def _text(table: Table) -> str:
    written = io.StringIO()
    table.write(written, format="ascii.ecsv")
    return written.getvalue()


def _parse(text: str, pytype: type[Table]) -> Table:
    # As lines: astropy would take a string without a line end for the name of a file, or for a URL.
    table = pytype.read(text.split("\n"), format="ascii.ecsv")
    for name in _text_columns(table):
        if isinstance(table[name], MaskedColumn) and not np.any(table[name].mask):
            table.replace_column(name, Column(table[name], copy=False))
    return table


def _changed(table: Table, text: str) -> str | None:
    """Name of a column whose text reads back different."""
    if not (names := _text_columns(table)):
        return None
    read = _parse(text, Table)
    for name in names:
        old, new = table[name].data, read[name].data
        mask = np.ma.getmaskarray(old)
        differs = (np.ma.getdata(old) != np.ma.getdata(new)) & ~mask
        if np.any(differs) or not np.array_equal(mask, np.ma.getmaskarray(new)):
            return name
    return None


def _rounded_times(table: Table, text: str) -> list[str]:
    """Names of columns of times that read back different: ISO times have three digits unless told otherwise."""
    if not (names := [name for name in table.colnames if isinstance(table[name], TimeBase)]):
        return []
    read = _parse(text, Table)
    return [name for name in names if not _same_times(table[name], read[name])]


def _same_times(old: TimeBase, new: TimeBase) -> bool:
    there = ~np.asarray(old.mask)
    if not np.array_equal(there, ~np.asarray(new.mask)):
        return False
    return bool(np.all(old[there].jd1 == new[there].jd1) and np.all(old[there].jd2 == new[there].jd2))
