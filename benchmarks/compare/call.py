# SPDX-License-Identifier: BSD-3-Clause
"""What an operation is: a function that prepares a call."""

from __future__ import annotations

__all__ = ["Call", "Prepare"]

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from .survey import Subject


@dataclass(frozen=True, slots=True)
class Call:
    """A call, of which both sides must say or do the same.

    Attributes
    ----------
    timed
        The call.
    outcome
        Looks afterwards what it did; if absent, what it returned is compared.
    """

    timed: Callable[[], Any]
    outcome: Callable[[], Any] | None = None


Prepare: TypeAlias = Callable[[Subject, int, int], Call]
