# SPDX-License-Identifier: BSD-3-Clause
"""Places where a test can end, delay or break a process: the steps of the protocols, by name.

``BUTLER_FAILPOINTS`` says what happens where, for instance ``put.upload_half=kill;empty_trash.before_claim=sleep:2``.
Without it nothing happens and nothing is looked up. Never set it where data matter.

=============  ==================================================================
action         what happens when the point is reached
=============  ==================================================================
``kill``       the process ends as by ``kill -9``
``sleep:S``    it waits for S seconds
``wait:FILE``  it makes an empty file, and waits until that is removed
``error``      `OSError` (EIO) is raised there
``error:E``    the same with another error, for instance ``ENOSPC``
=============  ==================================================================

``name@N=action`` acts at the N-th time only, counted in this process. The variable must be there when this module is
loaded; what it says counts when the first point is reached, so a process that is forked may get its own.
"""

from __future__ import annotations

__all__ = ["FAILPOINTS_VARIABLE", "reach"]

import errno
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from functools import cached_property
from threading import Lock

FAILPOINTS_VARIABLE = "BUTLER_FAILPOINTS"


def _nothing(name: str) -> None:
    """Do nothing: no failpoint is set in this process."""


class _Failpoints:
    def __init__(self) -> None:
        self._reached: Counter[str] = Counter()
        self._lock = Lock()

    @cached_property
    def _actions(self) -> dict[str, tuple[int, str]]:
        actions: dict[str, tuple[int, str]] = {}
        for entry in filter(None, os.environ.get(FAILPOINTS_VARIABLE, "").split(";")):
            place, _, action = entry.partition("=")
            name, _, turn = place.partition("@")
            actions[name.strip()] = (int(turn or 0), action.strip())
        return actions

    def reach(self, name: str) -> None:
        if name not in self._actions:
            return
        turn, action = self._actions[name]
        with self._lock:
            self._reached[name] += 1
            if turn and self._reached[name] != turn:
                return
        kind, _, argument = action.partition(":")
        if kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif kind == "sleep":
            time.sleep(float(argument))
        elif kind == "wait":
            _wait_for_removal(argument)
        elif kind == "error":
            raise OSError(getattr(errno, argument or "EIO"), f"Failpoint {name}")
        else:
            raise ValueError(f"{FAILPOINTS_VARIABLE}: there is no action {action!r}.")


def _wait_for_removal(file: str) -> None:
    os.close(os.open(file, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o666))
    while os.path.exists(file):
        time.sleep(0.002)


reach: Callable[[str], None] = _Failpoints().reach if os.environ.get(FAILPOINTS_VARIABLE) else _nothing
"""Say that a step is reached; its name is ``protocol.step``."""
