# SPDX-License-Identifier: BSD-3-Clause
"""Expressions as they were written: the tree that the parser makes. ``str`` of a tree parses to an equal tree.

Names are not looked up yet, and nothing has a type; `butler_model.query.resolution` does that.
"""

from __future__ import annotations

__all__ = [
    "And",
    "Binary",
    "Bind",
    "Call",
    "Compare",
    "Expression",
    "In",
    "IsNull",
    "Literal",
    "Name",
    "Negative",
    "Not",
    "Or",
    "Pair",
    "RangeLiteral",
    "TimeLiteral",
]

from dataclasses import dataclass, field, fields


@dataclass(frozen=True)
class Expression:
    """A node.

    Attributes
    ----------
    position
        Where the node begins in the text, in characters from 0; not part of its value.
    """

    position: int = field(default=0, compare=False, kw_only=True, repr=False)

    @property
    def children(self) -> tuple[Expression, ...]:
        """The nodes that this one is made of, in the order in which they are written."""
        found: list[Expression] = []
        for each in fields(self):
            value = getattr(self, each.name)
            found += [
                v for v in (value if isinstance(value, tuple) else (value,)) if isinstance(v, Expression)
            ]
        return tuple(found)


@dataclass(frozen=True)
class Literal(Expression):
    """An integer, a number, text, a truth value, or NULL (`None`)."""

    value: int | float | str | bool | None

    def __eq__(self, other: object) -> bool:
        # 1, 1.0 and TRUE are three different things here.
        return (
            isinstance(other, Literal) and type(self.value) is type(other.value) and self.value == other.value
        )

    def __hash__(self) -> int:
        return hash((type(self.value), self.value))

    def __str__(self) -> str:
        if isinstance(self.value, str):
            return "'" + self.value.replace("'", "''") + "'"
        if isinstance(self.value, bool):
            return str(self.value).upper()
        return "NULL" if self.value is None else repr(self.value)


@dataclass(frozen=True)
class TimeLiteral(Expression):
    """A time: ``T'2020-01-01'``."""

    text: str

    def __str__(self) -> str:
        return f"T'{self.text}'"


@dataclass(frozen=True)
class RangeLiteral(Expression):
    """Integers from ``start`` to ``stop``, both included, by steps of ``stride``; only in the list of IN."""

    start: int
    stop: int
    stride: int = 1

    def __str__(self) -> str:
        return f"{self.start}..{self.stop}" + (f":{self.stride}" if self.stride != 1 else "")


@dataclass(frozen=True)
class Name(Expression):
    """A name of up to three parts: of a dimension, of a field, or of a bound value."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Bind(Expression):
    """The name of a bound value, written with a colon."""

    name: str

    def __str__(self) -> str:
        return f":{self.name}"


@dataclass(frozen=True)
class Negative(Expression):
    """A minus in front of what is no number."""

    operand: Expression

    def __str__(self) -> str:
        return f"-{_inner(self.operand)}"


@dataclass(frozen=True)
class Binary(Expression):
    """``left + right``, and the same with ``-``, ``*``, ``/``, ``%``."""

    operator: str
    left: Expression
    right: Expression

    def __str__(self) -> str:
        return f"{_inner(self.left)} {self.operator} {_inner(self.right)}"


@dataclass(frozen=True)
class Compare(Expression):
    """``left = right``, and the same with ``!=``, ``<``, ``<=``, ``>``, ``>=``, ``OVERLAPS``."""

    operator: str
    left: Expression
    right: Expression

    def __str__(self) -> str:
        return f"{_inner(self.left)} {self.operator} {_inner(self.right)}"


@dataclass(frozen=True)
class In(Expression):
    """``member [NOT] IN (items)``."""

    member: Expression
    items: tuple[Expression, ...]
    negated: bool = False

    def __str__(self) -> str:
        items = ", ".join(map(str, self.items))
        return f"{_inner(self.member)} {'NOT ' if self.negated else ''}IN ({items})"


@dataclass(frozen=True)
class IsNull(Expression):
    """``operand IS [NOT] NULL``."""

    operand: Expression
    negated: bool = False

    def __str__(self) -> str:
        return f"{_inner(self.operand)} IS {'NOT ' if self.negated else ''}NULL"


@dataclass(frozen=True)
class Not(Expression):
    """``NOT operand``."""

    operand: Expression

    def __str__(self) -> str:
        return f"NOT {_inner(self.operand)}"


@dataclass(frozen=True)
class And(Expression):
    """All of two or more operands."""

    operands: tuple[Expression, ...]

    def __str__(self) -> str:
        return " AND ".join(map(_inner, self.operands))


@dataclass(frozen=True)
class Or(Expression):
    """Any of two or more operands."""

    operands: tuple[Expression, ...]

    def __str__(self) -> str:
        return " OR ".join(map(_inner, self.operands))


@dataclass(frozen=True)
class Pair(Expression):
    """``(begin, end)``: a range of time."""

    begin: Expression
    end: Expression

    def __str__(self) -> str:
        return f"({self.begin}, {self.end})"


@dataclass(frozen=True)
class Call(Expression):
    """``FUNCTION(arguments)``; the function's name is in upper case."""

    function: str
    arguments: tuple[Expression, ...]

    def __str__(self) -> str:
        return f"{self.function}({', '.join(map(str, self.arguments))})"


_PRIMARY = (Literal, TimeLiteral, Name, Bind, Pair, Call)


def _inner(operand: Expression) -> str:
    """Return an operand as text, in parentheses unless it is one thing."""
    negative_number = isinstance(operand, Literal) and str(operand).startswith("-")
    return str(operand) if isinstance(operand, _PRIMARY) and not negative_number else f"({operand})"
