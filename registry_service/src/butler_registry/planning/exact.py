# SPDX-License-Identifier: BSD-3-Clause
"""Exact tests of regions, by lsst.sphgeom. Regions are decoded once as long as they are asked about often."""

from __future__ import annotations

__all__ = ["decoded", "overlap", "pixel_region", "pixels_of"]

from collections.abc import Iterator
from functools import lru_cache

import lsst.sphgeom

from butler_model.dimensions import DimensionElement

_DECODED = 20_000


@lru_cache(_DECODED)
def decoded(encoded: bytes) -> lsst.sphgeom.Region:
    """Return a region from its encoding."""
    return lsst.sphgeom.Region.decode(encoded)


def overlap(encoded: bytes, other: lsst.sphgeom.Region) -> bool:
    """Return whether two regions have a point in common."""
    relation = decoded(encoded).relate(other)
    return not relation & lsst.sphgeom.DISJOINT


@lru_cache(_DECODED)
def pixel_region(dimension: DimensionElement, pixel: int) -> lsst.sphgeom.Region:
    """Return the region of a pixel; `ValueError` if there is none of that number."""
    assert dimension.skypix is not None
    system, level = dimension.skypix
    return system.pixelization(level).pixel(pixel)


def pixels_of(dimension: DimensionElement, encoded: bytes) -> Iterator[int]:
    """Yield the pixels that a region overlaps, ascending."""
    assert dimension.skypix is not None
    system, level = dimension.skypix
    for begin, end in system.pixelization(level).envelope(decoded(encoded)):
        for pixel in range(begin, end):
            if overlap(encoded, pixel_region(dimension, pixel)):
                yield pixel
