# SPDX-License-Identifier: BSD-3-Clause
"""The half of a butler that draws: ``plot_sky``."""

from __future__ import annotations

__all__ = ["SkyPlotting"]

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import lsst.sphgeom

from butler_model.data_id import DataCoordinate, DataId
from butler_model.dataset import DatasetRef
from butler_model.dimensions import DimensionElement
from butler_model.errors import (
    ConfigurationError,
    DimensionNameError,
    EmptyQueryResultError,
    InvalidRequestError,
)
from butler_model.query.names import column_of_name
from butler_model.query.typed import ValueType
from butler_model.timespan import MAX_NSEC, MIN_NSEC, Timespan
from butler_model.universe import DimensionGroup, DimensionUniverse

from .connect import Connection
from .lookup import DatasetAccess
from .predicates import Predicate
from .query import Query
from .results import DataIdResults, DatasetResults, expanded

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .sky_chart import SkyPatch
    from .sky_colours import Value

_DAY_NSEC = 86_400 * 10**9
_MJD_OF_1970 = 40_587
_COLOURABLE = (ValueType.STRING, ValueType.INT, ValueType.FLOAT, ValueType.BOOL, ValueType.TIME)

Drawable = DimensionGroup | str | Iterable[str] | Iterable[DataCoordinate] | Iterable[DatasetRef]


class SkyPlotting(DatasetAccess):
    """The method that draws where things are on the sky."""

    def plot_sky(
        self,
        what: Drawable,
        *,
        where: str | Predicate = "",
        data_id: DataId | None = None,
        bind: Mapping[str, Any] | None = None,
        color_by: str | None = None,
        limit: int | None = None,
        title: str | None = None,
        figure: Figure | None = None,
        **kwargs: Any,
    ) -> Figure:
        """Draw the regions of data IDs on the sky.

        North is up and east to the left, and areas are true, also at the poles and across right ascension 0. The chart
        is zoomed on the regions, or shows the whole sky if they span it. A region that several data IDs of one colour
        have is drawn once.

        Parameters
        ----------
        what
            Dimensions, whose data IDs are queried; or data IDs, refs, or the results of a query.
        where, data_id, bind, **kwargs
            Which of the data IDs, as `query_data_ids` takes them; only with dimensions.
        color_by
            A dimension (``band``) or a field (``visit.exposure_time``, ``visit.timespan.begin``): each of its values
            has a colour. If absent, the band, where the data IDs have one; the empty text gives all the same colour.
        limit
            How many data IDs are drawn at most.
        title
            What stands above the chart; if absent, what it shows.
        figure
            A figure of matplotlib to draw into; a new one if absent.

        Returns
        -------
        figure
            ``figure.savefig("sky.png")`` writes it.

        Raises
        ------
        DimensionNameError
            Raised if the dimensions have no regions, or ``color_by`` is of another one.
        UnknownNameError
            Raised if ``color_by`` is neither a dimension nor a field.
        EmptyQueryResultError
            Raised if there are no data IDs, or none of them has a region.
        InvalidRequestError
            Raised if ``color_by`` has no values that colours can stand for, or if data IDs are given together with what
            restricts a query.
        ConfigurationError
            Raised if matplotlib is not installed.
        """
        _check_installed()
        from .sky_chart import draw_chart

        query = Query(self._connection, self._defaults, self._finder.types)
        is_restricted = bool(where or data_id or bind or kwargs)
        query = query.where(data_id, where, bind=bind, **kwargs)
        data_ids = _data_ids(self._connection, query, what, limit, is_restricted=is_restricted)
        if color_by is None:
            color_by = "band" if all("band" in data_id.dimensions for data_id in data_ids) else ""
        patches = _patches(data_ids, _value_of(self._connection.info.universe, color_by))
        shown = _summary(data_ids, patches) if title is None else title
        return draw_chart(patches, title=shown, colour_by=color_by, figure=figure)


def _check_installed() -> None:
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"A chart is drawn by matplotlib, which is not installed here ({error}); "
            "pip install 'butler-grpc-client[figures]'."
        ) from error


def _data_ids(
    connection: Connection, query: Query, what: Drawable, limit: int | None, *, is_restricted: bool
) -> list[DataCoordinate]:
    """Return what is to be drawn, with records; `EmptyQueryResultError` if that is nothing."""
    items: Any = (
        what if isinstance(what, str | DimensionGroup | DataIdResults | DatasetResults) else list(what)
    )
    if isinstance(items, list) and items and all(isinstance(item, str) for item in items):
        items = connection.info.universe.conform(items)
    if isinstance(items, str | DimensionGroup):
        items = query.data_ids(items)
    elif is_restricted:
        raise InvalidRequestError(
            "Data IDs that are given are all drawn; restrict them before, or give their dimensions instead."
        )
    given = (item.dataId if isinstance(item, DatasetRef) else item for item in itertools.islice(items, limit))
    data_ids = _with_records(connection, dict.fromkeys(given))
    if not data_ids:
        raise EmptyQueryResultError("There are no such data IDs, so there is nothing to draw.")
    return data_ids


