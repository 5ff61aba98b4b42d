# SPDX-License-Identifier: BSD-3-Clause
"""Charts of where data IDs are on the sky."""

from __future__ import annotations

import itertools
from io import BytesIO
from typing import Any

import lsst.sphgeom
import numpy as np
import pytest
from lsst.sphgeom import Angle, Circle, LonLat
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure

from butler import Butler, DatasetType, Timespan
from butler_model import errors
from tests.support.butlers import Repository

BANDS = ("g", "r")


def circle(ra: float, dec: float, radius: float) -> Any:
    centre = lsst.sphgeom.UnitVector3d(LonLat.fromDegrees(ra % 360, dec))
    return Circle(centre, Angle.fromDegrees(radius))


def observed(repository: Repository, places: list[tuple[float, float]], radius: float = 0.7) -> Butler:
    """Return a butler of a repository with a visit at each of the places, and one whose place is unknown."""
    butler = repository.butler(run="run1")
    insert = butler.registry.insertDimensionData
    insert("instrument", {"name": "Cam"})
    insert("physical_filter", *({"instrument": "Cam", "name": f"Cam-{b}", "band": b} for b in BANDS))
    insert("day_obs", {"instrument": "Cam", "id": 20200101})
    shared = {"instrument": "Cam", "day_obs": 20200101}
    insert(
        "visit",
        *(
            {
                **shared,
                "id": i,
                "name": f"v{i}",
                "physical_filter": f"Cam-{BANDS[i % 2]}",
                "exposure_time": 10.0 + i,
                "region": circle(*place, radius),
                "timespan": Timespan.from_simple([i * 10**9, (i + 1) * 10**9]),
            }
            for i, place in enumerate(places)
        ),
        {**shared, "id": 10**6, "name": "lost", "physical_filter": "Cam-g"},
    )
    insert("detector", *({"instrument": "Cam", "id": i, "full_name": f"d{i}"} for i in range(2)))
    return butler


def drawn(figure: Figure) -> tuple[list[Any], list[Any]]:
    """Return the filled polygons and the rims of a chart, in degrees from its middle."""
    axes = figure.axes[0]
    fills = [c for c in axes.collections if isinstance(c, PolyCollection)]
    rims = [c for c in axes.collections if isinstance(c, LineCollection)]
    return (
        [path.vertices for c in fills for path in c.get_paths()],
        [segment for c in rims for segment in c.get_segments()],
    )


def area(points: Any) -> float:
    x, y = np.transpose(points)
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def size(points: Any) -> float:
    return float(np.ptp(points, axis=0).max())


@pytest.mark.parametrize(
    "places",
    [
        [(150.0, 2.2), (151.0, 2.5), (149.0, 1.0)],
        [(359.5, 0.0), (0.5, 0.3), (0.0, -0.7)],
        [(10.0, 89.5), (130.0, 89.2), (250.0, 88.9)],
        [(10.0, -89.9)],
    ],
    ids=["field", "right ascension 0", "north pole", "south pole"],
)
def test_regions_are_zoomed_on_and_keep_their_shape_and_size(
    repository: Repository, places: list[tuple[float, float]]
) -> None:
    figure = observed(repository, places).plot_sky("visit", instrument="Cam")
    fills, rims = drawn(figure)
    assert len(fills) == len(rims) == len(places)
    axes = figure.axes[0]
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    for points in fills:
        # Equal area and equal scale: a circle stays one wherever it is.
        assert np.ptp(points, axis=0) == pytest.approx([1.4, 1.4], rel=0.02)
        assert np.all((left, low) < points.min(axis=0))
        assert np.all(points.max(axis=0) < (right, high))
    assert axes.get_aspect() == 1.0
    assert max(right - left, high - low) < 8


def test_the_whole_sky_is_shown_if_regions_span_it_and_cut_at_its_edge(repository: Repository) -> None:
    places = [(ra, dec) for ra in range(0, 360, 40) for dec in (-60, 0, 60)] + [(20.0, 88.0)]
    figure = observed(repository, places, radius=5.0).plot_sky("visit", instrument="Cam")
    fills, rims = drawn(figure)
    assert len(fills) > len(places)
    # Nothing is drawn right across the chart from one side to the other.
    assert all(size(points) < 100 for points in (*fills, *rims))
    cap = 2 * np.pi * (1 - np.cos(np.radians(5.0))) * np.degrees(1) ** 2
    assert sum(map(area, fills)) == pytest.approx(cap * len(places), rel=0.02)


