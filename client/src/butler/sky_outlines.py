# SPDX-License-Identifier: BSD-3-Clause
"""Regions of the sky as polygons that can be drawn: arrays of unit vectors, of shape (corners, 3).

A circle or box becomes a polygon whose corners are at most `STEP` apart along its rim.
"""

from __future__ import annotations

__all__ = ["STEP", "clipped", "outlines", "vectors"]

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence

import lsst.sphgeom
import numpy as np
import numpy.typing as npt

STEP = math.radians(3.0)
"""Largest angle between corners along a rim, in radians."""
_FEWEST_CORNERS = 48
_SAME_POINT = 1e-12
_WIDEST_PIECE = math.radians(60.0)

Polygon = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]


def vectors(lon: npt.ArrayLike, lat: npt.ArrayLike) -> Polygon:
    """Return unit vectors of shape (n, 3) for longitudes and latitudes in radians."""
    lon, lat = np.asarray(lon), np.asarray(lat)
    return np.stack([np.cos(lon) * np.cos(lat), np.sin(lon) * np.cos(lat), np.sin(lat)], axis=-1)


def outlines(region: lsst.sphgeom.Region) -> list[Polygon]:
    """Return polygons that together cover a region and do not overlap; none if it is empty.

    Each is smaller than a hemisphere, so it can be clipped by planes. Those of a union may overlap, as its parts do.
    """
    match region:
        case lsst.sphgeom.ConvexPolygon():
            return [np.array([(v.x(), v.y(), v.z()) for v in region.getVertices()])]
        case lsst.sphgeom.Circle():
            return [] if region.isEmpty() else _circle(region)
        case lsst.sphgeom.Box():
            return [] if region.isEmpty() else list(_box(region))
        case lsst.sphgeom.Ellipse():
            return [] if region.isEmpty() else _ellipse(region)
        case lsst.sphgeom.UnionRegion():
            return [polygon for part in _operands(region) for polygon in outlines(part)]
        case lsst.sphgeom.IntersectionRegion():
            # Of all kinds only a box is not convex; what is clipped need not be, what clips it must.
            first, *others = sorted(
                _operands(region), key=lambda part: not isinstance(part, lsst.sphgeom.Box)
            )
            polygons = outlines(first)
            for other in others:
                polygons = _within(polygons, _bounding_planes(other))
            return polygons
    raise TypeError(f"{type(region).__qualname__} is no kind of region that can be drawn")


def clipped(polygon: Polygon, normals: Iterable[Vector]) -> Polygon | None:
    """Return the part of a polygon that is on the side of each plane to which its normal points, `None` if none is.

    Sutherland and Hodgman, Communications of the ACM 17 (1974) 32, with arcs of great circles for edges.
    """
    for normal in normals:
        heights = polygon @ normal
        inside = heights >= 0
        if inside.all():
            continue
        if not inside.any():
            return None
        corners: list[Vector] = []
        for i, here in enumerate(inside):
            if inside[i - 1] != here:
                corners.append(_crossing(polygon[i - 1], polygon[i], heights[i - 1], heights[i]))
            if here:
                corners.append(polygon[i])
        polygon = np.array(corners)
    return polygon


def _crossing(one: Vector, other: Vector, height: float, other_height: float) -> Vector:
    # Where the chord meets a plane through the centre of the sphere, the arc does.
    point: Vector = (one * other_height - other * height) / (other_height - height)
    return point / np.linalg.norm(point)


def _operands(region: lsst.sphgeom.CompoundRegion) -> list[lsst.sphgeom.Region]:
    return [region.cloneOperand(i) for i in range(region.nOperands())]


def _within(polygons: Iterable[Polygon], parts: Sequence[Sequence[Vector]]) -> list[Polygon]:
    cut = (clipped(polygon, planes) for polygon, planes in itertools.product(polygons, parts))
    return [polygon for polygon in cut if polygon is not None]


def _bounding_planes(region: lsst.sphgeom.Region) -> list[list[Vector]]:
    """Return sets of normals of planes: a point is in the region if all of one set point to its side."""
    convex = _columns(region) if isinstance(region, lsst.sphgeom.Box) else outlines(region)
    return [list(_edge_normals(polygon)) for polygon in convex]


