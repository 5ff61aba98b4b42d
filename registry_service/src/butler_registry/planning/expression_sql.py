# SPDX-License-Identifier: BSD-3-Clause
"""From typed expressions to SQL."""

from __future__ import annotations

__all__ = ["ColumnSource", "RegionKeys", "compile_expression"]

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Connection,
    Double,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    not_,
    null,
    or_,
    tuple_,
)
from sqlalchemy.sql.elements import NamedColumn

from butler_model.errors import UnsupportedOperationError
from butler_model.query.typed import (
    AllOf,
    AnyOf,
    Arithmetic,
    Before,
    Column,
    Comparison,
    Constant,
    DatasetColumn,
    Glob,
    Inverse,
    Membership,
    NullTest,
    Opposite,
    Overlap,
    Typed,
    ValueType,
)
from butler_model.timespan import Timespan
from butler_registry.storage.bound_rows import among, bound_rows
from butler_registry.storage.column_types import UuidBytes

RegionKeys = Mapping[int, Sequence[tuple[Any, ...]]]
"""For each `Overlap` of a region column with a constant, by ``id`` of the node: the keys of the records that do."""

_SHORT_LIST = 20
_Span = tuple[ColumnElement[Any], ColumnElement[Any]]


class ColumnSource(Protocol):
    """Gives the columns of a planned statement."""

    def column(self, column: Column) -> ColumnElement[Any]:
        """Return a field of a record; of a timespan, one end."""
        ...

    def dataset_column(self, column: DatasetColumn) -> ColumnElement[Any]:
        """Return a field of a dataset; of a timespan, one end."""
        ...

    def keys(self, element: str) -> Sequence[NamedColumn[Any]]:
        """Return the columns of the required dimensions of an element."""
        ...


def compile_expression(
    tree: Typed, source: ColumnSource, region_keys: RegionKeys, connection: Connection
) -> ColumnElement[bool]:
    """Return the condition that an expression stands for; values are bound, never pasted."""
    return _Compiler(source, region_keys, connection).condition(tree)


