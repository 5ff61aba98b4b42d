# SPDX-License-Identifier: BSD-3-Clause
"""The worker in the background: it empties the trash of all repositories, reaps, and lets age out."""

from __future__ import annotations

__all__ = ["HousekeepingWorker"]

import logging
import threading
from collections.abc import Callable
from contextlib import closing

from butler_model.errors import ButlerError
from butler_model.ports import Housekeeping, Ledgers
from butler_model.trash import PurgeProgress, TrashSelection

_LOGGER = logging.getLogger(__name__)

_REQUEST_SECONDS = 2 * 86_400
_LOG_SECONDS = 30 * 86_400
_AGE_OUT_ROUNDS = 60
_STOP_SECONDS = 60.0


class HousekeepingWorker:
    """A thread that keeps house at intervals; any number of them may work side by side, in many processes.

    If the registry cannot be reached, or cannot write, a round does nothing, and the next one tries again.

    Parameters
    ----------
    interval_seconds
        From the end of a round to the begin of the next one.
    """

    def __init__(self, ledgers: Ledgers, housekeeping: Housekeeping, interval_seconds: float) -> None:
        self._ledgers = ledgers
        self._housekeeping = housekeeping
        self._interval_seconds = interval_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)
        self._rounds = 0

    def start(self) -> None:
        """Begin with the first round, after an interval."""
        self._thread.start()

    def stop(self) -> None:
        """End after the artifacts that are being deleted now."""
        self._stopping.set()
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_seconds):
            try:
                for repository in self._ledgers.names():
                    self._keep(repository)
            except ButlerError as error:
                _LOGGER.warning("no housekeeping: %s", error.message)
            self._rounds += 1

    def _keep(self, repository: str) -> None:
        works: list[Callable[[str], None]] = [self._empty, self._reap]
        if self._rounds % _AGE_OUT_ROUNDS == 0:
            works.append(self._age_out)
        for work in works:
            if self._stopping.is_set():
                return
            try:
                work(repository)
            except ButlerError as error:
                _LOGGER.warning(
                    "no housekeeping of %s: %s", repository, error.message, extra={"repository": repository}
                )
            except Exception:
                # The thread must outlive what nobody thought of.
                _LOGGER.exception("housekeeping of %s failed", repository, extra={"repository": repository})

    def _empty(self, repository: str) -> None:
        progress = PurgeProgress()
        with closing(self._housekeeping.empty_trash(repository, TrashSelection())) as steps:  # type: ignore[type-var] # a generator
            for step in steps:
                progress = step
                if self._stopping.is_set():
                    break
        if progress.deleted or progress.kept or progress.failed:
            counts = {
                "deleted": progress.deleted,
                "kept": progress.kept,
                "failed": progress.failed,
                "size": progress.size,
            }
            _LOGGER.info("emptied the trash of %s", repository, extra={"repository": repository, **counts})

    def _reap(self, repository: str) -> None:
        gone = self._housekeeping.reap(repository)
        if gone:
            _LOGGER.info("reaped puts of %s", repository, extra={"repository": repository, "intents": gone})

    def _age_out(self, repository: str) -> None:
        ledger = self._ledgers.ledger(repository)
        gone = ledger.age_out(request_seconds=_REQUEST_SECONDS, log_seconds=_LOG_SECONDS)
        if any(gone.values()):
            _LOGGER.info("aged out rows of %s", repository, extra={"repository": repository, **gone})
