# SPDX-License-Identifier: BSD-3-Clause
"""What an expression means, by plain evaluation over rows in memory: the judge of what a database answers.

Values that are missing are `None`, and so is whatever is computed or compared with them; conditions are true, false or
`None` as in SQL. Times are TAI nanoseconds, timespans pairs of them, an empty one has its end before its beginning.
"""

from __future__ import annotations

__all__ = ["Row", "selects", "value_of"]

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import lsst.sphgeom

from butler_model.query.expression import (
    And,
    Binary,
    Call,
    Compare,
    Expression,
    In,
    IsNull,
    Literal,
    Name,
    Negative,
    Not,
    Or,
    Pair,
    RangeLiteral,
    TimeLiteral,
)
from butler_model.timespan import MAX_NSEC, MIN_NSEC, Timespan

Row = Mapping[str, Any]
"""The value of each name."""

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - of TAI, which no time zone is


def selects(condition: Expression, row: Row) -> bool:
    """Return whether an expression is true of a row."""
    return value_of(condition, row) is True


def value_of(node: Expression, row: Row) -> Any:
    """Return the value of a node."""
    match node:
        case Literal(value):
            return value
        case TimeLiteral(text):
            assert text.endswith("/tai")
            since = datetime.fromisoformat(text.removesuffix("/tai")) - _EPOCH
            return (since.days * 86_400 + since.seconds) * 10**9
        case Name(name):
            return row[name]
        case Pair(begin, end):
            low, high = value_of(begin, row), value_of(end, row)
            bounds = (MIN_NSEC if low is None else low, MAX_NSEC if high is None else high)
            return bounds if bounds[0] < bounds[1] else Timespan.makeEmpty().nsec  # of which there is one
        case Negative(operand):
            value = value_of(operand, row)
            return None if value is None else -value
        case Binary(operator, left, right):
            return _with_values(_ARITHMETIC[operator], value_of(left, row), value_of(right, row))
        case Compare("OVERLAPS", left, right):
            return _with_values(_overlap, value_of(left, row), value_of(right, row))
        case Compare(operator, left, right):
            return _with_values(_COMPARISONS[operator], value_of(left, row), value_of(right, row))
        case Call("GLOB", (operand, Literal(pattern))):
            return _with_values(_glob, value_of(operand, row), pattern)
        case Call("CIRCLE", arguments):
            ra, dec, radius = (value_of(each, row) for each in arguments)
            centre = lsst.sphgeom.UnitVector3d(lsst.sphgeom.LonLat.fromDegrees(ra, dec))
            return lsst.sphgeom.Circle(centre, lsst.sphgeom.Angle.fromDegrees(radius))
        case _:
            return _condition(node, row)


def _condition(node: Expression, row: Row) -> bool | None:
    match node:
        case And(operands):
            values = [value_of(each, row) for each in operands]
            return False if False in values else None if None in values else True
        case Or(operands):
            values = [value_of(each, row) for each in operands]
            return True if True in values else None if None in values else False
        case Not(operand):
            value = value_of(operand, row)
            return None if value is None else not value
        case IsNull(operand, negated):
            return (value_of(operand, row) is None) != negated
        case In(member, items, negated):
            value = value_of(member, row)
            if value is None:
                return None
            return any(_is_item(value, item, row) for item in items) != negated
        case _:
            raise AssertionError(f"no meaning is known of {node!r}")


def _is_item(value: Any, item: Expression, row: Row) -> bool:
    if isinstance(item, RangeLiteral):
        return value in range(item.start, item.stop + 1, item.stride)
    return bool(value == value_of(item, row))


def _with_values(function: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    return None if left is None or right is None else function(left, right)


def _divided(left: Any, right: Any) -> Any:
    if right == 0:
        return None
    if isinstance(left, float):
        return left / right
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _rest(left: int, right: int) -> int | None:
    quotient = _divided(left, right)
    return None if quotient is None else left - right * quotient


def _overlap(left: Any, right: Any) -> bool:
    if isinstance(left, tuple):
        (begin, end), (other_begin, other_end) = (
            left,
            right if isinstance(right, tuple) else (right, right + 1),
        )
        return bool(max(begin, other_begin) < min(end, other_end) and begin < end and other_begin < other_end)
    return not left.relate(right) & lsst.sphgeom.DISJOINT


def _before(left: Any, right: Any) -> bool:
    if not isinstance(left, tuple):
        return bool(left < right)
    return bool(left[0] < left[1] <= right[0] < right[1])


def _glob(text: str, pattern: str) -> bool:
    expression = "".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None


_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": _divided,
    "%": _rest,
}
_COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": _before,
    ">": lambda left, right: _before(right, left),
    "<=": lambda left, right: left <= right,
    ">=": lambda left, right: left >= right,
}
