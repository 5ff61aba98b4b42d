# SPDX-License-Identifier: BSD-3-Clause
"""Regions that are written in an expression. Angles are degrees, positions right ascension and declination (ICRS)."""

from __future__ import annotations

__all__ = ["REGION_FUNCTIONS", "region_of_call"]

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import lsst.sphgeom as sphgeom

from butler_model.errors import ExpressionTypeError


def region_of_call(function: str, arguments: Sequence[Any], shown: str) -> sphgeom.Region:
    """Return the region that a call stands for; `ExpressionTypeError` if its arguments make none."""
    if function != "REGION" and any(type(value) not in (int, float) for value in arguments):
        raise ExpressionTypeError(f"{shown} needs numbers, in degrees.")
    try:
        return REGION_FUNCTIONS[function](*arguments)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ExpressionTypeError(f"{shown} is no region: {error}. Write {_USAGE[function]}.") from error


def _vector(ra: float, dec: float) -> sphgeom.UnitVector3d:
    if not -90 <= dec <= 90:
        raise ValueError(f"a declination of {dec} degrees does not exist")
    return sphgeom.UnitVector3d(sphgeom.LonLat.fromDegrees(ra, dec))


def _point(ra: float, dec: float) -> sphgeom.Region:
    """A circle of radius 0 holds exactly its centre."""
    return sphgeom.Circle(_vector(ra, dec))


def _circle(ra: float, dec: float, radius: float) -> sphgeom.Region:
    if not 0 <= radius <= 180:
        raise ValueError(f"a radius of {radius} degrees is not between 0 and 180")
    return sphgeom.Circle(_vector(ra, dec), sphgeom.Angle.fromDegrees(radius))


def _box(ra: float, dec: float, width: float, height: float) -> sphgeom.Region:
    """A box in right ascension and declination around a centre."""
    _vector(ra, dec)
    if not 0 <= width <= 360 or not 0 <= height <= 180:
        raise ValueError("its width is 0 to 360 degrees, its height 0 to 180")
    centre = sphgeom.LonLat.fromDegrees(ra, dec)
    return sphgeom.Box(centre, sphgeom.Angle.fromDegrees(width / 2), sphgeom.Angle.fromDegrees(height / 2))


def _polygon(*coordinates: float) -> sphgeom.Region:
    """A convex polygon, given by its corners in any direction of turn."""
    if len(coordinates) < 6 or len(coordinates) % 2:
        raise ValueError("it has three or more corners of two numbers each")
    pairs = zip(coordinates[::2], coordinates[1::2], strict=True)
    return sphgeom.ConvexPolygon.convexHull([_vector(*pair) for pair in pairs])


def _text(text: str) -> sphgeom.Region:
    if type(text) is not str:
        raise TypeError("it is written as text")
    region: sphgeom.Region = sphgeom.Region.from_ivoa_pos(text)
    return region


REGION_FUNCTIONS: Mapping[str, Callable[..., sphgeom.Region]] = {
    "POINT": _point,
    "CIRCLE": _circle,
    "BOX": _box,
    "POLYGON": _polygon,
    "REGION": _text,
}
_USAGE = {
    "POINT": "POINT(ra, dec)",
    "CIRCLE": "CIRCLE(ra, dec, radius)",
    "BOX": "BOX(ra, dec, width, height)",
    "POLYGON": "POLYGON(ra1, dec1, ra2, dec2, ra3, dec3, ...)",
    "REGION": "REGION('CIRCLE ra dec radius'), in the form of IVOA's POS",
}
