# SPDX-License-Identifier: BSD-3-Clause
"""Single values: of data IDs, of fields, and the UUIDs that name things."""

from __future__ import annotations

__all__ = [
    "packed_uuids_from_proto",
    "plain_value",
    "region_from_proto",
    "timespan_from_nsec",
    "timespan_from_proto",
    "timespan_to_proto",
    "unsendable",
    "uuid_from_proto",
    "uuids_from_proto",
    "value_from_proto",
    "value_to_proto",
]

import operator
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import lsst.sphgeom

from butler_api.v1 import values_pb2 as pb
from butler_model.errors import DimensionValueError, InvalidRequestError, LimitExceededError
from butler_model.timespan import Timespan

_UUID_BYTES = 16
_SHOWN = 80
# Regions may be made of regions, and their decoder recurses: a deep one would overflow the stack.
_MAX_REGION_BYTES = 32 * 1024


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= _SHOWN else shown[: _SHOWN - 3] + "..."


def uuid_from_proto(raw: bytes, what: str) -> UUID:
    """Return a UUID from its 16 bytes; `InvalidRequestError`, naming ``what``, for any other number."""
    if len(raw) != _UUID_BYTES:
        raise InvalidRequestError(f"{what} has {len(raw)} bytes; a UUID has {_UUID_BYTES}.", field=what)
    return UUID(bytes=raw)


def uuids_from_proto(raw: Iterable[bytes], what: str) -> list[UUID]:
    """Return UUIDs; see `uuid_from_proto`."""
    return [uuid_from_proto(each, what) for each in raw]


def packed_uuids_from_proto(packed: bytes, what: str) -> list[UUID]:
    """Return UUIDs that stand one after the other; `InvalidRequestError`, naming ``what``, if one is cut short."""
    if len(packed) % _UUID_BYTES:
        raise InvalidRequestError(
            f"{what} has {len(packed)} bytes, which is no multiple of {_UUID_BYTES}.", field=what
        )
    return [UUID(bytes=packed[i : i + _UUID_BYTES]) for i in range(0, len(packed), _UUID_BYTES)]


def region_from_proto(encoded: bytes) -> lsst.sphgeom.Region:
    """Return a region; `InvalidRequestError` if the bytes are not the encoding of one."""
    if len(encoded) > _MAX_REGION_BYTES:
        raise LimitExceededError(
            f"A region of {len(encoded)} bytes is too large; the limit is {_MAX_REGION_BYTES}: simplify it."
        )
    try:
        region = lsst.sphgeom.Region.decode(encoded)
    except (RuntimeError, ValueError, TypeError) as error:
        raise InvalidRequestError(f"A region of {len(encoded)} bytes cannot be decoded: {error}.") from error
    if region is None:
        raise InvalidRequestError(f"A region of {len(encoded)} bytes is of an unknown kind.")
    return region


def timespan_to_proto(timespan: Timespan) -> pb.TimespanValue:
    """Return the message for a timespan."""
    begin, end = timespan.nsec
    return pb.TimespanValue(begin_nsec=begin, end_nsec=end)


def timespan_from_proto(message: pb.TimespanValue) -> Timespan:
    """Return a timespan; `InvalidRequestError` if it is outside the years that can be held."""
    return timespan_from_nsec(message.begin_nsec, message.end_nsec)


def timespan_from_nsec(begin: int, end: int) -> Timespan:
    """Return a timespan from TAI nanoseconds; `InvalidRequestError` as for `timespan_from_proto`."""
    try:
        return Timespan.EMPTY if begin >= end else Timespan.from_nsec(begin, end)
    except ValueError as error:
        raise InvalidRequestError(f"The timespan [{begin}, {end}) is impossible: {error}") from error


def value_to_proto(value: Any, name: str) -> pb.Value:
    """Return the message for a value of a data ID, keeping its type so that the service can judge it.

    Parameters
    ----------
    name
        What the value is of, for the message of `DimensionValueError`, which is raised for a value that has
        no form on the wire.
    """
    value = plain_value(value)
    try:
        if value is None:
            return pb.Value()
        return pb.Value(**{_FIELDS[type(value)]: value})
    except KeyError:
        if isinstance(value, lsst.sphgeom.Region):
            return pb.Value(region_value=value.encode())
        if isinstance(value, Timespan):
            return pb.Value(timespan_value=timespan_to_proto(value))
        raise DimensionValueError(
            f"{name} = {_shown(value)} is a {type(value).__name__}; give an int or a string.",
            column=name,
            value=_shown(value),
        ) from None
    except ValueError as error:
        raise unsendable(name, value) from error


def unsendable(name: str, value: object) -> DimensionValueError:
    """Return the error for an int or a string of the right type that is beyond what can be stored."""
    why = "does not fit into 64 bits" if isinstance(value, int) else "is not valid Unicode text"
    return DimensionValueError(f"{name} = {_shown(value)} {why}.", column=name, value=_shown(value))


def plain_value(value: Any) -> Any:
    """Return numpy scalars, and others that stand for ints or strings, as these; anything else as it is."""
    if value is None or type(value) in _FIELDS:
        return value
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    if isinstance(value, str | float):
        return str(value) if isinstance(value, str) else float(value)
    return operator.index(value) if hasattr(value, "__index__") else value


def value_from_proto(message: pb.Value) -> Any:
    """Return the Python value of a message, `None` if it has none."""
    kind = message.WhichOneof("kind")
    if kind is None:
        return None
    value = getattr(message, kind)
    if kind == "region_value":
        return region_from_proto(value)
    return timespan_from_proto(value) if kind == "timespan_value" else value


_FIELDS = {
    int: "int_value",
    str: "string_value",
    float: "float_value",
    bool: "bool_value",
    bytes: "bytes_value",
}
