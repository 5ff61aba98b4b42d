# SPDX-License-Identifier: BSD-3-Clause
"""Repeating a call whose outcome is unknown."""

from __future__ import annotations

__all__ = ["REPEATABLE", "repeated"]

import time
from collections.abc import Callable
from typing import TypeVar

from butler_model.errors import (
    ButlerError,
    DeadlineExceededError,
    OverloadedError,
    RateLimitedError,
    ServiceUnavailableError,
)

_Answer = TypeVar("_Answer")

_PAUSES = (0.1, 0.5, 2.0, 5.0)
"""Seconds to wait before each repeat."""
REPEATABLE = (ServiceUnavailableError, DeadlineExceededError, OverloadedError, RateLimitedError)
"""After these nobody knows whether the call had its effect."""


def repeated(call: Callable[[], _Answer], errors: tuple[type[ButlerError], ...] = REPEATABLE) -> _Answer:
    """Call until it does not fail with one of some errors, with pauses, four times more at most.

    A repeat must be harmless.
    """
    for pause in _PAUSES:
        try:
            return call()
        except errors:
            time.sleep(pause)
    return call()
