# SPDX-License-Identifier: BSD-3-Clause
"""The YAML of export files: plain values and the tags of the format, and nothing else is ever constructed."""

from __future__ import annotations

__all__ = ["ExportYaml", "Instant", "parse_export_yaml"]

import datetime
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import lsst.sphgeom
import numpy as np
import yaml

from butler_model.errors import MalformedExportError

try:
    from yaml import (
        CSafeLoader as _SafeLoader,
    )  # ten times faster; absent if PyYAML was built without libyaml
except ImportError:
    from yaml import SafeLoader as _SafeLoader  # type: ignore[assignment]

_NSEC_PER_SECOND = 10**9
_NSEC_PER_DAY = 86_400 * _NSEC_PER_SECOND
_JD_EPOCH = 2_440_587.5  # Julian date of 1970-01-01
_EPOCH = datetime.date(1970, 1, 1).toordinal()
_MAX_DEPTH = 20
_FIRST_YEAR, _LAST_YEAR = 1970, 2100
_ISO = re.compile(r"\s*(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?\s*")
_REGIONS = (
    "Box",
    "Circle",
    "CompoundRegion",
    "ConvexPolygon",
    "Ellipse",
    "IntersectionRegion",
    "UnionRegion",
)


@dataclass(frozen=True, slots=True)
class ExportYaml:
    """A parsed file.

    Attributes
    ----------
    content
        Its outermost value.
    utc
        Every UTC time in it that can be held, as TAI nanoseconds.
    """

    content: Any
    utc: Mapping[datetime.datetime, int]

    def nsec(self, value: Any) -> int | None:
        """Return a time of the file in TAI nanoseconds since 1970-01-01 TAI, `None` for none.

        Accepts what the tags and plain times give, and integers, which are nanoseconds already; `ValueError`
        for anything else, and for what is too early or too late.
        """
        if value is None or type(value) is int:
            return value
        if type(value) is Instant:
            return value.nsec
        if type(value) is datetime.datetime and value in self.utc:
            return self.utc[value]
        raise ValueError(f"{value!s:.80} is no time between the years {_FIRST_YEAR} and {_LAST_YEAR}")


def parse_export_yaml(name: str, text: bytes | str) -> ExportYaml:
    """Parse a file; ``name`` is what it is called in messages.

    Raises `MalformedExportError`, which names the line, if it is not YAML or has a value of no known kind.
    """
    try:
        _check_events(text)
        loader = _Loader(text)
        try:
            content = loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = str(mark.line + 1) if mark else "1"
        raise MalformedExportError(
            f"{name}, line {line}: {error.problem or error.context}.", file=name, line=line
        ) from error
    except (yaml.YAMLError, RecursionError) as error:
        why = " ".join(str(error).split())
        raise MalformedExportError(f"{name} cannot be read as YAML: {why}.", file=name) from error
    return ExportYaml(content, _utc_to_nsec(loader.moments))


class _Loader(_SafeLoader):
    """Constructs plain values and the tags of the format; notes the UTC times that it meets."""

    def __init__(self, text: bytes | str) -> None:
        super().__init__(text)
        self.moments: set[datetime.datetime] = set()


@dataclass(frozen=True, slots=True)
class Instant:
    """A time of the TAI scale, in nanoseconds since 1970-01-01 TAI."""

    nsec: int


