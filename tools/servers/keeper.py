# SPDX-License-Identifier: BSD-3-Clause
"""Runs one server for as long as somebody holds the other end of standard input.

Tests, demo and benchmarks start their servers under this program (see `tools.servers.process`). However such a
process ends, be it by SIGKILL, the operating system closes its end of the pipe; then the server is stopped and
its folder removed.
"""

from __future__ import annotations

__all__ = ["account"]

import argparse
import os
import pwd
import shutil
import signal
import subprocess
import sys
import threading

GRACE_SECONDS = 10.0


def account(name: str | None) -> tuple[int | None, int | None]:
    """Return the user and group numbers of the account ``name``; (None, None) is the account one has."""
    if name is None:
        return None, None
    entry = pwd.getpwnam(name)
    return entry.pw_uid, entry.pw_gid


def stop(server: subprocess.Popen[bytes], number: int) -> None:
    """Ask the server to end with signal ``number``, and end it if it does not."""
    if server.poll() is None:
        server.send_signal(number)
    try:
        server.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)


def main() -> int:
    """Start the command, wait for it or for the end of standard input, and return the command's exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--signal", required=True)
    parser.add_argument("--user")
    parser.add_argument("--remove")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    user, group = account(options.user)
    server = subprocess.Popen(
        options.command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        user=user,
        group=group,
        extra_groups=None if user is None else [],
    )
    abandoned = threading.Event()

    def watch() -> None:
        # Not sys.stdin: the interpreter cannot end while a thread is inside it.
        while os.read(0, 4096):
            pass
        abandoned.set()
        stop(server, signal.Signals[options.signal])

    threading.Thread(target=watch, daemon=True).start()
    code = server.wait()
    if abandoned.is_set() and options.remove:
        shutil.rmtree(options.remove, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
