# SPDX-License-Identifier: BSD-3-Clause
"""The program ``butler`` as a process: what it prints into a pipe and on a terminal, and services that it runs."""

from __future__ import annotations

__all__ = [
    "COMMAND",
    "butler",
    "environment",
    "objects",
    "on_terminal",
    "served",
    "served_address",
    "succeeded",
]

import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path

from tools.servers.process import running, wait_until

COMMAND = (sys.executable, "-m", "butler.cli")


def environment(**variables: str) -> dict[str, str]:
    """Return the variables of this process and others, without what would change what is tested."""
    kept = {name: value for name, value in os.environ.items() if name not in ("BUTLER_DEBUG", "COLUMNS")}
    return {**kept, **variables}


def butler(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the program and return what it printed and how it ended."""
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        env=environment(**variables),
        timeout=60,
        check=False,
    )


def succeeded(*arguments: str) -> str:
    """Run the program and return what it printed; it must succeed, and say nothing of errors."""
    done = butler(*arguments)
    assert (done.returncode, "Error" in done.stderr) == (0, False), done.stderr
    return done.stdout


def objects(*arguments: str) -> list[dict[str, object]]:
    """Run the program with ``--json`` and return the objects that it printed."""
    return [json.loads(line) for line in succeeded(*arguments, "--json").splitlines()]


def served_address(log: Path) -> str | None:
    """Return the address that ``butler serve`` printed, once it has."""
    found = re.search(r"grpc://\S+", log.read_text())
    return None if found is None else found[0]


@contextmanager
def served(data_root: Path, log: Path) -> Iterator[str]:
    """Run both services in a process, with an empty repository ``demo``; give its address."""
    command = [*COMMAND, "serve", "--data-root", str(data_root), "--repository", "demo", "--create"]
    with running([*command, "--address", "127.0.0.1:0"], log=log) as server:
        wait_until(lambda: served_address(log) is not None, server, seconds=30)
        yield served_address(log) or ""


def on_terminal(columns: int, *command: str) -> str:
    """Run a program on a terminal of that width and return what it showed."""
    main, terminal = pty.openpty()
    ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    shown = b""
    with subprocess.Popen(
        command,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environment(TERM="xterm"),
    ):
        os.close(terminal)
        while True:
            try:
                shown += os.read(main, 65536)
            except OSError:  # the terminal has no other end any more
                break
    os.close(main)
    return shown.decode()
