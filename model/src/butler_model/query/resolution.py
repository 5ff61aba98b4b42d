# SPDX-License-Identifier: BSD-3-Clause
"""From an expression as it was written to one with looked-up names and checked types."""

from __future__ import annotations

__all__ = ["resolve"]

import re
from collections.abc import Collection, Mapping
from typing import Any, NoReturn
from uuid import UUID

from butler_model.errors import ExpressionTypeError, UnknownNameError
from butler_model.timespan import MAX_NSEC, MIN_NSEC, Timespan, nsec_from_text
from butler_model.universe import DimensionUniverse

from . import expression as written
from .bound_values import constants, one_constant
from .names import column_of_name, dataset_field, is_element_name
from .region_functions import REGION_FUNCTIONS, region_of_call
from .typed import (
    AllOf,
    AnyOf,
    Arithmetic,
    Before,
    Comparison,
    Constant,
    Glob,
    Inverse,
    Membership,
    NullTest,
    Opposite,
    Overlap,
    Typed,
    ValueType,
)

_NUMBERS = frozenset({ValueType.INT, ValueType.FLOAT})
_ORDERED = _NUMBERS | {ValueType.STRING, ValueType.TIME, ValueType.UUID}
_IN_TIME = frozenset({ValueType.TIME, ValueType.TIMESPAN})
_MANY_STARS = re.compile(r"\*{2,}")


def resolve(
    tree: written.Expression,
    universe: DimensionUniverse,
    bind: Mapping[str, Any],
    dataset_types: Collection[str] = (),
) -> Typed:
    """Look up the names of an expression and check its types.

    Parameters
    ----------
    bind
        Values of names: int, float, str, bool, `UUID`, `Instant`, `Timespan`, region; or several of one kind, for IN.
    dataset_types
        Types of the datasets that the query searches for, whose fields may be named.

    Raises
    ------
    UnknownNameError
        Raised for a name that means nothing.
    ExpressionTypeError
        Raised for values that do not go together, and for an expression that is no condition.
    """
    for name in bind:
        if is_element_name(universe, name):
            raise ExpressionTypeError(
                f"A bound value cannot be called {name!r}: expressions mean the dimension by that.", name=name
            )
    return _Resolver(universe, bind, dataset_types).condition(tree)


