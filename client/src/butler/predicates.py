# SPDX-License-Identifier: BSD-3-Clause
"""Expressions made in Python: ``x.visit > 5``. They travel as the text that a person would write, with bound values."""

from __future__ import annotations

__all__ = ["ExpressionFactory", "ExpressionValue", "Predicate"]

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from butler_model.errors import InvalidRequestError, UnknownNameError
from butler_model.query.expression import (
    And,
    Binary,
    Bind,
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
    RangeLiteral,
)
from butler_model.universe import DimensionUniverse

_NUMBERS = itertools.count(1)


@dataclass(frozen=True, slots=True)
class _Made:
    """An expression, and the values bound to its names."""

    expression: Expression
    bind: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return str(self.expression)


@dataclass(frozen=True, slots=True)
class Predicate(_Made):
    """A condition; ``&``, ``|`` and ``~`` are AND, OR and NOT."""

    def __and__(self, other: Predicate) -> Predicate:
        return _combined(And, [self, other])

    def __or__(self, other: Predicate) -> Predicate:
        return _combined(Or, [self, other])

    def __invert__(self) -> Predicate:
        return Predicate(Not(self.expression), self.bind)

    def __bool__(self) -> bool:
        raise TypeError(
            "A condition of a query is neither true nor false here; combine conditions with &, | and ~."
        )


@dataclass(frozen=True, slots=True, eq=False)
class ExpressionValue(_Made):
    """Something that conditions are made of: a field, or what is computed from fields."""

    def __eq__(self, other: object) -> Predicate:  # type: ignore[override]
        return self._is_null() if other is None else self._compared("=", other)

    def __ne__(self, other: object) -> Predicate:  # type: ignore[override]
        return ~self._is_null() if other is None else self._compared("!=", other)

    __hash__ = None  # type: ignore[assignment]

    def __lt__(self, other: object) -> Predicate:
        return self._compared("<", other)

    def __le__(self, other: object) -> Predicate:
        return self._compared("<=", other)

    def __gt__(self, other: object) -> Predicate:
        return self._compared(">", other)

    def __ge__(self, other: object) -> Predicate:
        return self._compared(">=", other)

    def __add__(self, other: object) -> ExpressionValue:
        return self._computed("+", other)

    def __sub__(self, other: object) -> ExpressionValue:
        return self._computed("-", other)

    def __mul__(self, other: object) -> ExpressionValue:
        return self._computed("*", other)

    def __truediv__(self, other: object) -> ExpressionValue:
        return self._computed("/", other)

    def __mod__(self, other: object) -> ExpressionValue:
        return self._computed("%", other)

    def __neg__(self) -> ExpressionValue:
        return ExpressionValue(Negative(self.expression), self.bind)

    def __getattr__(self, name: str) -> ExpressionValue:
        if name.startswith("_") or not isinstance(self.expression, Name):
            raise AttributeError(name)
        return ExpressionValue(Name(f"{self.expression.name}.{name}"), self.bind)

    @property
    def desc(self) -> str:
        """What orders rows by it, descending."""
        return f"-{self}"

    @property
    def is_null(self) -> Predicate:
        """Whether there is no value."""
        return self._is_null()

    def overlaps(self, other: object) -> Predicate:
        """Return whether two timespans or regions have anything in common."""
        return self._compared("OVERLAPS", other)

    def glob(self, pattern: str) -> Predicate:
        """Return whether text matches a pattern with ``*`` and ``?``."""
        return Predicate(Call("GLOB", (self.expression, Literal(pattern))), self.bind)

    def in_range(self, start: int = 0, stop: int | None = None, step: int = 1) -> Predicate:
        """Return whether an integer is among those of `range`: ``stop`` is not."""
        numbers = range(start, stop, step) if stop is not None else range(start)
        if step < 1:
            raise InvalidRequestError(f"Ranges go upwards, by steps of 1 or more, not {step}.")
        if not numbers:
            return Predicate(Compare("!=", Literal(0), Literal(0)))
        items = (RangeLiteral(numbers[0], numbers[-1], step),)
        return Predicate(In(self.expression, items), self.bind)

    def in_iterable(self, values: Iterable[Any]) -> Predicate:
        """Return whether it is among some values, at most 100,000."""
        bound = _bound(tuple(values))
        return Predicate(In(self.expression, (bound.expression,)), {**self.bind, **bound.bind})

    def _is_null(self) -> Predicate:
        return Predicate(IsNull(self.expression), self.bind)

    def _compared(self, operator: str, other: object) -> Predicate:
        right = _value(other)
        compared = Compare(operator, self.expression, right.expression)
        return Predicate(compared, {**self.bind, **right.bind})

    def _computed(self, operator: str, other: object) -> ExpressionValue:
        right = _value(other)
        computed = Binary(operator, self.expression, right.expression)
        return ExpressionValue(computed, {**self.bind, **right.bind})


class ExpressionFactory:
    """Gives the names of expressions: ``x.visit``, ``x.visit.exposure_time``, ``x["bias"].ingest_date``."""

    def __init__(self, universe: DimensionUniverse) -> None:
        self._universe = universe

    def __getattr__(self, name: str) -> ExpressionValue:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self._universe:
            raise UnknownNameError(f"{name!r:.80} is no dimension and no element.", name=name[:80])
        return ExpressionValue(Name(name))

    def __getitem__(self, dataset_type: str) -> ExpressionValue:
        return ExpressionValue(Name(dataset_type))

    def literal(self, value: Any) -> ExpressionValue:
        """Return a value: number, text, truth value, UUID, time, timespan, region."""
        made = _value(value)
        return ExpressionValue(made.expression, made.bind)

    def all(self, first: Predicate, *others: Predicate) -> Predicate:
        """Return whether all conditions are true."""
        return _combined(And, [first, *others])

    def any(self, first: Predicate, *others: Predicate) -> Predicate:
        """Return whether one of the conditions is true."""
        return _combined(Or, [first, *others])

    def not_(self, condition: Predicate) -> Predicate:
        """Return whether a condition is false."""
        return ~condition


def _combined(how: type[And | Or], conditions: list[Predicate]) -> Predicate:
    if len(conditions) == 1:
        return conditions[0]
    bind: dict[str, Any] = {}
    for condition in conditions:
        bind.update(condition.bind)
    return Predicate(how(tuple(condition.expression for condition in conditions)), bind)


def _value(value: object) -> _Made:
    if isinstance(value, _Made):
        return value
    if isinstance(value, bool | str) or (isinstance(value, int) and value >= 0):
        return _Made(Literal(value))
    return _bound(value)


def _bound(value: object) -> _Made:
    name = f"value_{next(_NUMBERS)}"
    return _Made(Bind(name), {name: value})
