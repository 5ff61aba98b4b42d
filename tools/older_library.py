# SPDX-License-Identifier: BSD-3-Clause
"""An environment with the current release of the library that people use today, for tests and benchmarks.

Nothing here imports it; it runs as a program of its own.
"""

from __future__ import annotations

__all__ = ["PACKAGES", "SERVER_PACKAGES", "python_with_older_library"]

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PACKAGES = ("lsst-daf-butler",)
SERVER_PACKAGES = ("lsst-daf-butler[postgres,remote,server]", "safir>=6", "uvicorn")
"""What its server and a registry on PostgreSQL need in addition."""

_INSTALL_SECONDS = 900


def python_with_older_library(folder: Path, packages: Sequence[str] = PACKAGES) -> Path:
    """Return an interpreter that has the older library.

    Parameters
    ----------
    folder
        The environment; made if it is not there or has been made for other packages.

    Raises
    ------
    RuntimeError
        Raised if it cannot be installed.
    """
    python, note = folder / "bin" / "python", folder / "packages"
    wanted = "\n".join(packages)
    if note.exists() and note.read_text() == wanted:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", *packages],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_INSTALL_SECONDS)
        if done.returncode:
            raise RuntimeError(f"{command[-1]} cannot be installed: {done.stderr[-1000:]}")
    note.write_text(wanted)
    return python
