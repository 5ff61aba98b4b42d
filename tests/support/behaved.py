# SPDX-License-Identifier: BSD-3-Clause
"""A client that behaves, in a process of its own: what attackers do in theirs is no matter of the services.

``python -m tests.support.behaved ADDRESS RUN`` gets a dataset as often as each number says that it reads, and writes
how many milliseconds each time took, as JSON in one line.
"""

from __future__ import annotations

__all__ = ["Behaved"]

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from butler import Butler

_ROOT = Path(__file__).resolve().parents[2]


class Behaved:
    """The process, seen from outside."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._asked: IO[str] = process.stdin
        self._told: IO[str] = process.stdout

    @classmethod
    @contextmanager
    def running(cls, address: str, run: str) -> Iterator[Behaved]:
        """Give a client of services, which get a dataset ``note`` of a run."""
        command = [sys.executable, "-m", "tests.support.behaved", address, run]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=_ROOT) as process:
            behaved = cls(process)
            try:
                behaved.times(20)
                yield behaved
            finally:
                behaved._asked.close()

    def times(self, calls: int) -> list[float]:
        """Return how many milliseconds each of so many calls took, all of which have to be answered."""
        self._asked.write(f"{calls}\n")
        self._asked.flush()
        answer = self._told.readline()
        assert answer, "the client that behaves was not answered"
        found: list[float] = json.loads(answer)
        return found


def main(address: str, run: str) -> None:
    """Make calls as it is asked to."""
    with Butler(address, collections=run) as butler:
        for line in sys.stdin:
            times = []
            for _ in range(int(line)):
                begun = time.perf_counter()
                assert butler.get("note", instrument="Cam1", detector=1) == {"a": 1}
                times.append(round((time.perf_counter() - begun) * 1000, 3))
            sys.stdout.write(f"{json.dumps(times)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
