# SPDX-License-Identifier: BSD-3-Clause
"""Charts of regions on the sky, drawn by matplotlib on the axes of astropy."""

from __future__ import annotations

__all__ = ["SkyPatch", "draw_chart"]

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import lsst.sphgeom
import numpy as np
import numpy.typing as npt

from .sky_colours import ColourKey, Value, colour_key
from .sky_outlines import STEP, clipped, outlines, vectors

if TYPE_CHECKING:
    from astropy.visualization.wcsaxes import WCSAxes
    from astropy.wcs import WCS
    from matplotlib.figure import Figure

_ZOOM_RADIUS = math.radians(50.0)
"""Up to this angle around its centre the data is zoomed on; beyond, the whole sky is shown."""
_SMALLEST_RADIUS = math.radians(1 / 3600)
_MARGIN = 1.12
_STEPS_ACROSS = 40
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
"""Distances of parallels around a pole, in degrees."""
_CUT = 1e-7
"""How far from the edge of a chart of the whole sky, in radians, what crosses it is cut."""
_AITOFF = (math.degrees(2 * math.sqrt(2)), math.degrees(math.sqrt(2)))
"""Half width and half height of the whole sky in a Hammer-Aitoff chart, in degrees."""
_INCHES = 6.0
"""Width of a zoomed chart with what stands beside it; its height follows from what it shows, as far as this."""
_MOST_OBLONG = 3.0
_OPACITY = 0.35
_THIN, _THICK, _MANY = 0.4, 0.9, 300
"""Widths of rims, in points, and how many of them are many."""
_INCHES_ALL_SKY = (9.0, 5.0)
_PARALLEL_NAME: dict[str, Any] = {
    "size": "small",
    "ha": "center",
    "va": "center",
    "zorder": 5,
    "bbox": {"facecolor": "white", "alpha": 0.6, "edgecolor": "none", "pad": 0.5},
}

Points = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SkyPatch:
    """A region to be drawn, and the value that its colour stands for."""

    region: lsst.sphgeom.Region
    value: Value


@dataclass(frozen=True, slots=True)
class _Shape:
    """A polygon of a patch, of shape (corners, 3); its rim is drawn if it is all of the patch."""

    polygon: Points
    has_rim: bool
    value: Value


def draw_chart(
    patches: Iterable[SkyPatch], *, title: str = "", colour_by: str = "", figure: Figure | None = None
) -> Figure:
    """Return a figure of regions, in ICRS, with north up and east to the left.

    Areas are true: the zoomed chart is Lambert's azimuthal projection around the centre of the regions, that of the
    whole sky Hammer and Aitoff's, cut where there is least (FITS WCS Paper II: ZEA and AIT).

    Parameters
    ----------
    patches
        At least one that is not empty.
    colour_by
        What the values are called.
    figure
        To be drawn into; a new one if absent.
    """
    from matplotlib.figure import Figure as NewFigure

    shapes = [
        _Shape(polygon, len(polygons) == 1, patch.value)
        for patch in patches
        for polygons in [outlines(patch.region)]
        for polygon in polygons
    ]
    corners = np.concatenate([shape.polygon for shape in shapes])
    centre, radius = _bounds(corners)
    is_all_sky = radius > _ZOOM_RADIUS
    figure = NewFigure(layout="constrained") if figure is None else figure
    axes = _all_sky_axes(figure, corners) if is_all_sky else _zoomed_axes(figure, centre, corners)
    key = colour_key([shape.value for shape in shapes], colour_by)
    _draw(axes, shapes, key, STEP if is_all_sky else max(radius / _STEPS_ACROSS, 1e-9), is_all_sky)
    key.explain(axes)
    # Around a pole there are coordinates above the chart too.
    axes.set_title(title, fontsize="medium", pad=18)
    return figure


def _bounds(corners: Points) -> tuple[Points, float]:
    """Return the centre and radius, in radians, of a circle around points: not the least, but near it.

    Badoiu and Clarkson, Computational Geometry 40 (2008) 14: steps towards the farthest point, each shorter.
    """
    centre = corners.mean(axis=0)
    if np.linalg.norm(centre) < 0.2:
        return np.array([1.0, 0.0, 0.0]), math.pi
    centre = centre / np.linalg.norm(centre)
    for i in range(1, 60):
        farthest = corners[np.argmin(corners @ centre)]
        centre = centre + (farthest - centre) / (i + 1)
        centre = centre / np.linalg.norm(centre)
    chord = float(np.max(np.linalg.norm(corners - centre, axis=1)))
    return centre, max(2 * math.asin(min(chord / 2, 1.0)), _SMALLEST_RADIUS)


