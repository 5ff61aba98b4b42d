# SPDX-License-Identifier: BSD-3-Clause
"""Charts of the sky: what stands around a pole, and how long many regions take."""

from __future__ import annotations

import random
import time
from io import BytesIO

import lsst.sphgeom
from lsst.sphgeom import Angle, Circle, ConvexPolygon, LonLat, UnitVector3d

from butler.sky_chart import SkyPatch, draw_chart

MANY = 10_000
PATIENCE_SECONDS = 60.0
"""Far more than it takes on an idle machine, which is two seconds."""


def quadrangle(ra: float, dec: float, size: float) -> ConvexPolygon:
    corners = [(ra, dec), (ra + size, dec), (ra + size, dec + size), (ra, dec + size)]
    return ConvexPolygon([UnitVector3d(LonLat.fromDegrees(*corner)) for corner in corners])


def test_ten_thousand_regions_are_drawn_in_seconds() -> None:
    generator = random.Random(1)
    patches = [
        SkyPatch(quadrangle(generator.uniform(10, 60), generator.uniform(-40, 10), 0.2), i)
        for i in range(MANY)
    ]
    began = time.monotonic()
    figure = draw_chart(patches, colour_by="visit")
    figure.savefig(BytesIO(), format="png")
    assert time.monotonic() - began < PATIENCE_SECONDS


def test_parallels_around_a_pole_are_named_within_the_chart() -> None:
    pole = UnitVector3d(LonLat.fromDegrees(0, 90))
    figure = draw_chart([SkyPatch(Circle(pole, Angle.fromDegrees(5)), None)], title="the pole")
    names = [text.get_text() for text in figure.axes[0].texts]
    assert names == ["+88°", "+86°"]
    figure.savefig(BytesIO(), format="svg")


def test_pixels_around_the_whole_sky_are_drawn_once_each_and_cut_where_they_cross_its_edge() -> None:
    pixelization = lsst.sphgeom.HtmPixelization(2)
    patches = [
        SkyPatch(pixelization.pixel(i), i)
        for begin, end in pixelization.universe()
        for i in range(begin, end)
    ]
    figure = draw_chart(patches, colour_by="htm2")
    fills, rims = figure.axes[0].collections
    assert len(patches) <= len(fills.get_paths()) < 2 * len(patches)
    assert len(rims.get_paths()) >= len(patches)
