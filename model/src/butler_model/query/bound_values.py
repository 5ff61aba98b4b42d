# SPDX-License-Identifier: BSD-3-Clause
"""Values that are bound to names of an expression."""

from __future__ import annotations

__all__ = ["MAX_BOUND_VALUES", "Instant", "constants", "one_constant"]

import math
import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import lsst.sphgeom

from butler_model.dimensions import INT64_MAX, INT64_MIN
from butler_model.errors import ExpressionTypeError, LimitExceededError
from butler_model.text import unfit_text
from butler_model.timespan import Timespan

from .typed import Constant, ValueType

MAX_BOUND_VALUES = 100_000
"""Values of the longest list."""


@dataclass(frozen=True, slots=True)
class Instant:
    """A time, as TAI nanoseconds since 1970-01-01 TAI."""

    nsec: int


def one_constant(value: Any, name: str, *, literal: bool = False) -> Constant:
    """Return a value with its type; numpy scalars count as what they hold.

    Raises `ExpressionTypeError` for what has no type here, for NaN, and for integers beyond 64 bits.
    """
    value = _plain(value)
    type_ = _TYPES.get(type(value))
    if type_ is None and isinstance(value, lsst.sphgeom.Region):
        type_ = ValueType.REGION
    if type_ is None:
        several = isinstance(value, list | tuple | set | frozenset)
        hint = "several values go with IN only" if several else f"it is a {type(value).__name__}"
        raise ExpressionTypeError(f"{name} cannot be used here: {hint}.", name=name[:200])
    if type_ is ValueType.INT and not INT64_MIN <= value <= INT64_MAX:
        raise ExpressionTypeError(f"{name} = {value!r:.60} does not fit into 64 bits.", name=name[:200])
    if type_ is ValueType.FLOAT and math.isnan(value):
        raise ExpressionTypeError(f"{name} is NaN, which equals nothing; use IS NULL.", name=name[:200])
    if type_ is ValueType.STRING and (why := unfit_text(value)):
        raise ExpressionTypeError(f"The text {name:.80} {why}.", name=name[:200])
    if type_ is ValueType.TIME:
        value = value.nsec
    return Constant(value, type_, literal=literal)


def constants(value: Any, name: str) -> Iterator[Constant]:
    """Yield the values of a list, tuple or set, or the one value that is none of these."""
    if not isinstance(value, list | tuple | set | frozenset):
        yield one_constant(value, name)
        return
    if len(value) > MAX_BOUND_VALUES:
        raise LimitExceededError(
            f"{name} has {len(value)} values; the limit is {MAX_BOUND_VALUES}. Ask in several queries.",
            limit=str(MAX_BOUND_VALUES),
        )
    for each in value:
        yield one_constant(each, name)


def _plain(value: Any) -> Any:
    if type(value) in _TYPES:
        return value
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    if isinstance(value, str):
        return str(value)
    return operator.index(value) if hasattr(value, "__index__") else value


_TYPES: dict[type, ValueType] = {
    int: ValueType.INT,
    float: ValueType.FLOAT,
    str: ValueType.STRING,
    bool: ValueType.BOOL,
    bytes: ValueType.HASH,
    UUID: ValueType.UUID,
    Instant: ValueType.TIME,
    Timespan: ValueType.TIMESPAN,
    type(None): ValueType.NULL,
}
