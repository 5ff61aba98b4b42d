# SPDX-License-Identifier: BSD-3-Clause
"""One side of the comparison as a process: it takes commands as lines of JSON, and answers each with one.

``{"do": "prepare", "place": {...}, "filled": N}`` makes and fills a repository, ``attach`` opens one that there is,
``{"do": "run", "operation": NAME, "n": N, "round": R}`` measures, and ``memory`` tells how much this process has.
"""

from __future__ import annotations

__all__ = ["serve"]

import gc
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from .answers import digest
from .library import Library, Place
from .operations import OPERATIONS
from .survey import Subject, attach, prepare


def serve(library: Library) -> None:
    """Answer commands until the input ends."""
    # What a library prints must not come between the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    state = _State(library)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(state, request.pop("do"))(**request)
        except Exception as error:  # noqa: BLE001 - the other process reports it
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers)


class _State:
    def __init__(self, library: Library) -> None:
        self._library = library
        self._subject: Subject | None = None

    def prepare(self, place: dict[str, str], filled: int, files: str) -> dict[str, Any]:
        self._subject = prepare(self._library, Place(**place), filled, Path(files))
        return {}

    def attach(self, place: dict[str, str], filled: int, files: str) -> dict[str, Any]:
        self._subject = attach(self._library, Place(**place), filled, Path(files))
        return {}

    def run(self, operation: str, n: int, round: int) -> dict[str, Any]:
        assert self._subject is not None
        call = OPERATIONS[operation](self._subject, n, round)
        # What was made before must not be looked through while the clock runs.
        gc.collect()
        gc.freeze()
        began = time.perf_counter()
        result = call.timed()
        seconds = time.perf_counter() - began
        gc.unfreeze()
        return {"seconds": seconds, "answer": digest(call.outcome() if call.outcome else result)}

    def get_for(self, seconds: float, seed: int) -> dict[str, Any]:
        """Get one dataset after the other for some time."""
        assert self._subject is not None
        subject, number = self._subject, seed
        began = time.perf_counter()
        while (passed := time.perf_counter() - began) < seconds:
            subject.get(number)
            number += 7919
        return {"count": (number - seed) // 7919, "seconds": passed}

    def memory(self) -> dict[str, Any]:
        status = Path("/proc/self/status").read_text()
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        return {
            "rss_mib": int(fields["VmRSS"].split()[0]) / 1024,
            "peak_mib": int(fields["VmHWM"].split()[0]) / 1024,
        }
