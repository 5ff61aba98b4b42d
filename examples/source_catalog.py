# SPDX-License-Identifier: BSD-3-Clause
"""Catalogues of sources that are made up: as many as one asks for, within a region of the sky."""

from __future__ import annotations

__all__ = ["SOURCES", "make_catalog", "sources_within"]

import math

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from lsst.sphgeom import ConvexPolygon

SOURCES = 40
"""Rows of one catalogue."""
FAINTEST_FLUX = 100.0

_Array = npt.NDArray[np.float64]


def make_catalog(region: ConvexPolygon, seed: tuple[int, ...]) -> pa.Table:
    """Return a catalogue of sources spread evenly over a region.

    Parameters
    ----------
    seed
        The same seed and region give the same catalogue.

    Returns
    -------
    catalog
        ``x``, ``y``: offsets to the West and to the North of the region's centre, on the tangent plane there, in
        arcseconds. ``ra``, ``dec``: degrees. ``flux``: arbitrary units, with as many faint sources as the sky has.
    """
    generator = np.random.default_rng(seed)
    centre = np.asarray(region.getCentroid())
    east = np.array([-centre[1], centre[0], 0.0]) / math.hypot(centre[0], centre[1])
    north = np.cross(centre, east)
    corners = np.array([np.asarray(corner) for corner in region.getVertices()])
    # The gnomonic projection: from the sphere's centre through the point, to the plane that touches at `centre`.
    corners /= (corners @ centre)[:, None]
    points = _points_in_polygon(generator, np.column_stack([corners @ east, corners @ north]))
    directions = centre + points @ np.array([east, north])
    arcseconds = np.degrees(points) * 3600
    # Counts grow tenfold when the flux limit falls by a factor of 10^(2/3), as in a universe of even density.
    flux = FAINTEST_FLUX * generator.uniform(size=SOURCES) ** (-2 / 3)
    return pa.table(
        {
            "x": -arcseconds[:, 0],
            "y": arcseconds[:, 1],
            "ra": np.degrees(np.arctan2(directions[:, 1], directions[:, 0])) % 360.0,
            "dec": np.degrees(np.arctan2(directions[:, 2], np.hypot(directions[:, 0], directions[:, 1]))),
            "flux": flux,
        }
    )


def sources_within(catalog: pa.Table, region: ConvexPolygon) -> bool:
    """Return whether all sources of a catalogue are in a region."""
    inside = region.contains(np.radians(catalog["ra"].to_numpy()), np.radians(catalog["dec"].to_numpy()))
    return bool(np.all(inside))


def _points_in_polygon(generator: np.random.Generator, corners: _Array) -> _Array:
    """Return points spread evenly over a convex polygon of the plane, one per row."""
    # A fan of triangles: each point picks one by its area, and a place in it by folding a square along its diagonal.
    first, edges = corners[0], corners[1:] - corners[0]
    left, right = edges[:-1], edges[1:]
    areas = np.abs(left[:, 0] * right[:, 1] - left[:, 1] * right[:, 0])
    chosen = generator.choice(len(areas), SOURCES, p=areas / areas.sum())
    place = generator.uniform(size=(SOURCES, 2))
    place = np.where(place.sum(axis=1, keepdims=True) > 1, 1 - place, place)
    return np.asarray(first + place[:, :1] * left[chosen] + place[:, 1:] * right[chosen])