def _zoomed_axes(figure: Figure, centre: Points, corners: Points) -> WCSAxes:
    wcs = _wcs("ZEA", math.degrees(math.atan2(centre[1], centre[0])), math.degrees(math.asin(centre[2])))
    points = _projected(wcs, corners)
    low, high = points.min(axis=0), points.max(axis=0)
    middle, half = (low + high) / 2, _MARGIN * (high - low) / 2
    half = np.maximum(half, max(float(half.max()) / _MOST_OBLONG, math.degrees(_SMALLEST_RADIUS)))
    axes: Any = figure.add_subplot(projection=wcs)
    axes.set_xlim(middle[0] - half[0], middle[0] + half[0])
    axes.set_ylim(middle[1] - half[1], middle[1] + half[1])
    figure.set_size_inches(_INCHES * np.sqrt(half / np.sqrt(half[0] * half[1])) + (1.5, 0.8))
    for coordinate, name in zip(axes.coords, ("RA", "Dec"), strict=True):
        coordinate.set_axislabel(f"{name} (deg)")
        coordinate.set_major_formatter(_decimals(float(half.min())))
    for pole in (-90, 90):
        x, y = wcs.wcs_world2pix([[0, pole]], 0)[0]
        if math.hypot(x, y) < 180 and (np.abs((x, y) - middle) < half).all():
            _grid_around_pole(axes, pole, float(half.max()))
    return _finished(axes)


def _grid_around_pole(axes: Any, pole: int, degrees: float) -> None:
    """Set grid lines where meridians meet: these are named all around the chart, and parallels within it."""
    ra, dec = axes.coords
    ra.set_ticks(spacing=30 * _degree())
    ra.set_major_formatter("d")
    ra.set_ticklabel_position("lbrt")
    ra.set_ticklabel(exclude_overlapping=True)
    ra.set_axislabel_position("b")
    dec.set_ticklabel_visible(False)
    dec.set_axislabel("")
    step = max(each for each in _STEPS if each <= max(degrees / 2.5, _STEPS[0]))
    latitudes = [math.copysign(90 - i * step, pole) for i in range(1, int(degrees / step) + 1)]
    dec.set_ticks(latitudes * _degree())
    for latitude in latitudes:
        x, y = axes.wcs.wcs_world2pix([[15, latitude]], 0)[0]
        axes.text(x, y, f"{latitude:+.{_digits(step)}f}°", clip_on=True, **_PARALLEL_NAME)


def _decimals(degrees: float) -> str:
    """Return the format of coordinates in a chart of this half width: enough digits to tell grid lines apart."""
    digits = _digits(degrees / 2)
    return f"d.{'d' * digits}" if digits else "d"


def _digits(step: float) -> int:
    return max(0, math.ceil(-math.log10(step)))


def _all_sky_axes(figure: Figure, corners: Points) -> WCSAxes:
    from astropy.visualization.wcsaxes.frame import EllipticalFrame

    axes: Any = figure.add_subplot(
        projection=_wcs("AIT", _middle_longitude(corners), 0.0), frame_class=EllipticalFrame
    )
    figure.set_size_inches(_INCHES_ALL_SKY)
    width, height = _AITOFF
    axes.set_xlim(-width, width)
    axes.set_ylim(-height, height)
    ra, dec = axes.coords
    for coordinate, spacing in ((ra, 30.0), (dec, 30.0)):
        coordinate.set_ticks(spacing=spacing * _degree())
        coordinate.set_major_formatter("d")
    ra.set_ticklabel(exclude_overlapping=True)
    return _finished(axes)


def _finished(axes: Any) -> WCSAxes:
    axes.set_aspect("equal")
    axes.coords.grid(color="0.6", linewidth=0.5, alpha=0.6)
    for coordinate in axes.coords:
        coordinate.set_ticklabel(size="small")
    finished: WCSAxes = axes
    return finished


def _degree() -> Any:
    from astropy.units import degree

    return degree


def _wcs(projection: str, longitude: float, latitude: float) -> WCS:
    from astropy.wcs import WCS

    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [f"RA---{projection}", f"DEC--{projection}"]
    wcs.wcs.crval = [longitude % 360, latitude]
    # A pixel is a degree, and the first one is the centre's.
    wcs.wcs.cdelt = [-1.0, 1.0]
    wcs.wcs.crpix = [1.0, 1.0]
    wcs.wcs.radesys = "ICRS"
    return wcs


