# SPDX-License-Identifier: BSD-3-Clause
"""Temporary files in memory: half of what tests wait for is a disk that makes small files durable, for minutes."""

from __future__ import annotations

__all__ = ["work_in_memory"]

import os
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")
_NEEDED_BYTES = 3 * 2**30
"""A run of all tests has less than that at once, on two processors."""


def work_in_memory() -> None:
    """Put all temporary files of this process, and of those that it starts, into memory, where that has the room.

    Who wants them elsewhere says so by ``TMPDIR``. All that a file system does is done there, too; only that a power
    failure leaves nothing of it.
    """
    if "TMPDIR" not in os.environ and _has_room():
        os.environ["TMPDIR"] = str(_MEMORY)
        tempfile.tempdir = None  # asked for again


def _has_room() -> bool:
    if not os.access(_MEMORY, os.W_OK):
        return False
    place = os.statvfs(_MEMORY)
    return (
        # Programs are copied to temporary folders, too.
        not place.f_flag & os.ST_NOEXEC
        and place.f_bavail * place.f_frsize >= _NEEDED_BYTES
        and _available_memory() >= 2 * _NEEDED_BYTES
    )


def _available_memory() -> int:
    """Return how many bytes processes can have without others being written to disk."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), 0)
