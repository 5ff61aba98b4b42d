# SPDX-License-Identifier: BSD-3-Clause
"""Refusing what is larger than the published limits."""

from __future__ import annotations

__all__ = ["MAX_COLLECTIONS", "MAX_PATTERNS", "check_batch", "check_patterns"]

from collections.abc import Sequence

from butler_model.errors import LimitExceededError
from butler_model.repository import Limits

MAX_PATTERNS = 100
MAX_PATTERN_LENGTH = 255
MAX_COLLECTIONS = 1_000


def check_batch(items: int, limits: Limits, what: str) -> None:
    """Raise `LimitExceededError` if a batch has more items than allowed."""
    if items > limits.batch_items:
        raise LimitExceededError(
            f"{items} {what} are too many for one call; send at most {limits.batch_items}.",
            limit=str(limits.batch_items),
        )


def check_patterns(patterns: Sequence[str]) -> None:
    """Raise `LimitExceededError` for too many or too long globs."""
    if len(patterns) > MAX_PATTERNS or any(len(p) > MAX_PATTERN_LENGTH for p in patterns):
        raise LimitExceededError(
            f"At most {MAX_PATTERNS} patterns of {MAX_PATTERN_LENGTH} characters may be given in one call."
        )