def test_each_band_has_its_colour_and_a_legend_and_many_numbers_a_bar(repository: Repository) -> None:
    butler = observed(repository, [(150 + i % 5, 2.0 + i // 5) for i in range(25)])
    legend = butler.plot_sky("visit", instrument="Cam").legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["g", "r"]
    assert legend.get_title().get_text() == "band"
    for name in ("visit.exposure_time", "visit.timespan.begin"):
        figure = butler.plot_sky("visit", instrument="Cam", color_by=name)
        (bar,) = figure.axes[0].child_axes
        assert (bar.get_ylabel(), figure.legends) == (name, [])
    assert butler.plot_sky("visit", instrument="Cam", color_by="").legends == []


def test_what_is_drawn_may_be_dimensions_results_data_ids_or_refs(repository: Repository) -> None:
    butler = observed(repository, [(150.0, 2.0), (152.0, 2.0), (154.0, 2.0)])
    butler.registry.registerDatasetType(
        DatasetType("log", ["visit", "detector"], "Text", universe=butler.dimensions)
    )
    refs = [
        butler.put("text", "log", instrument="Cam", visit=v, detector=d) for v, d in ((0, 0), (0, 1), (2, 0))
    ]
    query = butler.query().where(instrument="Cam")
    drawable: list[tuple[Any, int]] = [
        (query.data_ids("visit"), 3),
        (query.data_ids("visit").limit(1), 1),
        (query.datasets("log"), 2),
        (refs, 2),
        (itertools.chain(refs[:1], [butler.registry.expandDataId(instrument="Cam", visit=1)]), 2),
    ]
    for what, places in drawable:
        assert len(drawn(butler.plot_sky(what))[0]) == places
    figure = butler.plot_sky(["visit", "detector"], where="visit < 2", instrument="Cam")
    # Both detectors have the place of their visit, which is drawn once.
    assert len(drawn(figure)[0]) == 2
    assert figure.axes[0].get_title() == "4 data IDs of instrument, detector, visit\n2 regions"
    assert len(drawn(butler.plot_sky("visit", instrument="Cam", limit=2, title="two"))[0]) == 2


def test_pixels_are_drawn_where_they_and_the_regions_overlap(repository: Repository) -> None:
    butler = observed(repository, [(150.0, 2.0)], radius=1.0)
    figure = butler.plot_sky(["visit", "htm7"], instrument="Cam", color_by="htm7")
    fills, _ = drawn(figure)
    assert len(fills) == len(list(butler.query().where(instrument="Cam").data_ids(["visit", "htm7"])))
    assert sum(map(area, fills)) == pytest.approx(np.pi, rel=0.02)


def test_a_chart_is_written_as_an_image_and_into_a_figure_that_is_given(repository: Repository) -> None:
    butler = observed(repository, [(150.0, 2.0)])
    given = Figure()
    assert butler.plot_sky("visit", instrument="Cam", figure=given) is given
    for kind, begin in (("png", b"\x89PNG"), ("svg", b"<?xml")):
        sink = BytesIO()
        given.savefig(sink, format=kind)
        assert sink.getvalue().startswith(begin)


def test_what_cannot_be_drawn_is_refused_with_the_remedy(repository: Repository) -> None:
    butler = observed(repository, [(150.0, 2.0)])
    with pytest.raises(errors.DimensionNameError, match=r"no place on the sky; add one that has: .*visit"):
        butler.plot_sky("detector", instrument="Cam")
    with pytest.raises(errors.EmptyQueryResultError, match="nothing to draw"):
        butler.plot_sky("visit", instrument="Cam", where="visit = 77")
    with pytest.raises(errors.EmptyQueryResultError, match="No region is recorded"):
        butler.plot_sky("visit", instrument="Cam", where="visit = 1000000")
    with pytest.raises(errors.UnknownNameError, match=r"visit\.exposure_time"):
        butler.plot_sky("visit", instrument="Cam", color_by="visit.exposure_tim")
    with pytest.raises(errors.DimensionNameError, match="coloured by 'patch'"):
        butler.plot_sky("visit", instrument="Cam", color_by="patch")
    with pytest.raises(errors.InvalidRequestError, match="no colour can stand"):
        butler.plot_sky("visit", instrument="Cam", color_by="visit.region")
    with pytest.raises(errors.InvalidRequestError, match="restrict them before"):
        butler.plot_sky(butler.query().where(instrument="Cam").data_ids("visit"), where="visit = 1")
