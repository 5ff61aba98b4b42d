# SPDX-License-Identifier: BSD-3-Clause
"""When to try again what broke, and when to give up."""

from __future__ import annotations

__all__ = ["Patience"]

import time

from butler_model.errors import ButlerError

_PAUSES = (0.1, 0.5, 2.0, 5.0)
_MOST_SECONDS = 30.0


class Patience:
    """Pauses before each new attempt at a stream; ends after four in a row that got no further."""

    def __init__(self) -> None:
        self._failures = 0
        self._reached = -1

    def wait(self, position: int, error: ButlerError | None = None) -> bool:
        """Pause after a failure at a position, in bytes; return False at once if it is time to give up.

        The pause is no shorter than what the service asks for.
        """
        if position > self._reached:
            self._failures, self._reached = 0, position
        if self._failures == len(_PAUSES):
            return False
        told = float(error.metadata.get("retry_seconds", 0.0)) if error else 0.0
        time.sleep(max(_PAUSES[self._failures], min(told, _MOST_SECONDS)))
        self._failures += 1
        return True
