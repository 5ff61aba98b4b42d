# SPDX-License-Identifier: BSD-3-Clause
"""A real survey's metadata, asked through a butler, gives the numbers that the field knows of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lsst.sphgeom
import pytest

from butler import Butler
from tests.support.butlers import DEPLOYMENTS, Repository, new_repository

HSC: dict[str, Any] = {"instrument": "HSC"}
RINGS: dict[str, Any] = {"skymap": "hsc_rings_v1"}


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def butler(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, shared_data: Path
) -> Iterator[Butler]:
    """Give a butler of a repository that has the survey."""
    with (
        new_repository(request, tmp_path_factory.mktemp("golden")) as place,
        Butler(place.root, writeable=True) as butler,
    ):
        butler.import_(filename="hsc-rc2-subset.yaml", directory=shared_data)
        yield butler


@pytest.mark.parametrize(
    ("dimensions", "rows"),
    [
        # D56: overlaps are exact, each row comes once.
        (["visit", "tract"], 160),
        (["visit", "detector", "tract"], 1132),
        (["visit", "detector", "patch"], 1132),
        (["tract", "htm7"], 50),
        (["visit", "htm7"], 3962),
        # D61a: no spatial family on both sides.
        (["visit", "detector"], 17_760),
        # D59
        (["band"], 5),
        (["physical_filter"], 5),
    ],
    ids=str,
)
def test_data_ids_are_as_many_as_the_field_knows(butler: Butler, dimensions: list[str], rows: int) -> None:
    results = butler.registry.queryDataIds(dimensions)
    assert results.count() == rows
    assert len(results.toSet()) == len(list(results)) == rows


def test_what_is_on_the_sky_is_constrained_by_what_is_on_the_sky(butler: Butler) -> None:
    # D57: a tract in the data ID constrains visits, though a visit has no tract.
    query = butler.registry.queryDataIds
    assert query("visit", tract=9813, **RINGS).count() == 95
    assert query("visit", where="skymap = 'hsc_rings_v1' AND tract = 9813", **HSC).count() == 95
    assert query("patch", visit=1228, **HSC).count() == 1
    assert butler.registry.queryDimensionRecords("visit", tract=9813, **RINGS).count() == 95


def test_records_are_selected_by_their_fields(butler: Butler) -> None:
    query = butler.registry.queryDimensionRecords
    when = "visit.timespan OVERLAPS (T'2014-11-01', T'2015-01-22')"
    assert query("visit", where=when, **HSC).count() == 41
    assert query("visit", where="visit.exposure_time > 200.0", **HSC).count() == 95
    assert query("visit").count() == 160
    assert query("visit_detector_region").count() == 1132
    assert all(record.region is not None for record in query("visit_detector_region"))


def test_overlaps_are_those_that_geometry_says(butler: Butler) -> None:
    # D56, by brute force over all pairs
    registry = butler.registry
    visits: dict[Any, Any] = {d["visit"]: d.region for d in registry.queryDataIds("visit").expanded()}
    patches: dict[Any, Any] = {
        (d["tract"], d["patch"]): d.region for d in registry.queryDataIds("patch").expanded()
    }
    expected = {
        (visit, *patch)
        for (visit, one), (patch, other) in itertools.product(visits.items(), patches.items())
        if not one.relate(other) & lsst.sphgeom.DISJOINT
    }
    found = {(d["visit"], d["tract"], d["patch"]) for d in registry.queryDataIds(["visit", "patch"])}
    assert found == expected


def test_small_exports_have_their_numbers(repository: Repository, shared_data: Path) -> None:
    butler = repository.butler(writeable=True)
    for name in ("base.yaml", "datasets.yaml"):
        butler.import_(filename=name, directory=shared_data)
    query: Any = butler.registry.queryDatasets
    both = ["imported_g", "imported_r"]
    assert query("bias", collections=both).count() == 6
    assert query("bias", collections=both, findFirst=True).count() == 4
    assert query("*", collections=...).count() == 13