class _Resolver:
    def __init__(
        self, universe: DimensionUniverse, bind: Mapping[str, Any], dataset_types: Collection[str]
    ) -> None:
        self._universe = universe
        self._bind = bind
        self._dataset_types = dataset_types

    def condition(self, tree: written.Expression) -> Typed:
        """Return a node that is true or false."""
        found = self._node(tree)
        if found.type is not ValueType.BOOL:
            _mismatch(tree, f"is of type {found.type.value}, where a condition is needed")
        return found

    def _node(self, tree: written.Expression) -> Typed:
        match tree:
            case written.And(operands):
                return AllOf(tuple(map(self.condition, operands)))
            case written.Or(operands):
                return AnyOf(tuple(map(self.condition, operands)))
            case written.Not(operand):
                return Inverse(self.condition(operand))
            case written.Compare():
                return self._comparison(tree)
            case written.In():
                return self._membership(tree)
            case written.IsNull(operand, negated):
                test = NullTest(self._node(operand))
                return Inverse(test) if negated else test
            case written.Binary() | written.Negative():
                return self._arithmetic(tree)
            case written.Call():
                return self._call(tree)
            case _:
                return self._value(tree)

    def _value(self, tree: written.Expression) -> Typed:
        match tree:
            case written.Literal(value):
                return one_constant(value, str(tree), literal=True)
            case written.TimeLiteral(text):
                return Constant(self._nsec(tree, text), ValueType.TIME)
            case written.Pair(begin, end):
                return Constant(self._timespan(tree, begin, end), ValueType.TIMESPAN)
            case written.Bind(name):
                return one_constant(self._bound(name), name)
            case written.Name(name):
                if name in self._bind:
                    return one_constant(self._bind[name], name)
                found = dataset_field(name, self._dataset_types)
                return found or column_of_name(self._universe, name, self._bind)
            case _:
                return _mismatch(tree, "may stand in the list of IN only")

    def _bound(self, name: str) -> Any:
        if name not in self._bind:
            raise UnknownNameError(
                f"No value is bound to :{name}; bound are {', '.join(self._bind) or 'none'}.", name=name
            )
        return self._bind[name]

    def _nsec(self, tree: written.Expression, text: str) -> int:
        try:
            return nsec_from_text(text)
        except ValueError as error:
            _mismatch(tree, f"is no time: {str(error).splitlines()[0]}")

    def _timespan(
        self, tree: written.Expression, begin: written.Expression, end: written.Expression
    ) -> Timespan:
        ends = [self._node(part) for part in (begin, end)]
        nsec: list[int | None] = []
        for part, node in zip((begin, end), ends, strict=True):
            if not isinstance(node, Constant) or node.type not in (ValueType.TIME, ValueType.NULL):
                _mismatch(part, "cannot be an end of a range of time: give a time, or NULL for none")
            nsec.append(node.value)
        first, last = nsec
        outside = (first is not None and first > MAX_NSEC) or (last is not None and last < MIN_NSEC)
        if outside or (first is not None and last is not None and first >= last):
            return Timespan.EMPTY
        return Timespan.from_nsec(first, last)

    def _comparison(self, tree: written.Compare) -> Typed:
        left, right = self._node(tree.left), self._node(tree.right)
        types = {left.type, right.type}
        if ValueType.NULL in types:
            _mismatch(tree, "compares with NULL, which is never true; write IS NULL")
        if tree.operator == "OVERLAPS":
            if types <= _IN_TIME or types == {ValueType.REGION}:
                return Overlap(left, right)
            _mismatch(tree, "needs two timespans or times, or two regions, not " + _shown(left, right))
        if ValueType.TIMESPAN in types and types <= _IN_TIME and tree.operator in "<>":
            return Before(left, right) if tree.operator == "<" else Before(right, left)
        if tree.operator in ("=", "!=") and len(types) == 1 and ValueType.REGION not in types:
            return Comparison(tree.operator, left, right)
        if not _comparable(left, right) or not types <= _ORDERED:
            _mismatch(tree, "compares " + _shown(left, right))
        return Comparison(tree.operator, left, right)

    def _membership(self, tree: written.In) -> Typed:
        member = self._node(tree.member)
        values: list[Any] = []
        ranges: list[tuple[int, int, int]] = []
        others: list[Typed] = []
        for item in tree.items:
            if isinstance(item, written.RangeLiteral):
                if member.type is not ValueType.INT:
                    _mismatch(tree, f"looks for {member.type.value} in a range of integers")
                ranges.append((item.start, item.stop, item.stride))
                continue
            for node in self._items(item):
                if not _comparable(member, node) or node.type in (ValueType.REGION, ValueType.TIMESPAN):
                    _mismatch(tree, "looks for one type among others: " + _shown(member, node))
                if isinstance(node, Constant):
                    values.append(node.value)
                else:
                    others.append(node)
        found: Typed = Membership(member, tuple(dict.fromkeys(values)), tuple(ranges))
        if others:
            found = AnyOf((found, *(Comparison("=", member, each) for each in others)))
        return Inverse(found) if tree.negated else found

    def _items(self, item: written.Expression) -> list[Typed]:
        """Return what one item of a list stands for: a bound name may stand for several values."""
        if isinstance(item, written.Bind):
            return [*constants(self._bound(item.name), item.name)]
        if isinstance(item, written.Name) and item.name in self._bind:
            return [*constants(self._bind[item.name], item.name)]
        return [self._node(item)]

    def _arithmetic(self, tree: written.Binary | written.Negative) -> Typed:
        if isinstance(tree, written.Negative):
            operand = self._node(tree.operand)
            if operand.type not in _NUMBERS:
                _mismatch(tree, f"negates {operand.type.value}")
            return Opposite(operand, operand.type)
        left, right = self._node(tree.left), self._node(tree.right)
        types = {left.type, right.type}
        if not types <= _NUMBERS or (tree.operator == "%" and types != {ValueType.INT}):
            _mismatch(tree, "calculates with " + _shown(left, right))
        type_ = ValueType.FLOAT if ValueType.FLOAT in types else ValueType.INT
        return Arithmetic(tree.operator, left, right, type_)

    def _call(self, tree: written.Call) -> Typed:
        arguments = [self._node(argument) for argument in tree.arguments]
        if tree.function == "GLOB":
            return self._glob(tree, arguments)
        if tree.function == "UUID":
            text = arguments[0] if len(arguments) == 1 else None
            if isinstance(text, Constant) and text.type is ValueType.STRING:
                try:
                    return Constant(UUID(text.value), ValueType.UUID)
                except ValueError:
                    _mismatch(tree, "is no UUID")
            _mismatch(tree, "needs one text, such as UUID('0192...')")
        if tree.function in REGION_FUNCTIONS:
            if not all(isinstance(argument, Constant) for argument in arguments):
                _mismatch(tree, "needs numbers, not columns")
            values = [argument.value for argument in arguments if isinstance(argument, Constant)]
            return Constant(region_of_call(tree.function, values, str(tree)[:200]), ValueType.REGION)
        known = ", ".join(sorted({"GLOB", "UUID", *REGION_FUNCTIONS}))
        raise UnknownNameError(
            f"There is no function {tree.function}; there are {known}.", name=tree.function
        )

    def _glob(self, tree: written.Call, arguments: list[Typed]) -> Typed:
        if len(arguments) != 2 or any(argument.type is not ValueType.STRING for argument in arguments):
            _mismatch(tree, "needs text and a pattern, such as GLOB(visit.target_name, 'M*')")
        operand, pattern = arguments
        if not isinstance(pattern, Constant):
            _mismatch(tree, "needs a pattern that is text, not a column")
        # Stars in a row mean what one means.
        return Glob(operand, _MANY_STARS.sub("*", pattern.value))


def _comparable(left: Typed, right: Typed) -> bool:
    """Return whether two values have an order: one type, or a number and an integer.

    An integer column is not compared with a float that is written or bound: nobody means 3.5 there.
    """
    types = {left.type, right.type}
    if types == _NUMBERS:
        floating, integer = (left, right) if left.type is ValueType.FLOAT else (right, left)
        return isinstance(integer, Constant) or not isinstance(floating, Constant)
    return len(types) == 1 and ValueType.NULL not in types


def _shown(left: Typed, right: Typed) -> str:
    return f"{left.type.value} and {right.type.value}"


def _mismatch(tree: written.Expression, why: str) -> NoReturn:
    text = str(tree)
    shown = text if len(text) <= 80 else text[:77] + "..."
    raise ExpressionTypeError(f"{shown} {why} (character {tree.position + 1}).", position=str(tree.position))