class _Compiler:
    def __init__(self, source: ColumnSource, region_keys: RegionKeys, connection: Connection) -> None:
        self._source = source
        self._region_keys = region_keys
        self._connection = connection

    def condition(self, tree: Typed) -> ColumnElement[bool]:
        match tree:
            case AllOf(operands):
                return and_(*map(self.condition, operands))
            case AnyOf(operands):
                return or_(*map(self.condition, operands))
            case Inverse(operand):
                return not_(self.condition(operand).self_group())
            case Comparison():
                return self._comparison(tree)
            case Overlap():
                return self._overlap(tree)
            case Before(left, right):
                (begin, end), (other_begin, other_end) = self._span(left), self._span(right)
                return and_(begin < end, other_begin < other_end, end <= other_begin)
            case Membership():
                return self._membership(tree)
            case NullTest(operand):
                return self._null_test(operand)
            case Glob(operand, pattern):
                return self._glob(self._value(operand), pattern)
            case _:
                value: ColumnElement[bool] = self._value(tree)
                return value

    def _value(self, tree: Typed) -> ColumnElement[Any]:
        match tree:
            case Constant(value, type_):
                return _constant(value, type_)
            case Column():
                return self._source.column(tree)
            case DatasetColumn():
                return self._source.dataset_column(tree)
            case Opposite(operand):
                return -self._value(operand)
            case Arithmetic():
                return self._arithmetic(tree)
            case _:
                return self.condition(tree)

    def _arithmetic(self, tree: Arithmetic) -> ColumnElement[Any]:
        left, right = self._value(tree.left), self._value(tree.right)
        result: ColumnElement[Any]
        match tree.operator:
            case "+":
                result = left + right
            case "-":
                result = left - right
            case "*":
                result = left * right
            case "/" if tree.type is ValueType.INT:
                # PostgreSQL refuses to divide by zero, SQLite gives no value: so do both.
                result = left.op("/", precedence=8)(func.nullif(right, 0))
                result = cast(result, BigInteger())
            case "/":
                result = cast(left, Double()).op("/", precedence=8)(func.nullif(cast(right, Double()), 0.0))
            case _:
                result = left.op("%", precedence=8)(func.nullif(right, 0))
        return result.self_group() if hasattr(result, "self_group") else result

    def _comparison(self, tree: Comparison) -> ColumnElement[bool]:
        if tree.left.type is ValueType.TIMESPAN:
            one, other = self._span(tree.left), self._span(tree.right)
            same = and_(one[0] == other[0], one[1] == other[1])
            return same if tree.operator == "=" else not_(same.self_group())
        left, right = self._value(tree.left), self._value(tree.right)
        match tree.operator:
            case "=":
                found = left == right
            case "!=":
                found = left != right
            case "<":
                found = left < right
            case "<=":
                found = left <= right
            case ">":
                found = left > right
            case _:
                found = left >= right
        return found

    def _overlap(self, tree: Overlap) -> ColumnElement[bool]:
        if tree.left.type is ValueType.REGION:
            return self._region_overlap(tree)
        (begin, end), (other_begin, other_end) = self._span(tree.left), self._span(tree.right)
        # An empty timespan has its end before its beginning, and overlaps nothing.
        return and_(begin < other_end, other_begin < end, begin < end, other_begin < other_end)

    def _region_overlap(self, tree: Overlap) -> ColumnElement[bool]:
        column = tree.left if isinstance(tree.left, Column) else tree.right
        if not isinstance(column, Column) or id(tree) not in self._region_keys:
            raise UnsupportedOperationError(
                "Regions of two dimensions are compared only where the whole expression requires it (not under OR or "
                "NOT); name the dimensions in the query, which joins them on the sky."
            )
        keys = list(self._source.keys(column.element))
        found = tuple_(*keys).in_(bound_rows(keys, self._region_keys[id(tree)], self._connection))
        # A record without region neither overlaps nor does not.
        return case((self._source.column(column).is_(None), null()), else_=found)

    def _span(self, tree: Typed) -> _Span:
        if isinstance(tree, Constant) and isinstance(tree.value, Timespan):
            begin, end = tree.value.nsec
            return literal(begin, BigInteger()), literal(end, BigInteger())
        if tree.type is ValueType.TIME:
            value = self._value(tree)
            return value, value + 1
        if isinstance(tree, Column):
            ends = [Column(tree.element, tree.field, ValueType.TIME, end) for end in ("begin", "end")]
            return self._source.column(ends[0]), self._source.column(ends[1])
        assert isinstance(tree, DatasetColumn)
        fields = [
            DatasetColumn(tree.dataset_type, tree.field, ValueType.TIME, end) for end in ("begin", "end")
        ]
        return self._source.dataset_column(fields[0]), self._source.dataset_column(fields[1])

    def _membership(self, tree: Membership) -> ColumnElement[bool]:
        member = self._value(tree.member)
        choices: list[ColumnElement[bool]] = []
        if tree.values:
            typed = [_constant(value, tree.member.type) for value in tree.values[:_SHORT_LIST]]
            if len(tree.values) <= _SHORT_LIST:
                choices.append(member.in_(typed))
            else:
                choices.append(self._among(member, tree))
        for start, stop, stride in tree.ranges:
            choice: ColumnElement[bool] = member.between(start, stop)
            if stride > 1:
                rest = (member - start).self_group().op("%", precedence=8)(stride)
                choice = and_(choice, rest == 0)
            choices.append(choice)
        return or_(*choices) if choices else false()

    def _among(self, member: ColumnElement[Any], tree: Membership) -> ColumnElement[bool]:
        type_ = _SQL_TYPES.get(tree.member.type)
        column = member if type_ is None else cast(member, type_)
        if tree.member.type in (ValueType.INT, ValueType.STRING, ValueType.TIME):
            rows = [(value,) for value in tree.values]
            named = column.label("value")
            return member.in_(bound_rows([named], rows, self._connection))
        return among(column, tree.values, self._connection)

    def _null_test(self, operand: Typed) -> ColumnElement[bool]:
        if operand.type is ValueType.TIMESPAN and not isinstance(operand, Constant):
            return self._span(operand)[0].is_(None)
        return self._value(operand).is_(None)

    def _glob(self, value: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
        if self._connection.dialect.name == "sqlite":
            return value.op("GLOB", is_comparison=True)(pattern.replace("[", "[[]"))
        escaped = "".join(f"\\{c}" if c in "\\%_" else c for c in pattern)
        return value.like(escaped.replace("*", "%").replace("?", "_"), escape="\\")


_SQL_TYPES: Mapping[ValueType, Any] = {
    ValueType.INT: BigInteger(),
    ValueType.TIME: BigInteger(),
    ValueType.FLOAT: Double(),
    ValueType.BOOL: Boolean(),
    ValueType.UUID: UuidBytes(),
}


def _constant(value: Any, type_: ValueType) -> ColumnElement[Any]:
    if value is None:
        return null()
    if type_ is ValueType.BOOL:
        return literal(value, Boolean())
    return literal(value, _SQL_TYPES.get(type_))
