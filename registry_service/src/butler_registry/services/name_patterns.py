# SPDX-License-Identifier: BSD-3-Clause
"""Globs over names."""

from __future__ import annotations

__all__ = ["NamePatterns"]

import re
from collections.abc import Sequence
from fnmatch import translate

_STARS = re.compile(r"\*{2,}")


class NamePatterns:
    """Names and globs (``*``, ``?``, ``[...]``); a name matches if any of them matches it whole."""

    def __init__(self, patterns: Sequence[str]) -> None:
        # Stars in a row mean what one means, and cost what they look like.
        self._expressions = [re.compile(translate(_STARS.sub("*", pattern))) for pattern in patterns]

    def match(self, name: str) -> bool:
        """Return whether a name matches."""
        return any(expression.match(name) for expression in self._expressions)