def _middle_longitude(corners: Points) -> float:
    """Return the longitude, in degrees, opposite of the widest gap between points; 180 if no gap is wide."""
    longitudes = np.sort(np.degrees(np.arctan2(corners[:, 1], corners[:, 0])) % 360)
    gaps = np.diff(np.append(longitudes, longitudes[0] + 360))
    widest = int(np.argmax(gaps))
    if gaps[widest] < 15:
        return 180.0
    return float(longitudes[widest] + gaps[widest] / 2 + 180) % 360


def _draw(axes: WCSAxes, shapes: Sequence[_Shape], key: ColourKey, step: float, is_all_sky: bool) -> None:
    from matplotlib.collections import LineCollection, PolyCollection

    middle = math.radians(float(axes.wcs.wcs.crval[0]))
    fills: list[tuple[Points, Value]] = []
    rims: list[tuple[Points, Value]] = []
    for curve, shape in _densified(shapes, step):
        pieces = _cut(curve, middle) if is_all_sky else [curve]
        fills += [(_projected(axes.wcs, piece), shape.value) for piece in pieces]
        if shape.has_rim:
            rim = _projected(axes.wcs, np.concatenate([curve, curve[:1]]))
            rims += [(line, shape.value) for line in (_unbroken(rim) if is_all_sky else [rim])]
    areas = np.array([_area(points) for points, _ in fills])
    # The small ones last, to be seen on top of the large ones.
    fills = [fills[i] for i in np.argsort(-areas)]
    opacity = _opacity(areas, axes)
    axes.add_collection(
        PolyCollection(
            [points for points, _ in fills],
            facecolors=key.colours([value for _, value in fills], opacity),
            edgecolors="none",
        ),
        autolim=False,
    )
    axes.add_collection(
        LineCollection(
            [points for points, _ in rims],
            colors=key.colours([value for _, value in rims], 0.9),
            linewidths=_THIN if len(rims) > _MANY else _THICK,
        ),
        autolim=False,
    )


def _area(points: Points) -> float:
    """Return the area of a polygon in a chart, in square degrees."""
    x, y = points.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def _opacity(areas: npt.NDArray[np.float64], axes: WCSAxes) -> float:
    """Return how opaque each of the polygons is drawn: the less, the more of them lie on top of each other."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    layers = float(areas.sum()) / abs((right - left) * (high - low))
    return min(max(_OPACITY / math.sqrt(max(layers, 1.0)), 0.03), _OPACITY)


def _densified(shapes: Sequence[_Shape], step: float) -> Iterator[tuple[Points, _Shape]]:
    """Yield each polygon with further corners on its edges, at most ``step`` radians apart."""
    same_size: dict[int, list[_Shape]] = defaultdict(list)
    for shape in shapes:
        same_size[len(shape.polygon)].append(shape)
    for group in same_size.values():
        begins = np.array([shape.polygon for shape in group])
        ends = np.roll(begins, -1, axis=1)
        longest = float(np.max(np.linalg.norm(ends - begins, axis=2)))
        pieces = min(max(math.ceil(longest / step), 1), 180)
        fractions = (np.arange(pieces) / pieces)[:, np.newaxis]
        points = begins[:, :, np.newaxis] * (1 - fractions) + ends[:, :, np.newaxis] * fractions
        points /= np.linalg.norm(points, axis=-1, keepdims=True)
        yield from zip(points.reshape(len(group), -1, 3), group, strict=True)


def _cut(polygon: Points, middle: float) -> Iterator[Points]:
    """Yield the parts of a polygon on either side of the edge of the chart, whose middle is at a longitude."""
    relative = np.angle(np.exp(1j * (np.arctan2(polygon[:, 1], polygon[:, 0]) - middle)))
    if np.ptp(relative) < math.pi:
        yield polygon
        return
    for west, east in itertools.pairwise((middle - math.pi + _CUT, middle, middle + math.pi - _CUT)):
        part = clipped(polygon, [_east_of(west), -_east_of(east)])
        if part is not None:
            yield part


def _east_of(longitude: float) -> Points:
    """Return the normal of a meridian's plane that points east."""
    return vectors(longitude + math.pi / 2, 0.0)


def _unbroken(line: Points) -> Iterator[Points]:
    """Yield the parts of a line between the places where it leaves the chart at one side and enters at the other."""
    breaks = np.flatnonzero(np.abs(np.diff(line[:, 0])) > _AITOFF[0] / 2) + 1
    for part in np.split(line, breaks):
        if len(part) > 1:
            yield part


def _projected(wcs: WCS, points: Points) -> Points:
    lon, lat = np.arctan2(points[:, 1], points[:, 0]), np.arcsin(np.clip(points[:, 2], -1, 1))
    projected: Points = wcs.wcs_world2pix(np.degrees(np.stack([lon, lat], axis=-1)), 0)
    return projected
