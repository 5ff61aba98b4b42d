# SPDX-License-Identifier: BSD-3-Clause
"""Whether a service can do what it is asked: what a readiness probe is told, and a liveness probe is not."""

from __future__ import annotations

__all__ = ["Readiness"]

import logging
import threading
import time
from collections.abc import Callable

from butler_model.errors import ButlerError, OverloadedError

_LOGGER = logging.getLogger(__name__)

_INTERVAL_SECONDS = 2.0
_STALE_SECONDS = 30.0
_STOP_SECONDS = 1.0


class Readiness:
    """Asks every two seconds, in a thread of its own, so that no probe ever waits for a database.

    A service that is merely busy stays ready: taken out of the balancer, it would only pass its load on to the others.
    One whose question has had no answer for half a minute is not ready.

    Parameters
    ----------
    ask
        Returns if the service can work, and raises an error of the catalogue if it cannot.
    """

    def __init__(self, ask: Callable[[], None]) -> None:
        self._ask = ask
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="readiness", daemon=True)
        self._tell: Callable[[bool], None] = lambda ready: None
        self._ready = False
        self._answered = time.monotonic()

    def start(self, tell: Callable[[bool], None]) -> None:
        """Ask for the first time, and then at intervals; ``tell`` is called with every change, and at once."""
        self._tell = tell
        self._look()
        self._tell(self._ready)
        self._thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    @property
    def is_stale(self) -> bool:
        """Whether the question has been without an answer for too long."""
        return time.monotonic() - self._answered > _STALE_SECONDS

    def _run(self) -> None:
        while not self._stopping.wait(_INTERVAL_SECONDS):
            before = self._ready
            self._look()
            if self._ready is not before and not self._stopping.is_set():
                self._tell(self._ready)

    def _look(self) -> None:
        before = self._ready
        try:
            self._ask()
            self._ready = True
        except OverloadedError:
            pass
        except ButlerError as error:
            self._ready = False
            if before:
                _LOGGER.warning("not ready: %s", error.message)
        except Exception:
            self._ready = False
            _LOGGER.exception("not ready")
        self._answered = time.monotonic()
        if self._ready and not before:
            _LOGGER.info("ready")
