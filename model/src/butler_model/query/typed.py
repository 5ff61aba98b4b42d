# SPDX-License-Identifier: BSD-3-Clause
"""Expressions whose names are looked up and whose types are checked: what a planner turns into SQL.

Logic is three-valued, as in SQL: a comparison with a field that has no value is neither true nor false.
"""

from __future__ import annotations

__all__ = [
    "AllOf",
    "AnyOf",
    "Arithmetic",
    "Before",
    "Column",
    "Comparison",
    "Constant",
    "DatasetColumn",
    "Glob",
    "Inverse",
    "Membership",
    "NullTest",
    "Opposite",
    "Overlap",
    "Typed",
    "ValueType",
    "columns_of",
]

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias


class ValueType(Enum):
    """Type of a value in an expression."""

    INT = "int"
    FLOAT = "float"
    STRING = "string"
    BOOL = "bool"
    TIME = "time"
    TIMESPAN = "timespan"
    REGION = "region"
    UUID = "uuid"
    HASH = "hash"
    NULL = "NULL"


@dataclass(frozen=True, slots=True)
class Constant:
    """A value: int, float, str, bool, TAI nanoseconds, `Timespan`, region, `UUID`, bytes or `None`.

    Attributes
    ----------
    literal
        Whether it stands in the text of the expression, rather than being bound to a name.
    """

    value: Any
    type: ValueType
    literal: bool = field(default=True, compare=False)


@dataclass(frozen=True, slots=True)
class Column:
    """A field of a record: ``element.field``; ``field`` is as in `DimensionElement.columns`.

    Attributes
    ----------
    end
        ``begin`` or ``end`` for one end of a timespan; empty for the whole field.
    """

    element: str
    field: str
    type: ValueType
    end: str = ""


@dataclass(frozen=True, slots=True)
class DatasetColumn:
    """A field of a dataset: ``ingest_date``, ``run``, ``collection``, ``id``, ``timespan`` (or one end of it).

    Attributes
    ----------
    dataset_type
        Name of the dataset type that is searched for.
    """

    dataset_type: str
    field: str
    type: ValueType
    end: str = ""


@dataclass(frozen=True, slots=True)
class Opposite:
    """``-operand``."""

    operand: Typed
    type: ValueType


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """``left operator right`` with ``+ - * / %``. Division of integers drops the rest; by zero it gives no value."""

    operator: str
    left: Typed
    right: Typed
    type: ValueType


@dataclass(frozen=True, slots=True)
class Comparison:
    """``left operator right`` with ``= != < <= > >=``, of two values of one type (or an integer and a float)."""

    operator: str
    left: Typed
    right: Typed
    type: ValueType = ValueType.BOOL


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two timespans, or two regions, have something in common. An instant is a timespan of one nanosecond."""

    left: Typed
    right: Typed
    type: ValueType = ValueType.BOOL


@dataclass(frozen=True, slots=True)
class Before:
    """``left`` ends before ``right`` begins, or when it does; each is a timespan or an instant."""

    left: Typed
    right: Typed
    type: ValueType = ValueType.BOOL


@dataclass(frozen=True, slots=True)
class Membership:
    """``member`` is one of ``values``, or in one of ``ranges`` (start, stop, stride; stop included)."""

    member: Typed
    values: tuple[Any, ...]
    ranges: tuple[tuple[int, int, int], ...] = ()
    type: ValueType = ValueType.BOOL


@dataclass(frozen=True, slots=True)
class NullTest:
    """``operand`` has no value; this is always true or false."""

    operand: Typed
    type: ValueType = ValueType.BOOL


@dataclass(frozen=True, slots=True)
class Glob:
    """Text matches a pattern, in which ``*`` stands for any text and ``?`` for any character; case counts."""

    operand: Typed
    pattern: str
    type: ValueType = ValueType.BOOL


@dataclass(frozen=True, slots=True)
class Inverse:
    """``NOT operand``."""

    operand: Typed
    type: ValueType = ValueType.BOOL


@dataclass(frozen=True, slots=True)
class AllOf:
    """All operands are true."""

    operands: tuple[Typed, ...]
    type: ValueType = ValueType.BOOL


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Any operand is true."""

    operands: tuple[Typed, ...]
    type: ValueType = ValueType.BOOL


Typed: TypeAlias = (
    Constant
    | Column
    | DatasetColumn
    | Opposite
    | Arithmetic
    | Comparison
    | Overlap
    | Before
    | Membership
    | NullTest
    | Glob
    | Inverse
    | AllOf
    | AnyOf
)


def columns_of(tree: Typed) -> Iterator[Column | DatasetColumn]:
    """Yield every column that an expression uses, as often as it does."""
    waiting: list[Typed] = [tree]
    while waiting:
        match waiting.pop():
            case Column() | DatasetColumn() as column:
                yield column
            case Opposite(operand) | NullTest(operand) | Glob(operand) | Inverse(operand):
                waiting.append(operand)
            case Membership(member):
                waiting.append(member)
            case Arithmetic(_, left, right) | Comparison(_, left, right):
                waiting += [left, right]
            case Overlap(left, right) | Before(left, right):
                waiting += [left, right]
            case AllOf(operands) | AnyOf(operands):
                waiting += operands
            case Constant():
                pass
