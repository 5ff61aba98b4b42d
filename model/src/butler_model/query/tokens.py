# SPDX-License-Identifier: BSD-3-Clause
"""From the text of an expression to its tokens, each with its position."""

from __future__ import annotations

__all__ = ["MAX_EXPRESSION_LENGTH", "Token", "TokenKind", "syntax_error", "tokenize"]

import re
from dataclasses import dataclass
from enum import Enum

from butler_model.errors import ExpressionSyntaxError, LimitExceededError

MAX_EXPRESSION_LENGTH = 100_000
"""Characters of the longest expression; give long lists as bound values."""

KEYWORDS = frozenset({"AND", "FALSE", "IN", "IS", "NOT", "NULL", "OR", "OVERLAPS", "TRUE"})
_SHOWN = 60


class TokenKind(Enum):
    """What a token is."""

    KEYWORD = "keyword"
    NAME = "name"
    BIND = "bound value"
    INT = "integer"
    FLOAT = "number"
    STRING = "text"
    TIME = "time"
    RANGE = "range"
    OPERATOR = "operator"
    END = "end of the expression"


@dataclass(frozen=True, slots=True)
class Token:
    """One token; ``text`` is its meaning: a keyword in upper case, text without quotes, a bind without colon."""

    kind: TokenKind
    text: str
    position: int

    def __str__(self) -> str:
        return self.kind.value if self.kind is TokenKind.END else repr(self.text)


_PATTERN = re.compile(
    r"""
    (?P<SPACE>\s+)
  | (?P<RANGE>\d+\s*\.\.\s*-?\d+(\s*:\s*\d+)?)
  | (?P<FLOAT>(\d+\.\d*|\.\d+)([eE][+-]?\d+)?|\d+[eE][+-]?\d+)
  | (?P<INT>\d+)
  | (?P<TIME>[tT]'[^']*')
  | (?P<STRING>'([^']|'')*')
  | (?P<NAME>[^\W\d]\w*(\.[^\W\d]\w*)*)
  | (?P<BIND>:[^\W\d]\w*)
  | (?P<OPERATOR>!=|<=|>=|[=<>+\-*/%(),])
    """,
    re.VERBOSE,
)

_HINTS = {
    "==": "Equality is written with one =",
    '"': "Text stands in single quotes",
    "'": "This quote is never closed",
    "<>": "Inequality is written !=",
    "&": "Write AND",
    "|": "Write OR",
    "!": "Write NOT, or != for inequality",
}


def syntax_error(text: str, position: int, what: str) -> ExpressionSyntaxError:
    """Return an error whose message shows the place in the text with a caret under it."""
    start = max(0, position - _SHOWN // 2)
    shown = re.sub(r"\s", " ", text[start : start + _SHOWN])
    lead = "..." if start else ""
    tail = "..." if start + _SHOWN < len(text) else ""
    caret = " " * (len(lead) + position - start) + "^"
    return ExpressionSyntaxError(
        f"{what}, at character {position + 1}:\n  {lead}{shown}{tail}\n  {caret}", position=str(position)
    )


def tokenize(text: str, most_characters: int = MAX_EXPRESSION_LENGTH) -> list[Token]:
    """Return the tokens of an expression, the last of them its end.

    Raises
    ------
    LimitExceededError
        Raised if the text has more characters than it may.
    ExpressionSyntaxError
        Raised for a character that begins nothing.
    """
    if len(text) > most_characters:
        raise LimitExceededError(
            f"An expression of {len(text)} characters is too long; the limit is {most_characters}. Give long "
            "lists as bound values.",
            limit=str(most_characters),
        )
    tokens = []
    position = 0
    while position < len(text):
        match = _PATTERN.match(text, position)
        if match is None or text.startswith(("==", "<>"), position):
            raise _unreadable(text, position)
        kind, found = str(match.lastgroup), match.group()
        if kind != "SPACE":
            tokens.append(_token(kind, found, position))
        position = match.end()
    return [*tokens, Token(TokenKind.END, "", len(text))]


def _token(kind: str, found: str, position: int) -> Token:
    if kind == "NAME" and found.upper() in KEYWORDS:
        return Token(TokenKind.KEYWORD, found.upper(), position)
    if kind == "STRING":
        found = found[1:-1].replace("''", "'")
    elif kind == "TIME":
        found = found[2:-1]
    elif kind == "BIND":
        found = found[1:]
    return Token(TokenKind[kind], found, position)


def _unreadable(text: str, position: int) -> ExpressionSyntaxError:
    for beginning, hint in _HINTS.items():
        if text.startswith(beginning, position):
            return syntax_error(text, position, hint)
    return syntax_error(text, position, f"{text[position]!r} means nothing here")
