# SPDX-License-Identifier: BSD-3-Clause
"""What an operation is: a function that prepares a call."""

from __future__ import annotations

__all__ = ["Call", "Prepare"]

from collections.abc import Callable
from typing import Any, TypeAlias

from .survey import Subject

Call: TypeAlias = Callable[[], Any]
Prepare: TypeAlias = Callable[[Subject, int, int], Call]
