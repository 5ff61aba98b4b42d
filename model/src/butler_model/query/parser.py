# SPDX-License-Identifier: BSD-3-Clause
"""From the text of an expression to its tree: a Pratt parser.

From the loosest to the tightest: ``OR``; ``AND``; ``NOT``; one comparison, ``IN`` or ``IS NULL``; ``+ -``; ``* / %``;
a sign.
"""

from __future__ import annotations

__all__ = ["MAX_EXPRESSION_DEPTH", "parse"]

from collections.abc import Callable
from functools import lru_cache

from butler_model.errors import ExpressionSyntaxError, LimitExceededError

from .expression import (
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
    Pair,
    RangeLiteral,
    TimeLiteral,
)
from .tokens import MAX_EXPRESSION_LENGTH, Token, TokenKind, syntax_error, tokenize

MAX_EXPRESSION_DEPTH = 100
"""Levels of an expression: parentheses, signs, NOT, functions, and steps of a chain of arithmetic."""

_OR, _AND, _NOT, _COMPARISON, _SUM, _PRODUCT, _SIGN = range(1, 8)
_COMPARISONS = frozenset({"=", "!=", "<", "<=", ">", ">=", "OVERLAPS"})
_STRENGTH = {
    "OR": _OR,
    "AND": _AND,
    "IN": _COMPARISON,
    "IS": _COMPARISON,
    "NOT": _COMPARISON,
    **dict.fromkeys(_COMPARISONS, _COMPARISON),
    "+": _SUM,
    "-": _SUM,
    "*": _PRODUCT,
    "/": _PRODUCT,
    "%": _PRODUCT,
}
_MAX_DIGITS = 40
_FOREIGN = {
    "LIKE": "There is no LIKE; use GLOB(name, 'pattern*')",
    "BETWEEN": "There is no BETWEEN; use IN (first..last), or two comparisons",
}
_MOST_REMEMBERED_CHARACTERS = 1_000


def parse(
    text: str, *, most_characters: int = MAX_EXPRESSION_LENGTH, most_levels: int = MAX_EXPRESSION_DEPTH
) -> Expression | None:
    """Parse an expression; one of blanks only is none.

    Parameters
    ----------
    most_characters, most_levels
        How long it may be, and how deeply nested.

    Raises
    ------
    ExpressionSyntaxError
        Raised for what is no expression; the message shows the place.
    LimitExceededError
        Raised if the text is too long, or nested too deeply.
    """
    if not text.strip():
        return None
    if len(text) > _MOST_REMEMBERED_CHARACTERS:
        return _Parser(text, most_characters, most_levels).parse()
    return _remembered(text, most_characters, most_levels)


@lru_cache(512)
def _remembered(text: str, most_characters: int, most_levels: int) -> Expression:
    # Jobs ask the same with other values bound.
    return _Parser(text, most_characters, most_levels).parse()