def _columns(region: lsst.sphgeom.Box) -> Iterator[Polygon]:
    """Yield parts of a box that are as good as convex: a parallel is curved, but little within a step."""
    lat = region.getLat()
    south, north = lat.getA().asRadians(), lat.getB().asRadians()
    west, width = region.getLon().getA().asRadians(), region.getWidth().asRadians()
    for left, right in itertools.pairwise(np.linspace(west, west + width, _corners(width))):
        yield vectors([left, right, right, left], [south, south, north, north])


def _edge_normals(polygon: Polygon) -> Iterator[Vector]:
    """Yield vectors that point inwards from the plane of each edge, whichever way round the corners go."""
    middle = polygon.sum(axis=0)
    for normal in np.cross(polygon, np.roll(polygon, -1, axis=0)):
        if np.linalg.norm(normal) > _SAME_POINT:
            yield normal if normal @ middle >= 0 else -normal


def _circle(region: lsst.sphgeom.Circle) -> list[Polygon]:
    centre, radius = _vector(region.getCenter()), min(region.getOpeningAngle().asRadians(), math.pi)
    if radius <= _WIDEST_PIECE:
        return [_ring(centre, radius)]
    # Rings of quadrangles, since the whole is no polygon that planes could clip.
    radii = np.linspace(0.0, radius, math.ceil(radius / _WIDEST_PIECE) + 1)
    rings = [_ring(centre, each) for each in radii]
    return [
        np.array([inner[i - 1], outer[i - 1], outer[i], inner[i]])
        for inner, outer in itertools.pairwise(rings)
        for i in range(len(inner))
    ]


def _ring(centre: Vector, radius: float) -> Polygon:
    east, north = _tangents(centre)
    angles = np.arange(_corners(2 * math.pi))[:, np.newaxis] * (2 * math.pi / _corners(2 * math.pi))
    around = np.cos(angles) * east + np.sin(angles) * north
    ring: Polygon = math.cos(radius) * centre + math.sin(radius) * around
    return ring


def _ellipse(region: lsst.sphgeom.Ellipse) -> list[Polygon]:
    """Return an ellipse, the cone x^2 / tan^2 alpha + y^2 / tan^2 beta = z^2 in its own axes."""
    alpha, beta = region.getAlpha().asRadians(), region.getBeta().asRadians()
    if max(alpha, beta) >= _WIDEST_PIECE:
        return _circle(region.getBoundingCircle())
    angles = np.arange(_corners(2 * math.pi)) * (2 * math.pi / _corners(2 * math.pi))
    cone = np.stack(
        [math.tan(alpha) * np.cos(angles), math.tan(beta) * np.sin(angles), np.ones(len(angles))], axis=-1
    )
    matrix = region.getTransformMatrix()
    rotation = np.array([_vector(matrix.getRow(i)) for i in range(3)])
    turned = cone @ rotation
    ring: Polygon = turned / np.linalg.norm(turned, axis=1, keepdims=True)
    return [ring]


def _box(region: lsst.sphgeom.Box) -> Iterator[Polygon]:
    lat = region.getLat()
    south, north = lat.getA().asRadians(), lat.getB().asRadians()
    latitudes = np.linspace(south, north, math.ceil((north - south) / _WIDEST_PIECE) + 1)
    for west, east in itertools.pairwise(_longitudes(region)):
        eastwards = np.linspace(west, east, _corners(east - west))
        for low, high in itertools.pairwise(latitudes):
            lon = np.concatenate([eastwards, eastwards[::-1]])
            yield vectors(lon, np.repeat([low, high], len(eastwards)))


def _longitudes(region: lsst.sphgeom.Box) -> Vector:
    """Return the longitudes of a box's sides, and between them as many as its pieces need."""
    west, width = region.getLon().getA().asRadians(), region.getWidth().asRadians()
    return np.linspace(west, west + width, max(1, math.ceil(width / _WIDEST_PIECE)) + 1)


def _corners(angle: float) -> int:
    return max(math.ceil(angle / STEP), math.ceil(_FEWEST_CORNERS * angle / (2 * math.pi))) + 1


def _tangents(centre: Vector) -> tuple[Vector, Vector]:
    """Return two unit vectors at right angles to another and to each other."""
    axis = np.eye(3)[np.argmin(np.abs(centre))]
    first = np.cross(axis, centre)
    first /= np.linalg.norm(first)
    return first, np.cross(centre, first)


def _vector(point: lsst.sphgeom.UnitVector3d | lsst.sphgeom.Vector3d) -> Vector:
    return np.array([point.x(), point.y(), point.z()])
