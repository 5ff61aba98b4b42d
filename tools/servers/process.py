# SPDX-License-Identifier: BSD-3-Clause
"""Servers that live exactly as long as the process that needs them."""

from __future__ import annotations

__all__ = ["ServerProcess", "free_ports", "running", "wait_until"]

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_SERVER_PORTS = range(10_000, 32_000)
# Not the generator of the process, which the tests of properties set to the same beginning everywhere.
_CHANCE = random.SystemRandom()
_RESERVED: list[socket.socket] = []


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A server under its keeper.

    Parameters
    ----------
    command
        What was started.
    log
        The file that holds what the server prints.
    keeper
        The process that ends the server when its standard input is closed.
    """

    command: tuple[str, ...]
    log: Path
    keeper: subprocess.Popen[bytes]

    def check(self) -> None:
        """Raise RuntimeError, with the end of the log, if the server has ended."""
        code = self.keeper.poll()
        if code is not None:
            tail = self.log.read_text(errors="replace")[-4000:]
            raise RuntimeError(f"{self.command[0]} ended with code {code}:\n{tail}")

    def stop(self) -> None:
        """End the server and wait until it is gone."""
        if self.keeper.stdin is not None:
            self.keeper.stdin.close()
        self.keeper.wait()


@contextmanager
def running(
    command: Sequence[str],
    *,
    log: Path,
    stop_signal: str = "SIGTERM",
    environment: Mapping[str, str] | None = None,
    user: str | None = None,
    remove: Path | None = None,
) -> Iterator[ServerProcess]:
    """Run a server until the block, or the process that is in it, ends.

    Parameters
    ----------
    command
        The program and its arguments.
    log
        The file to write what it prints to.
    stop_signal
        The name of the signal that asks the server to end; ten seconds later it is killed.
    environment
        Variables in addition to those of this process.
    user
        The account to run it as, for one who may choose.
    remove
        A folder that is to vanish with the server, even if this process is killed.
    """
    keeper = [sys.executable, "-m", "tools.servers.keeper", f"--signal={stop_signal}"]
    keeper += [f"--user={user}"] if user else []
    keeper += [f"--remove={remove}"] if remove else []
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*keeper, "--", *command],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            # The terminal's Ctrl-C is for this process; it reaches the keeper as the end of its input.
            start_new_session=True,
        )
    server = ServerProcess(tuple(command), log, process)
    try:
        yield server
    finally:
        server.stop()


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback address that nobody listens on, all different, and this process's until it ends.

    A socket stays bound to each and never listens: whoever connects is refused, a server may listen there (one that
    sets SO_REUSEADDR or SO_REUSEPORT, as all do), also again after it was killed, and nobody else is given the port
    by this function. They are below those that a system gives to who connects, which may come at any moment.
    """
    found: list[int] = []
    while len(found) < count:
        reserved = socket.socket()
        try:
            reserved.bind(("127.0.0.1", _CHANCE.choice(_SERVER_PORTS)))
        except OSError:
            reserved.close()
            continue
        # Only now: with it from the start, the port that another process holds like this would be given, too.
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            reserved.setsockopt(socket.SOL_SOCKET, option, 1)
        _RESERVED.append(reserved)
        found.append(int(reserved.getsockname()[1]))
    return found


def wait_until(ready: Callable[[], bool], server: ServerProcess, *, seconds: float) -> None:
    """Wait until ``ready`` answers True.

    Raises
    ------
    RuntimeError
        If the server has ended instead.
    TimeoutError
        If it is not ready after ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        server.check()
        if time.monotonic() > deadline:
            raise TimeoutError(f"{server.command[0]} is not ready after {seconds:g} s; see {server.log}")
        time.sleep(0.02)
