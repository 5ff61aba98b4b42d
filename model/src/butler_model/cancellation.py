# SPDX-License-Identifier: BSD-3-Clause
"""Ending work that nobody waits for any more."""

from __future__ import annotations

__all__ = ["Cancellation"]

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, Thread

_AGAIN_SECONDS = 0.1


class Cancellation:
    """Tells whoever works on a call that it was given up; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._stop: Callable[[], None] | None = None
        self.requested = False
        """Whether the call was given up."""

    def cancel(self) -> None:
        """Give the call up; what runs under `stopping` is stopped, without waiting for its end."""
        with self._lock:
            self.requested = True
            running = self._stop is not None
        if running:
            self._start_stopping()

    @contextmanager
    def stopping(self, stop: Callable[[], None]) -> Iterator[None]:
        """Run a block that ``stop``, called from another thread, ends early; it is never called after the block.

        It is called again and again until the block ends, for it may come between two steps of the work.
        """
        with self._lock:
            self._stop = stop
        if self.requested:
            self._start_stopping()
        try:
            yield
        finally:
            with self._lock:
                self._stop = None

    def _start_stopping(self) -> None:
        Thread(target=self._stop_until_the_end, name="cancellation", daemon=True).start()

    def _stop_until_the_end(self) -> None:
        while True:
            with self._lock:
                if self._stop is None:
                    return
                self._stop()
            time.sleep(_AGAIN_SECONDS)
