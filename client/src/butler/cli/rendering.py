# SPDX-License-Identifier: BSD-3-Clause
"""Values as they are printed: as text for people, and as JSON."""

from __future__ import annotations

__all__ = ["amount", "flattened", "json_value", "text_value", "was"]

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

from lsst.sphgeom import LonLat, Region

from butler_model.timespan import MAX_NSEC, MIN_NSEC, Timespan

_NSEC_PER_SECOND = 10**9
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - TAI, which datetime has no name for


def amount(number: int, noun: str) -> str:
    """Return a number with what is counted, in the plural unless it is one."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def was(number: int) -> str:
    """Return the verb that goes with a number of things."""
    return "was" if number == 1 else "were"


def flattened(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record with the fields of mappings in it in their place."""
    flat: dict[str, Any] = {}
    for name, value in record.items():
        flat.update(value if isinstance(value, Mapping) else {name: value})
    return flat


def json_value(value: Any) -> Any:
    """Return a value in terms of JSON.

    Bytes and regions are hexadecimal text, UUIDs text, a time span an object of ``begin`` and ``end`` (TAI, to the
    nanosecond; null is unbounded; both are absent from the empty one), and numbers that JSON does not know are text.
    """
    if isinstance(value, Mapping):
        return {str(name): json_value(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, str | bool | float):
        return value
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, int):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Region):
        return value.encode().hex()
    if isinstance(value, Timespan):
        return {} if value.isEmpty() else dict(zip(("begin", "end"), _bounds(value), strict=True))
    return str(value)


def text_value(value: Any) -> str:
    """Return a value as text on one line, without characters that would steer a terminal.

    A region is the circle around it: right ascension, declination and radius in degrees.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | UUID) and not isinstance(value, Enum):
        return str(value)
    if isinstance(value, str):
        text = value
    elif isinstance(value, Enum):
        text = value.name
    elif isinstance(value, bytes):
        text = value.hex()
    elif isinstance(value, list | tuple):
        text = ", ".join(map(text_value, value))
    elif isinstance(value, Region):
        text = _circle(value)
    elif isinstance(value, Timespan):
        text = _interval(value)
    else:
        text = str(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _circle(region: Region) -> str:
    circle = region.getBoundingCircle()
    if circle.isEmpty():
        return "empty"
    center = LonLat(circle.getCenter())
    longitude, latitude = center.getLon().asDegrees(), center.getLat().asDegrees()
    return f"{longitude:.4f} {latitude:+.4f} r={circle.getOpeningAngle().asDegrees():.4f}"


def _interval(span: Timespan) -> str:
    if span.isEmpty():
        return "empty"
    begin, end = ("" if bound is None else bound.removesuffix("000000") for bound in _bounds(span))
    return f"{begin}/{end}"


def _bounds(span: Timespan) -> tuple[str | None, str | None]:
    """Return begin and end, exact to the nanosecond, or `None` where unbounded."""
    begin, end = span.nsec
    return (None if begin == MIN_NSEC else _iso(begin), None if end == MAX_NSEC else _iso(end))


def _iso(nsec: int) -> str:
    # Not by astropy, which takes half a second to load: TAI has no leap seconds, so a plain calendar does.
    seconds, rest = divmod(nsec, _NSEC_PER_SECOND)
    return f"{(_EPOCH + timedelta(seconds=seconds)).isoformat()}.{rest:09d}"
