# SPDX-License-Identifier: BSD-3-Clause
"""Processes that take commands: one for each side, and more where many clients are wanted."""

from __future__ import annotations

__all__ = ["Side", "SideError", "started"]

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.servers.process import ROOT

OURS, THEIRS = "benchmarks.compare.ours", "benchmarks.compare.theirs"


class SideError(Exception):
    """What a side was told to do failed there."""


@dataclass(frozen=True, slots=True)
class Side:
    """A process of one side.

    Attributes
    ----------
    name
        Such as ``ours-grpc``.
    log
        What it prints besides answers.
    """

    name: str
    process: subprocess.Popen[str]
    log: Path

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Have something done and wait for the answer.

        Raises
        ------
        SideError
            Raised if it failed there.
        """
        self.tell(do, **arguments)
        return self.answer()

    def tell(self, do: str, **arguments: Any) -> None:
        """Have something done; `answer` waits for it."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Wait for an answer."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SideError(f"{self.name} ended; see {self.log}: {self.log.read_text()[-2000:]}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise SideError(f"{self.name}: {answer['error']}")
        return answer


@contextmanager
def started(
    name: str, older_python: Path, folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Side]:
    """Start the process of a side, whose name tells which; end it afterwards."""
    theirs = name.startswith("theirs")
    command = [str(older_python) if theirs else sys.executable, "-m", THEIRS if theirs else OURS]
    log = folder / f"{name}.log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command,
            cwd=ROOT,
            # A benchmark of the repository, not of what a client remembers of it.
            env={**os.environ, "BUTLER_CACHE_EXPIRATION": "disabled", **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        try:
            yield Side(name, process, log)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
