# SPDX-License-Identifier: BSD-3-Clause
"""Patterns of names, as people give them to a registry."""

from __future__ import annotations

__all__ = ["Patterns", "globs", "is_glob"]

from collections.abc import Iterable, Sequence
from types import EllipsisType
from typing import TypeAlias

from butler_model.errors import InvalidRequestError

Patterns: TypeAlias = str | Iterable[str] | EllipsisType
"""A name or glob, several, or ``...`` for all."""


def globs(expression: Patterns) -> Sequence[str]:
    """Return patterns as a list; `InvalidRequestError` for what is no text."""
    if expression is ...:
        return ["*"]
    patterns = [expression] if isinstance(expression, str) else list(expression)
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise InvalidRequestError(
                f"{pattern!r:.80} is no name or glob; write patterns with *, ? and [..], regular "
                "expressions are not known."
            )
    return patterns


def is_glob(pattern: str) -> bool:
    """Return whether a pattern can match more than one name."""
    return any(character in pattern for character in "*?[")