def _check_events(text: bytes | str) -> None:
    # Building the values recurses in C, which ends the process if they are nested deeply enough; merge keys
    # can make a small file expand beyond any memory. The format needs neither.
    depth = 0
    for event in yaml.parse(text, Loader=_SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MAX_DEPTH:
                raise _refuse(event, f"values are nested more than {_MAX_DEPTH} deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.implicit[0]:
            raise _refuse(event, "merge keys (<<) are not part of the format")


def _refuse(where: yaml.Node | yaml.Event, what: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=what, problem_mark=where.start_mark)  # type: ignore[arg-type]


def _with_line(construct: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    # The library lets ValueError through, without a line, for a date such as 2014-13-45.
    def constructor(loader: Any, node: Any) -> Any:
        try:
            return construct(loader, node)
        except (ValueError, OverflowError) as error:
            raise _refuse(node, f"{node.value!r:.80} cannot be read: {error}") from error

    return constructor


def _construct_region(loader: _Loader, node: yaml.MappingNode) -> lsst.sphgeom.Region:
    name = node.tag.rpartition(".")[2]
    encoded = loader.construct_mapping(node).get("encoded")
    if type(encoded) is not str:
        # Digits alone are read as a number; no encoding of a region is.
        raise _refuse(node, f"a {name} needs its encoding in hexadecimal digits under 'encoded'")
    try:
        region = lsst.sphgeom.Region.decode(bytes.fromhex(encoded))
    except (ValueError, RuntimeError) as error:
        raise _refuse(node, f"the {name} under 'encoded' cannot be decoded: {error}") from error
    if type(region).__name__ != name:
        raise _refuse(node, f"a {name} is announced, but a {type(region).__name__} is encoded")
    return region


def _construct_tai(loader: _Loader, node: yaml.ScalarNode) -> Instant:
    match = _ISO.fullmatch(str(loader.construct_scalar(node)))
    if not match:
        raise ValueError("write a TAI time as '2020-01-31 12:34:56.789'")
    year, month, day, hour, minute, second = (int(digits) for digits in match.groups()[:6])
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError("there is no such time of day in TAI")
    days = datetime.date(year, month, day).toordinal() - _EPOCH
    fraction = int((match[7] or "0").ljust(9, "0"))
    return Instant((((days * 24 + hour) * 60 + minute) * 60 + second) * _NSEC_PER_SECOND + fraction)


def _construct_utc(loader: _Loader, node: yaml.ScalarNode) -> datetime.date:
    value = loader.construct_yaml_timestamp(node)
    if not isinstance(value, datetime.datetime):
        return value
    if value.tzinfo is not None:
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    loader.moments.add(value)
    return value


def _construct_uuid(loader: _Loader, node: yaml.ScalarNode) -> UUID:
    return UUID(str(loader.construct_scalar(node)))


def _construct_mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    return loader.construct_mapping(node, deep=True)


def _utc_to_nsec(moments: Iterable[datetime.datetime]) -> dict[datetime.datetime, int]:
    # All at once: astropy, which knows the leap seconds, takes as long for one conversion as for hundreds.
    found = sorted(moment for moment in moments if _FIRST_YEAR <= moment.year <= _LAST_YEAR)
    if not found:
        return {}
    from astropy.time import Time

    with warnings.catch_warnings():
        # "dubious year": the leap seconds of the years to come are not known yet
        warnings.simplefilter("ignore", category=UserWarning)
        tai = Time(found, scale="utc").tai
    days = np.round(tai.jd1 - _JD_EPOCH)
    rest = np.round((tai.jd1 - _JD_EPOCH - days + tai.jd2) * _NSEC_PER_DAY)
    return {
        moment: int(day) * _NSEC_PER_DAY + int(nsec)
        for moment, day, nsec in zip(found, days, rest, strict=True)
    }


for _name in _REGIONS:
    # "!<x>" and "!x" are different tags to YAML; both are found.
    _Loader.add_constructor(f"lsst.sphgeom.{_name}", _construct_region)
    _Loader.add_constructor(f"!lsst.sphgeom.{_name}", _construct_region)
_Loader.add_constructor("lsst.daf.butler.Timespan", _construct_mapping)
_Loader.add_constructor("!lsst.daf.butler.Timespan", _construct_mapping)
_Loader.add_constructor("!butler_time/tai/iso", _with_line(_construct_tai))
_Loader.add_constructor("!uuid", _with_line(_construct_uuid))
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _with_line(_construct_utc))
_Loader.add_constructor("tag:yaml.org,2002:int", _with_line(_Loader.construct_yaml_int))
_Loader.add_constructor("tag:yaml.org,2002:float", _with_line(_Loader.construct_yaml_float))
