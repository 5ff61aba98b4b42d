# SPDX-License-Identifier: BSD-3-Clause
"""Arrays as FITS images, compressed or not."""

from __future__ import annotations

__all__ = ["COMPRESSION", "RECIPES", "check_image", "has_image", "image_hdus"]

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from astropy.io import fits

from .write_parameters import Accepted

COMPRESSION: dict[str, Accepted] = {
    "compression": ("GZIP_1", "GZIP_2", "HCOMPRESS_1", "RICE_1"),
    "quantize_level": (int, float),
    "quantize_method": ("no_dither", "subtractive_dither_1", "subtractive_dither_2"),
    "tile_shape": (list, tuple),
}
RECIPES: dict[str, Mapping[str, object]] = {
    "lossless": {"compression": "GZIP_2", "quantize_level": 0},
    "lossy": {
        "compression": "RICE_1",
        "quantize_level": 16,
        "quantize_method": "subtractive_dither_1",
    },
}

_KINDS = (fits.PrimaryHDU, fits.ImageHDU, fits.CompImageHDU)
_METHODS = {"no_dither": -1, "subtractive_dither_1": 1, "subtractive_dither_2": 2}
_SEED_FROM_DATA = -1
_EXACT_FOR_FLOATS = ("GZIP_1", "GZIP_2")


def has_image(hdu: Any) -> bool:
    """Whether an HDU holds an image that is not empty."""
    return isinstance(hdu, _KINDS) and bool(hdu.shape) and 0 not in hdu.shape


def image_hdus(array: np.ndarray[Any, Any], parameters: Mapping[str, object]) -> fits.HDUList:
    """Return the HDUs of a file that holds one image.

    Raises
    ------
    ValueError
        Raised if FITS or the compression cannot express the array, or would lose something of it unasked.
    """
    if array.ndim == 0 or array.size == 0:
        raise ValueError(f"an array of shape {array.shape} is no image")
    compression = parameters.get("compression")
    if compression is None:
        if parameters:
            raise ValueError(f"{', '.join(sorted(parameters))} say nothing without 'compression'")
        return fits.HDUList([fits.PrimaryHDU(array)])
    level = parameters.get("quantize_level", 0)
    if array.dtype.kind == "f" and not level and compression not in _EXACT_FOR_FLOATS:
        raise ValueError(
            f"{compression} loses something of floats; use one of {', '.join(_EXACT_FOR_FLOATS)}, or say how much "
            "by a quantize_level above 0"
        )
    compressed = fits.CompImageHDU(
        array,
        compression_type=compression,
        quantize_level=level,
        quantize_method=_METHODS[str(parameters.get("quantize_method", "no_dither"))],
        dither_seed=_SEED_FROM_DATA,
        tile_shape=parameters.get("tile_shape"),
    )
    return fits.HDUList([fits.PrimaryHDU(), compressed])


def check_image(
    array: np.ndarray[Any, Any],
    parameters: Mapping[str, object],
    read_back: Callable[[], np.ndarray[Any, Any]],
) -> None:
    """Check that a compressed image comes back as it was, unless it is of floats that shall lose something.

    Raises
    ------
    ValueError
        Raised if it does not; some algorithms cut integers silently.
    """
    if "compression" not in parameters:
        return
    read = read_back()
    lossy = array.dtype.kind == "f" and parameters.get("quantize_level", 0)
    if read.dtype != array.dtype.newbyteorder("=") or not (lossy or np.array_equal(read, array, True)):
        raise ValueError(f"{parameters['compression']} would change these values of {array.dtype}")
