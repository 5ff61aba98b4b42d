# SPDX-License-Identifier: BSD-3-Clause
"""Astropy tables as FITS binary tables."""

from __future__ import annotations

__all__ = ["table_hdus", "table_of"]

import io
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Column, MaskedColumn, Table, represent_mixins_as_columns

_SUMS = ("CHECKSUM", "DATASUM")
_ATTRIBUTES = ("unit", "format", "description")


def table_hdus(table: Table) -> fits.HDUList:
    """Return the HDUs of a file that holds one table; masked columns bring a column for their mask.

    Raises
    ------
    ValueError
        Raised if something of the table would come back different: the format knows neither bytes beside text nor
        text beyond ASCII, strips white space from its end, and has metadata of upper-case names and single values
        only.
    """
    explicit = table.copy(copy_data=False)
    for column in explicit.itercols():
        if isinstance(column, MaskedColumn):
            column.info.serialize_method["fits"] = "data_mask"
    content = io.BytesIO()
    explicit.write(content, format="fits")
    content.seek(0)
    hdus = fits.open(content, memmap=False, lazy_load_hdus=False)
    read = table_of(fits.open(io.BytesIO(content.getvalue()), memmap=False)[1], type(table))
    if changed := _changed(table, read):
        raise ValueError(f"{changed} would come back different; a Parquet table keeps it")
    return hdus


def table_of(hdu: Any, pytype: type[Table]) -> Table:
    """Return the table that an HDU holds, in native byte order."""
    # Not-a-number and empty text are values: masks have columns of their own.
    table = Table.read(hdu, format="fits", mask_invalid=False, astropy_native=True)
    for name in _SUMS:
        table.meta.pop(name, None)
    for column in list(table.itercols()):
        if isinstance(column, Column) and not column.dtype.isnative:
            native = column.astype(column.dtype.newbyteorder("="))
            table.replace_column(column.info.name, native)
    return pytype(table, copy=False)


def _changed(old: Table, new: Table) -> str:
    """Return what of a table came back different, empty if nothing; the order of bytes may."""
    if dict(old.meta) != dict(new.meta):
        return "its metadata"
    if old.colnames != new.colnames:
        return "the names of its columns"
    plain, read = (represent_mixins_as_columns(table, (MaskedColumn,)) for table in (old, new))
    for name in plain.colnames:
        if name not in read.colnames or not _same(plain[name], read[name]):
            return f"column {name!r}"
    return ""


def _same(old: Column, new: Column) -> bool:
    if old.dtype.newbyteorder("=") != new.dtype or old.shape != new.shape:
        return False
    if any(getattr(old, name) != getattr(new, name) for name in _ATTRIBUTES) or old.meta != new.meta:
        return False
    mask = np.ma.getmaskarray(old.data)
    if not np.array_equal(mask, np.ma.getmaskarray(new.data)):
        return False
    values, read = (np.ma.getdata(column.data)[~mask] for column in (old, new))
    return np.array_equal(values, read, equal_nan=old.dtype.kind == "f")
