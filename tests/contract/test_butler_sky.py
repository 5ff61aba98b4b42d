# SPDX-License-Identifier: BSD-3-Clause
"""Overlaps on the sky, compared with geometry by brute force: random regions, also around the poles and RA 0."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator
from typing import Any

import lsst.sphgeom
import pytest

from butler import Butler
from butler_model import errors
from tests.support.butlers import Repository

REGIONS = 50
"""Of each kind: 2,500 pairs."""


def vector(ra: float, dec: float) -> lsst.sphgeom.UnitVector3d:
    return lsst.sphgeom.UnitVector3d(lsst.sphgeom.LonLat.fromDegrees(ra % 360, max(-90.0, min(90.0, dec))))


def polygon(ra: float, dec: float, radius: float, corners: int) -> lsst.sphgeom.ConvexPolygon:
    """Return a regular polygon around a point of the sphere, by vectors, so that poles are no special case."""
    centre = vector(ra, dec)
    axis = vector(ra + 90, 0) if abs(dec) < 89 else vector(0, 0)
    edge = centre.rotatedAround(axis, lsst.sphgeom.Angle.fromDegrees(radius))
    steps = [lsst.sphgeom.Angle(2 * math.pi * i / corners) for i in range(corners)]
    return lsst.sphgeom.ConvexPolygon([edge.rotatedAround(centre, step) for step in steps])


def places(generator: random.Random) -> Iterator[tuple[float, float]]:
    """Yield points near one of the poles, near RA 0, and on one field elsewhere, in turn."""
    centres = itertools.cycle([(0.0, 89.9), (123.0, -89.7), (0.0, 0.0), (359.9, 45.0), (200.0, -30.0)])
    for ra, dec in centres:
        yield ra + generator.uniform(-1.5, 1.5), dec + generator.uniform(-1.5, 1.5)


@pytest.fixture
def regions(repository: Repository) -> tuple[Butler, dict[int, Any], dict[int, Any]]:
    """Give a butler of a repository with random visits and tracts, and their regions."""
    generator = random.Random(1)
    points = places(generator)
    visits = {
        i: lsst.sphgeom.Circle(
            vector(*next(points)), lsst.sphgeom.Angle.fromDegrees(generator.uniform(0.01, 1.2))
        )
        if i % 3 == 0
        else polygon(*next(points), generator.uniform(0.01, 1.2), generator.randrange(3, 8))
        for i in range(REGIONS)
    }
    tracts = {i: polygon(*next(points), generator.uniform(0.05, 1.5), 4) for i in range(REGIONS)}
    butler = repository.butler(writeable=True)
    insert = butler.registry.insertDimensionData
    insert("instrument", {"name": "Cam1"})
    insert("physical_filter", {"instrument": "Cam1", "name": "G", "band": "g"})
    insert("day_obs", {"instrument": "Cam1", "id": 20200101})
    shared = {"instrument": "Cam1", "physical_filter": "G", "day_obs": 20200101}
    insert("visit", *({**shared, "id": i, "name": f"v{i}", "region": r} for i, r in visits.items()))
    insert("skymap", {"name": "Sky1", "hash": b"\1"})
    insert("tract", *({"skymap": "Sky1", "id": i, "region": r} for i, r in tracts.items()))
    return butler, visits, tracts


def touch(one: Any, other: Any) -> bool:
    return not one.relate(other) & lsst.sphgeom.DISJOINT


def test_visits_and_tracts_overlap_exactly_where_geometry_says(
    regions: tuple[Butler, dict[int, Any], dict[int, Any]],
) -> None:
    # D56: 2,500 pairs, no false positive, no duplicate.
    butler, visits, tracts = regions
    expected = [(v, t) for t in tracts for v in visits if touch(visits[v], tracts[t])]
    assert 100 < len(expected) < 2_400
    found = [(d["visit"], d["tract"]) for d in butler.registry.queryDataIds(["visit", "tract"])]
    assert sorted(found) == sorted(expected)
    for visit in (0, 1, 2):
        one = butler.registry.queryDataIds("tract", instrument="Cam1", visit=visit)
        assert [d["tract"] for d in one] == [t for v, t in expected if v == visit]


def test_an_expression_may_say_what_overlaps_also_where_the_dimensions_say_it_already(
    regions: tuple[Butler, dict[int, Any], dict[int, Any]],
) -> None:
    butler, visits, tracts = regions
    expected = sorted((v, t) for t in tracts for v in visits if touch(visits[v], tracts[t]))
    one, other = "visit.region OVERLAPS tract.region", "tract.region OVERLAPS visit.region"
    for where in (one, other, f"{one} AND {other}", f"{one} AND {one}"):
        found = butler.registry.queryDataIds(
            ["visit", "tract"], where=where, instrument="Cam1", skymap="Sky1"
        )
        assert sorted((d["visit"], d["tract"]) for d in found) == expected
        there = butler.registry.queryDataIds("visit", where=where, instrument="Cam1", skymap="Sky1", tract=3)
        assert sorted(d["visit"] for d in there) == [v for v, t in expected if t == 3]


def test_pixels_that_a_region_overlaps_are_those_that_geometry_says(
    regions: tuple[Butler, dict[int, Any], dict[int, Any]],
) -> None:
    butler, _, tracts = regions
    for name, system, level in (
        ("htm7", lsst.sphgeom.HtmPixelization, 7),
        ("healpix5", lsst.sphgeom.HealpixPixelization, 5),
    ):
        pixelization = system(level)
        expected = {
            (t, pixel)
            for t, region in tracts.items()
            for begin, end in pixelization.envelope(region)
            for pixel in range(begin, end)
            if touch(pixelization.pixel(pixel), region)
        }
        results = butler.registry.queryDataIds(["tract", name])
        found = [(d["tract"], d[name]) for d in results]
        assert len(found) == len(set(found)) == results.count()
        assert set(found) == expected
    with pytest.raises(errors.UnsupportedOperationError):
        list(butler.registry.queryDataIds(["tract", "htm9", "healpix5"]))


def test_a_constant_region_selects_what_geometry_says(
    regions: tuple[Butler, dict[int, Any], dict[int, Any]],
) -> None:
    butler, visits, _ = regions
    for ra, dec, radius in ((0.0, 90.0, 0.5), (359.5, 0.2, 1.0), (200.0, -30.0, 1.0), (123.0, -89.7, 0.2)):
        circle = lsst.sphgeom.Circle(vector(ra, dec), lsst.sphgeom.Angle.fromDegrees(radius))
        where = f"visit.region OVERLAPS CIRCLE({ra}, {dec}, {radius})"
        found = butler.registry.queryDataIds("visit", where=where, instrument="Cam1")
        assert [d["visit"] for d in found] == [v for v, region in visits.items() if touch(region, circle)]
