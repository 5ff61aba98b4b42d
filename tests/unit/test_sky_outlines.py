# SPDX-License-Identifier: BSD-3-Clause
"""Regions as polygons: they have the areas that the regions have, and no point that these have not."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import lsst.sphgeom
import numpy as np
import pytest
from lsst.sphgeom import Angle, Box, Circle, ConvexPolygon, Ellipse, IntersectionRegion, LonLat, UnionRegion

from butler.sky_outlines import outlines

PLACES = [(0.0, 0.0), (359.9, 45.0), (200.0, -60.0), (77.0, 89.5), (123.0, -90.0)]
"""Right ascension and declination: also where right ascension begins anew, and at the poles."""


def vector(ra: float, dec: float) -> Any:
    return lsst.sphgeom.UnitVector3d(LonLat.fromDegrees(ra % 360, dec))


def circle(ra: float, dec: float, radius: float) -> Any:
    return Circle(vector(ra, dec), Angle.fromDegrees(radius))


def square(ra: float, dec: float, radius: float) -> Any:
    centre = vector(ra, dec)
    corner = centre.rotatedAround(vector(ra + 90, 0), Angle.fromDegrees(radius))
    return ConvexPolygon([corner.rotatedAround(centre, Angle(math.pi * i / 2)) for i in range(4)])


def triangle_area(a: Any, b: Any, c: Any) -> float:
    """Return the signed area of a spherical triangle (Van Oosterom and Strackee, IEEE Trans. BME 30 (1983) 125)."""
    return 2 * math.atan2(float(np.dot(a, np.cross(b, c))), float(1 + a @ b + b @ c + c @ a))


def area(region: Any) -> float:
    """Return the area of all polygons of a region, in steradians."""
    total = 0.0
    for polygon in outlines(region):
        middle = polygon.sum(axis=0) / np.linalg.norm(polygon.sum(axis=0))
        closed = [*polygon, polygon[0]]
        total += abs(sum(triangle_area(middle, one, other) for one, other in pairwise(closed)))
    return total


@pytest.mark.parametrize(("ra", "dec"), PLACES)
@pytest.mark.parametrize("radius", [0.001, 1.0, 30.0, 100.0, 179.0])
def test_circles_of_every_size_have_their_area(ra: float, dec: float, radius: float) -> None:
    # A cap of the unit sphere: 2 pi (1 - cos r), and a polygon with its corners on the rim has nearly that.
    cap = 2 * math.pi * (1 - math.cos(math.radians(radius)))
    assert area(circle(ra, dec, radius)) == pytest.approx(cap, rel=0.01)


@pytest.mark.parametrize(
    ("west", "south", "east", "north"),
    [(10, -5, 20, 5), (350, 30, 10, 40), (0, 80, 360, 90), (0, -90, 360, 90), (300, -89, 200, -70)],
)
def test_boxes_have_their_area_across_right_ascension_0_and_around_poles(
    west: float, south: float, east: float, north: float
) -> None:
    box = Box.fromDegrees(west, south, east, north)
    lat = box.getLat()
    expected = box.getWidth().asRadians() * (
        math.sin(lat.getB().asRadians()) - math.sin(lat.getA().asRadians())
    )
    assert area(box) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(("ra", "dec"), PLACES)
def test_the_corners_of_polygons_and_pixels_are_taken_as_they_are(ra: float, dec: float) -> None:
    region = square(ra, dec, 1.0)
    (polygon,) = outlines(region)
    assert [tuple(corner) for corner in polygon] == [(v.x(), v.y(), v.z()) for v in region.getVertices()]
    pixelization = lsst.sphgeom.HtmPixelization(7)
    (pixel,) = outlines(pixelization.pixel(pixelization.index(vector(ra, dec))))
    assert pixel.shape == (3, 3)


@pytest.mark.parametrize(("ra", "dec"), PLACES[:4])
def test_an_intersection_is_what_both_have(ra: float, dec: float) -> None:
    one, other = square(ra, dec, 1.0), circle(ra, dec + 0.4, 0.8)
    both = IntersectionRegion(one, other)
    assert 0 < area(both) < min(area(one), area(other))
    for corner in np.concatenate(outlines(both)):
        # A little nearer to the centre, since corners lie on the rim.
        inner = corner + 1e-4 * np.array(list(vector(ra, dec + 0.2)))
        assert both.contains(lsst.sphgeom.UnitVector3d(*inner))
    assert area(IntersectionRegion(other, one)) == pytest.approx(area(both), rel=1e-3)


def test_an_intersection_with_a_box_follows_its_parallels() -> None:
    box, around = Box.fromDegrees(350, 60, 10, 70), circle(0, 65, 30)
    assert area(IntersectionRegion(around, box)) == pytest.approx(area(box), rel=1e-3)
    half = Box.fromDegrees(0, 50, 20, 80)
    assert area(IntersectionRegion(box, half)) == pytest.approx(area(box) / 2, rel=0.01)


def test_regions_apart_have_no_intersection_and_a_union_has_all_of_both() -> None:
    one, other = square(10, 10, 1.0), circle(20, 10, 1.0)
    assert outlines(IntersectionRegion(one, other)) == []
    assert len(outlines(UnionRegion(one, other))) == 2
    assert outlines(Circle.empty()) == [] == outlines(Box.empty())


def test_an_ellipse_lies_within_its_rim() -> None:
    ellipse = Ellipse(vector(30, 40), Angle.fromDegrees(10), Angle.fromDegrees(4), Angle.fromDegrees(20))
    (polygon,) = outlines(ellipse)
    centre = np.array([ellipse.getCenter().x(), ellipse.getCenter().y(), ellipse.getCenter().z()])
    for corner in polygon:
        assert ellipse.contains(lsst.sphgeom.UnitVector3d(*(corner + 0.01 * centre)))
        assert not ellipse.contains(lsst.sphgeom.UnitVector3d(*(corner - 0.01 * centre)))