def _with_records(connection: Connection, data_ids: Iterable[DataCoordinate]) -> list[DataCoordinate]:
    finished: list[DataCoordinate] = []
    bare: dict[DimensionGroup, list[DataCoordinate]] = defaultdict(list)
    for data_id in data_ids:
        if data_id.hasRecords():
            finished.append(data_id)
        else:
            bare[data_id.dimensions].append(data_id)
    for dimensions, some in bare.items():
        finished += expanded(connection.registry, dimensions, some)
    return finished


def _value_of(universe: DimensionUniverse, name: str) -> Callable[[DataCoordinate], Value]:
    """Return what gives the value that a data ID's colour stands for."""
    if not name:
        return lambda data_id: None
    column = column_of_name(universe, name)
    if column.type not in _COLOURABLE:
        raise InvalidRequestError(
            f"{name!r} is a {column.type.name.lower()}, for which no colour can stand; name a field that holds a "
            "number, a text or a time.",
            name=name,
        )

    def value(data_id: DataCoordinate) -> Value:
        if column.element not in data_id.dimensions.elements:
            raise DimensionNameError(
                f"Data IDs of {data_id.dimensions} cannot be coloured by {name!r}: they have no {column.element}.",
                element=column.element,
            )
        if name in data_id.dimensions:
            return data_id[name]
        record = data_id.records.get(column.element)
        found = None if record is None else record.get(column.field)
        return _mjd(found, column.end) if column.end else found

    return value


def _mjd(span: Timespan | None, end: str) -> float | None:
    """Return an end of a time span as a modified Julian date (TAI); `None` if it is unbounded."""
    if span is None or span.isEmpty():
        return None
    nsec = span.nsec[end == "end"]
    return None if nsec in (MIN_NSEC, MAX_NSEC) else nsec / _DAY_NSEC + _MJD_OF_1970


def _patches(
    data_ids: Sequence[DataCoordinate], value_of: Callable[[DataCoordinate], Value]
) -> list[SkyPatch]:
    """Return the distinct patches of data IDs."""
    from .sky_chart import SkyPatch

    place = _Places()
    patches: dict[tuple[bytes, Value], SkyPatch] = {}
    for data_id in data_ids:
        region, value = place(data_id), value_of(data_id)
        if region is not None:
            patches.setdefault((region.encode(), value), SkyPatch(region, value))
    if not patches:
        _refuse_without_place(data_ids[0].dimensions)
        raise EmptyQueryResultError(f"No region is recorded for any of the {len(data_ids):,} data IDs.")
    return list(patches.values())


def _refuse_without_place(dimensions: DimensionGroup) -> None:
    universe = dimensions.universe
    spatial = [name for family in universe.families["spatial"].values() for name in family]
    if not dimensions.skypix and not any(name in dimensions.elements for name in spatial):
        raise DimensionNameError(
            f"Dimensions {dimensions} have no place on the sky; add one that has: "
            f"{', '.join(name for name in universe.sorted(spatial) if universe[name].is_dimension)}."
        )


class _Places:
    """Tells the region of a data ID, of its pixel too, for which there is no record."""

    def __init__(self) -> None:
        self._pixelizations: dict[str, lsst.sphgeom.Pixelization] = {}

    def __call__(self, data_id: DataCoordinate) -> lsst.sphgeom.Region | None:
        region = data_id.region
        for name in data_id.dimensions.skypix:
            pixel = self._pixelization(data_id.universe[name]).pixel(int(data_id[name]))
            region = pixel if region is None else lsst.sphgeom.IntersectionRegion(region, pixel)
        return region

    def _pixelization(self, dimension: DimensionElement) -> lsst.sphgeom.Pixelization:
        if dimension.name not in self._pixelizations:
            assert dimension.skypix is not None
            system, level = dimension.skypix
            self._pixelizations[dimension.name] = system.pixelization(level)
        return self._pixelizations[dimension.name]


def _summary(data_ids: Sequence[DataCoordinate], patches: Sequence[SkyPatch]) -> str:
    regions = len({patch.region.encode() for patch in patches})
    names = ", ".join(dict.fromkeys(name for each in data_ids for name in each.dimensions.required))
    return f"{len(data_ids):,} data IDs of {names}\n{regions:,} regions"
