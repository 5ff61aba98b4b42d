# SPDX-License-Identifier: BSD-3-Clause
"""FITS, through astropy."""

from __future__ import annotations

__all__ = ["FitsFormatter"]

import io
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np
from astropy.io import fits
from astropy.table import Table

from .fits_images import COMPRESSION, RECIPES, check_image, has_image, image_hdus
from .fits_tables import table_hdus, table_of
from .formatter import Formatter
from .slicing import slices_within

_WORTH_READING = 64 * 1024
"""Bytes that are moved sooner than they are skipped."""


class FitsFormatter(Formatter):
    """An astropy ``HDUList``, an image of any number of dimensions as a plain array, or an astropy table.

    Every HDU is written with DATASUM and CHECKSUM cards; a DATASUM is verified on reading. An image or table is read
    from the first HDU that holds one, and nothing after it is read. Values come in native byte order.

    The parameter ``section`` (see `slices_within`) reads a part of an image, and moves little more; the sum of the
    whole cannot be verified then. The component ``header`` is that of the first HDU with data, else the first one.

    The write parameter ``compression`` is the algorithm for images that are arrays; with it go ``tile_shape`` (the
    order of NumPy), and for floats ``quantize_level`` and ``quantize_method``, which lose what is below the noise.
    The recipes are ``lossless`` and ``lossy``.
    """

    label = "fits"
    extension = ".fits"
    other_extensions = (".fits.gz", ".fits.fz")
    components = frozenset({"header"})
    parameters = frozenset({"section"})
    write_parameters = MappingProxyType(COMPRESSION)
    write_recipes = MappingProxyType(RECIPES)

    def encode(self, obj: object, sink: BinaryIO, parameters: Mapping[str, object]) -> None:
        if isinstance(obj, fits.HDUList):
            # Copies of the headers: writing adds the cards of the checksums.
            hdus = fits.HDUList([hdu.copy() for hdu in obj])
        elif isinstance(obj, Table):
            hdus = table_hdus(obj)
        elif type(obj) is np.ndarray:
            hdus = image_hdus(obj, parameters)
        else:
            raise self.refusal(
                f"takes an HDUList, an astropy table or a plain numpy.ndarray, not a {type(obj).__qualname__}."
            )
        nameless: Any = _Nameless(sink)
        hdus.writeto(nameless, checksum=True)
        if isinstance(obj, np.ndarray):
            check_image(obj, parameters, lambda: _read_image(nameless, None))

    def decode(
        self, source: BinaryIO, pytype: type, component: str | None, parameters: Mapping[str, object]
    ) -> object:
        section = parameters.get("section")
        if component == "header":
            if parameters:
                raise self.refusal("the header takes no parameters.")
            return _read_header(source)
        if issubclass(np.ndarray, pytype) and not issubclass(fits.HDUList, pytype):
            return _read_image(source, section)
        if section is not None:
            raise self.refusal("only an image has sections.")
        if issubclass(fits.HDUList, pytype):
            return _read_all(source)
        if issubclass(pytype, Table):
            return table_of(_first(source, lambda hdu: isinstance(hdu, fits.BinTableHDU), "a table"), pytype)
        raise self.refusal(
            f"gives an HDUList, an astropy table or a numpy.ndarray, not a {pytype.__qualname__}."
        )


class _Nameless:
    """A file without a name: astropy looks for a file that has one on the disk, even if the name is `None`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def __getattr__(self, attribute: str) -> Any:
        if attribute == "name":
            raise AttributeError(attribute)
        return getattr(self._file, attribute)


def _read_all(source: BinaryIO) -> fits.HDUList:
    # An HDUList reads from its file for as long as it lives: give it one of its own.
    content = io.BytesIO(source.read())
    size = len(content.getbuffer())
    _check_sums(content, size)
    hdus = fits.open(content, memmap=False, lazy_load_hdus=False)
    end = 0
    for hdu in hdus:
        end = _end(hdu)
        _ = hdu.data
    if end != size:
        # Astropy drops an HDU whose header it cannot read, and all that follow.
        raise ValueError(f"{size - end} bytes after the last HDU are none")
    return hdus


def _check_sums(content: BinaryIO, size: int) -> None:
    # Compressed images as the tables that they are: these have the sums.
    for hdu in fits.open(content, memmap=False, disable_image_compression=True):
        _check_complete(hdu, size)
    content.seek(0)


def _read_image(source: BinaryIO, section: object) -> np.ndarray[Any, Any]:
    hdu = _first(source, has_image, "an image", verify=section is None)
    data = hdu.data if section is None else _section(hdu, slices_within(section, hdu.shape))
    return np.array(data, dtype=data.dtype.newbyteorder("="))


def _section(hdu: Any, slices: tuple[slice, ...]) -> np.ndarray[Any, Any]:
    moved = [slice(part.start, part.stop) for part in slices]
    rest = [slice(None, None, part.step) for part in slices]
    row = hdu.shape[-1] * abs(int(hdu.header["BITPIX"])) // 8
    if row <= _WORTH_READING and not isinstance(hdu, fits.CompImageHDU):
        # Whole rows follow each other: one read, not one for each.
        moved[-1], rest[-1] = slice(None), slices[-1]
    # Astropy would assemble a section with steps value by value, and not of the same type.
    data: np.ndarray[Any, Any] = hdu.section[tuple(moved)]
    return data[tuple(rest)]


def _read_header(source: BinaryIO) -> fits.Header:
    first = None
    for _, hdu in _hdus(source):
        if has_image(hdu) or isinstance(hdu, fits.BinTableHDU):
            return hdu.header.copy()
        first = first or hdu
    if first is None:
        raise ValueError("there is no HDU")
    return first.header.copy()


def _first(source: BinaryIO, is_wanted: Any, what: str, verify: bool = True) -> Any:
    """Return the first HDU of a kind, known to be complete and, on demand, to have the sum that its header says."""
    size = source.seek(0, io.SEEK_END)
    for index, hdu in _hdus(source):
        if not is_wanted(hdu):
            continue
        if _end(hdu) > size:
            raise ValueError(f"HDU {hdu.name or 'PRIMARY'!r} is truncated")
        if verify:
            source.seek(0)
            _check_complete(fits.open(source, memmap=False, disable_image_compression=True)[index], size)
        return hdu
    raise ValueError(f"no HDU holds {what}")


def _hdus(source: BinaryIO) -> Iterator[tuple[int, Any]]:
    source.seek(0)
    yield from enumerate(fits.open(source, memmap=False))


def _end(hdu: Any) -> int:
    where = hdu.fileinfo()
    return int(where["datLoc"] + where["datSpan"])


def _check_complete(hdu: Any, size: int) -> None:
    """Check what astropy only warns of."""
    if _end(hdu) > size:
        raise ValueError(f"HDU {hdu.name or 'PRIMARY'!r} is truncated")
    if hdu.verify_datasum() == 0:
        raise ValueError(f"the data of HDU {hdu.name or 'PRIMARY'!r} do not have the sum in its header")
