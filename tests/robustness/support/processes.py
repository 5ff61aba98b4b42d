# SPDX-License-Identifier: BSD-3-Clause
"""Processes that tests start by the hundred and kill."""

from __future__ import annotations

__all__ = ["Nursery", "TestProcess", "nursery_of"]

import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from butler_model.failpoints import FAILPOINTS_VARIABLE
from tools.servers.process import ROOT

from .nursery import JOBS_VARIABLE

_ANNOUNCEMENT = re.compile(rb"^\w+ listening on (\S+)$", re.MULTILINE)
_START_SECONDS = 30.0


@dataclass(slots=True)
class TestProcess:
    """A process of the nursery.

    Attributes
    ----------
    code
        Its exit code, or minus the signal that ended it; `None` until `wait` was called.
    """

    # For pytest: this is no test.
    __test__ = False

    nursery: Nursery
    program: str
    pid: int
    log: Path
    handle: int
    code: int | None = field(default=None)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.code is None and not select.select([self.handle], [], [], 0)[0]

    def kill(self) -> None:
        """End it as by ``kill -9``, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self.wait(10.0)

    def signal(self, number: int) -> None:
        """Send it a signal, if it is still there."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.handle, number)

    def wait(self, seconds: float) -> int:
        """Return how it ended; `TimeoutError` if it does not."""
        if self.code is None:
            if not select.select([self.handle], [], [], seconds)[0]:
                raise TimeoutError(
                    f"{self.program} ({self.pid}) has not ended in {seconds:g} s; see {self.log}"
                )
            self.code = self.nursery.ask({"wait": self.pid})["code"]
            os.close(self.handle)
        return self.code


class Nursery:
    """Starts processes that have everything imported already.

    Parameters
    ----------
    jobs
        Module whose ``run(program, argument)`` is called for programs that are no service.
    """

    def __init__(self, jobs: str) -> None:
        environment = {**os.environ, JOBS_VARIABLE: jobs, FAILPOINTS_VARIABLE: "none"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.robustness.support.nursery"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._lock = threading.Lock()
        self._read()

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and return the answer."""
        with self._lock:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"The nursery ended with {self._process.wait()}.")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def start(
        self,
        program: str,
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        failpoints: str = "",
        argument: object = None,
    ) -> TestProcess:
        """Start a program; what it prints is added to a log."""
        variables = {**(environment or {}), FAILPOINTS_VARIABLE: failpoints}
        request = {"program": program, "argument": argument, "environment": variables, "log": str(log)}
        pid = self.ask(request)["pid"]
        return TestProcess(self, program, pid, log, os.pidfd_open(pid))

    def serve(
        self, program: str, log: Path, settings: Mapping[str, str], address: str, failpoints: str = ""
    ) -> TestProcess:
        """Start a service, and wait until it answers."""
        environment = {f"BUTLER_{program.upper()}_{name}": value for name, value in settings.items()}
        environment[f"BUTLER_{program.upper()}_ADDRESS"] = address
        begin = log.stat().st_size if log.exists() else 0
        process = self.start(program, log, environment=environment, failpoints=failpoints)
        deadline = time.monotonic() + _START_SECONDS
        while not _announced(log, begin):
            if not process.running or time.monotonic() > deadline:
                raise RuntimeError(f"{program} does not begin:\n{log.read_text(errors='replace')[-4000:]}")
            time.sleep(0.01)
        return process

    def close(self) -> None:
        """End it and all of its processes."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def _announced(log: Path, begin: int) -> bool:
    if not log.exists():
        return False
    with log.open("rb") as file:
        file.seek(begin)
        return _ANNOUNCEMENT.search(file.read()) is not None


@contextmanager
def nursery_of(jobs: str) -> Iterator[Nursery]:
    """Give a nursery."""
    nursery = Nursery(jobs)
    try:
        yield nursery
    finally:
        nursery.close()
