# SPDX-License-Identifier: BSD-3-Clause
"""FITS, through astropy."""

from __future__ import annotations

__all__ = ["FitsFormatter"]

import io
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
from astropy.io import fits

from .formatter import Formatter

_IMAGE_KINDS = (fits.PrimaryHDU, fits.ImageHDU, fits.CompImageHDU)


class FitsFormatter(Formatter):
    """An astropy ``HDUList``, or a two-dimensional image as a plain array in native byte order.

    Every HDU is written with DATASUM and CHECKSUM cards; a DATASUM is verified on reading. An image is read
    from the first HDU that has one, compressed or not, and nothing after it is read.
    """

    label = "fits"
    extension = ".fits"
    other_extensions = (".fits.gz", ".fits.fz")

    def encode(self, obj: object, sink: BinaryIO) -> None:
        if isinstance(obj, fits.HDUList):
            # Copies of the headers: writing adds the cards of the checksums.
            hdus = fits.HDUList([hdu.copy() for hdu in obj])
        elif type(obj) is np.ndarray and obj.ndim == 2:
            hdus = fits.HDUList([fits.PrimaryHDU(obj)])
        else:
            raise self.refusal(
                f"takes an HDUList or a plain two-dimensional numpy.ndarray, not {_describe(obj)}."
            )
        hdus.writeto(sink, checksum=True)

    def decode(
        self, source: BinaryIO, pytype: type, component: str | None, parameters: Mapping[str, object]
    ) -> object:
        if issubclass(fits.HDUList, pytype):
            return _read_all(source)
        if issubclass(np.ndarray, pytype):
            return _read_image(source)
        raise self.refusal(f"gives an HDUList or a numpy.ndarray, not a {pytype.__qualname__}.")


def _read_all(source: BinaryIO) -> fits.HDUList:
    # An HDUList reads from its file for as long as it lives: give it one of its own.
    content = io.BytesIO(source.read())
    size = len(content.getbuffer())
    hdus = fits.open(content, memmap=False, lazy_load_hdus=False)
    end = 0
    for hdu in hdus:
        end = _check_complete(hdu, size)
    if end != size:
        # Astropy drops an HDU whose header it cannot read, and all that follow.
        raise ValueError(f"{size - end} bytes after the last HDU are none")
    return hdus


def _read_image(source: BinaryIO) -> np.ndarray[Any, Any]:
    size = source.seek(0, io.SEEK_END)
    source.seek(0)
    hdus = fits.open(source, memmap=False)
    for hdu in hdus:
        if isinstance(hdu, _IMAGE_KINDS) and hdu.header.get("NAXIS") == 2:
            _check_complete(hdu, size)
            return np.array(hdu.data, dtype=hdu.data.dtype.newbyteorder("="))
    raise ValueError("no HDU holds a two-dimensional image")


def _check_complete(hdu: Any, size: int) -> int:
    """Check what astropy only warns of, make it read the data now, and say where they end."""
    where = hdu.fileinfo()
    end = int(where["datLoc"] + where["datSpan"])
    if end > size:
        raise ValueError(f"HDU {hdu.name or 'PRIMARY'!r} is truncated")
    if hdu.verify_datasum() == 0:
        raise ValueError(f"the data of HDU {hdu.name or 'PRIMARY'!r} do not have the sum in its header")
    _ = hdu.data
    return end


def _describe(obj: object) -> str:
    shape = f" of shape {obj.shape}" if isinstance(obj, np.ndarray) else ""
    return f"a {type(obj).__qualname__}{shape}"
