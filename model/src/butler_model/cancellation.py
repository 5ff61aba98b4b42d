# SPDX-License-Identifier: BSD-3-Clause
"""Ending work that nobody waits for any more."""

from __future__ import annotations

__all__ = ["Cancellation"]

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock


class Cancellation:
    """Tells whoever works on a call that it was given up; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._stop: Callable[[], None] | None = None
        self.requested = False
        """Whether the call was given up."""

    def cancel(self) -> None:
        """Give the call up; what runs under `stopping` at this moment is stopped."""
        with self._lock:
            self.requested = True
            if self._stop is not None:
                self._stop()
                self._stop = None

    @contextmanager
    def stopping(self, stop: Callable[[], None]) -> Iterator[None]:
        """Run a block that ``stop``, called from another thread, ends early; it is never called after the block."""
        with self._lock:
            self._stop = stop
            if self.requested:
                self._stop()
        try:
            yield
        finally:
            with self._lock:
                self._stop = None