class _Parser:
    def __init__(self, text: str, most_characters: int, most_levels: int) -> None:
        self._text = text
        self._tokens = tokenize(text, most_characters)
        self._most_levels = most_levels
        self._index = 0
        self._depth = 0

    def parse(self) -> Expression:
        found = self._expression(0)
        if self._next.kind is not TokenKind.END:
            raise self._unexpected("an operator or the end")
        return found

    @property
    def _next(self) -> Token:
        return self._tokens[self._index]

    def _take(self) -> Token:
        token = self._next
        self._index += 1
        return token

    def _is(self, *texts: str) -> bool:
        token = self._next
        return token.kind in (TokenKind.KEYWORD, TokenKind.OPERATOR) and token.text in texts

    def _expect(self, text: str, why: str) -> None:
        if not self._is(text):
            raise self._unexpected(f"{text!r} {why}")
        self._take()

    def _unexpected(self, wanted: str) -> ExpressionSyntaxError:
        token = self._next
        hint = _FOREIGN.get(token.text.upper()) if token.kind is TokenKind.NAME else None
        return syntax_error(self._text, token.position, hint or f"Expected {wanted}, not {token}")

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > self._most_levels:
            raise LimitExceededError(
                f"The expression has more than {self._most_levels} levels at character {self._next.position + 1}; "
                "write it flatter.",
                limit=str(self._most_levels),
            )

    def _expression(self, strength: int) -> Expression:
        """Parse an expression whose operators all bind more tightly than ``strength``."""
        before = self._depth
        self._deeper()
        left = self._prefix()
        while True:
            binding = _STRENGTH.get(self._next.text, 0) if self._is(*_STRENGTH) else 0
            if binding <= strength:
                break
            left = self._infix(left, binding)
        self._depth = before
        return left

    def _prefix(self) -> Expression:
        token = self._next
        at = token.position
        if self._is("NOT"):
            self._take()
            return Not(self._expression(_NOT - 1), position=at)
        if self._is("+", "-"):
            self._take()
            operand = self._expression(_SIGN)
            return operand if token.text == "+" else self._negative(operand, at)
        if self._is("("):
            return self._parenthesised()
        if self._is("NULL", "TRUE", "FALSE"):
            self._take()
            return Literal({"NULL": None, "TRUE": True, "FALSE": False}[token.text], position=at)
        match token.kind:
            case TokenKind.INT:
                self._take()
                return Literal(self._int(token.text, at), position=at)
            case TokenKind.FLOAT:
                self._take()
                return Literal(float(token.text), position=at)
            case TokenKind.STRING:
                self._take()
                return Literal(token.text, position=at)
            case TokenKind.TIME:
                self._take()
                return TimeLiteral(token.text, position=at)
            case TokenKind.BIND:
                self._take()
                return Bind(token.text, position=at)
            case TokenKind.NAME:
                return self._name_or_call()
            case TokenKind.RANGE:
                raise syntax_error(self._text, at, "A range may stand in the list of IN only")
        raise self._unexpected("a value, a name or '('")

    def _negative(self, operand: Expression, at: int) -> Expression:
        if isinstance(operand, Literal) and type(operand.value) in (int, float):
            value = operand.value
            assert isinstance(value, int | float)
            return Literal(-value, position=at)
        return Negative(operand, position=at)

    def _int(self, digits: str, at: int) -> int:
        if len(digits) > _MAX_DIGITS:
            raise syntax_error(self._text, at, f"An integer of {len(digits)} digits fits nowhere")
        return int(digits)

    def _parenthesised(self) -> Expression:
        at = self._take().position
        first = self._expression(0)
        if self._is(","):
            self._take()
            second = self._expression(0)
            self._expect(")", "after the second part of a range of time")
            return Pair(first, second, position=at)
        self._expect(")", "to close the parenthesis")
        return first

    def _name_or_call(self) -> Expression:
        token = self._take()
        if not self._is("("):
            if len(token.text.split(".")) > 3:
                raise syntax_error(self._text, token.position, f"{token.text!r} has more than three parts")
            return Name(token.text, position=token.position)
        self._take()
        arguments = [] if self._is(")") else self._list(self._argument)
        self._expect(")", "after the arguments of a function")
        return Call(token.text.upper(), tuple(arguments), position=token.position)

    def _argument(self) -> Expression:
        return self._expression(0)

    def _list(self, item: Callable[[], Expression]) -> list[Expression]:
        items = [item()]
        while self._is(","):
            self._take()
            items.append(item())
        return items

    def _infix(self, left: Expression, binding: int) -> Expression:
        token, at = self._next, left.position
        if token.text in ("AND", "OR"):
            return self._chain(left, token.text, binding)
        if binding == _COMPARISON:
            found = self._comparison(left)
            if self._is(*_COMPARISONS, "IN", "IS"):
                raise syntax_error(
                    self._text, self._next.position, "Comparisons do not chain; join two with AND"
                )
            return found
        self._take()
        right = self._expression(binding)
        self._deeper()  # a long chain of arithmetic is a deep tree
        return Binary(token.text, left, right, position=at)

    def _chain(self, first: Expression, word: str, binding: int) -> Expression:
        operands = [first]
        while self._is(word):
            self._take()
            operands.append(self._expression(binding))
        return (And if word == "AND" else Or)(tuple(operands), position=first.position)

    def _comparison(self, left: Expression) -> Expression:
        token, at = self._take(), left.position
        if token.text == "IS":
            negated = self._taken("NOT")
            self._expect("NULL", "after IS")
            return IsNull(left, negated, position=at)
        if token.text in ("IN", "NOT"):
            negated = token.text == "NOT"
            if negated:
                self._expect("IN", "after NOT")
            return In(left, self._items(), negated, position=at)
        return Compare(token.text, left, self._expression(_COMPARISON), position=at)

    def _taken(self, word: str) -> bool:
        if not self._is(word):
            return False
        self._take()
        return True

    def _items(self) -> tuple[Expression, ...]:
        if self._next.kind in (TokenKind.BIND, TokenKind.NAME):
            return (self._prefix(),)  # a bound list needs no parentheses
        self._expect("(", "after IN")
        if self._is(")"):
            raise self._unexpected("at least one value")
        items = self._list(self._item)
        self._expect(")", "after the list of IN")
        return tuple(items)

    def _item(self) -> Expression:
        at = self._next.position
        after_sign = self._tokens[min(self._index + 1, len(self._tokens) - 1)]
        negative = self._is("-") and after_sign.kind is TokenKind.RANGE
        if negative:
            self._take()
        if self._next.kind is not TokenKind.RANGE:
            return self._expression(_COMPARISON)
        first, _, rest = self._take().text.partition("..")
        last, _, step = rest.partition(":")
        start, stop = self._int(first.strip(), at), self._int(last.strip(), at)
        start = -start if negative else start
        stride = int(step) if step else 1
        if stride < 1:
            raise syntax_error(self._text, at, "The stride of a range is 1 or more")
        return RangeLiteral(start, stop, stride, position=at)
