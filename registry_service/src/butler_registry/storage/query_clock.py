# SPDX-License-Identifier: BSD-3-Clause
"""Stops what a query does in the database when it takes too long.

From outside, in the same way for SQLite, for PostgreSQL and behind a pooler: a limit of the session would cost each
query two round trips, and would not hold for what takes several statements.
"""

from __future__ import annotations

__all__ = ["QueryClock"]

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from butler_model.errors import QueryTimeoutError

_LOOK_SECONDS = 0.25


class _Running:
    """Work that is to be stopped at some time; it is stopped again and again until it ends."""

    def __init__(self, seconds: float, stop: Callable[[], None]) -> None:
        self.end = time.monotonic() + seconds
        self.was_stopped = False
        self._stop = stop
        self._lock = threading.Lock()
        self._is_over = False

    def look(self, now: float) -> None:
        """Stop it if it is late."""
        if now < self.end:
            return
        with self._lock:
            if not self._is_over:
                self.was_stopped = True
                self._stop()

    def finish(self) -> None:
        """Never stop it from now on."""
        with self._lock:
            self._is_over = True


class QueryClock:
    """Watches queries, in one thread for all of them, which the first one starts."""

    def __init__(self) -> None:
        self._running: dict[int, _Running] = {}
        self._start_lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    @contextmanager
    def limited(
        self, seconds: float, stop: Callable[[], None], after_stop: Callable[[], None]
    ) -> Iterator[None]:
        """Run a block whose statements are stopped after some time in all.

        Parameters
        ----------
        seconds
            How long it may take; 0 for any time.
        stop
            Makes the statement that runs fail, from another thread; it is not called after the block.
        after_stop
            Called after a block in which ``stop`` was.

        Raises
        ------
        QueryTimeoutError
            Raised if it was stopped.
        """
        if not seconds:
            yield
            return
        running = _Running(seconds, stop)
        self._start()
        self._running[id(running)] = running
        try:
            yield
        except DBAPIError as error:
            if running.was_stopped:
                raise QueryTimeoutError(
                    f"The query was stopped after {seconds:g} s, the most that one may take. Ask for less: name an "
                    "instrument or a skymap, fewer collections, a narrower condition; or ask in parts.",
                    seconds=f"{seconds:g}",
                ) from error
            raise
        finally:
            del self._running[id(running)]
            running.finish()
            if running.was_stopped:
                after_stop()

    def close(self) -> None:
        """Watch nothing any more."""
        self._closed.set()

    def _start(self) -> None:
        if self._thread is None:
            with self._start_lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._look, name="query-clock", daemon=True)
                    self._thread.start()

    def _look(self) -> None:
        while not self._closed.wait(_LOOK_SECONDS):
            now = time.monotonic()
            for running in tuple(self._running.values()):
                running.look(now)
