# SPDX-License-Identifier: BSD-3-Clause
"""Both services in a process of their own, for as long as a test needs them."""

from __future__ import annotations

__all__ = ["served_repositories"]

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from butler_model.errors import ServiceUnavailableError

_GRACE_SECONDS = 10.0


@contextmanager
def served_repositories(directory: str | os.PathLike[str], *, repository: str = "test") -> Iterator[str]:
    """Run both services on a free port of the loopback interface; give the address of an empty repository.

    Other repositories may be made beside it, with `Butler.makeRepo`. The services end with the block, and leave their
    files in the directory.

    Parameters
    ----------
    directory
        Where artifacts and the registry, which is SQLite, are kept.

    Raises
    ------
    ServiceUnavailableError
        Raised if the services end before they are ready; they need the extra ``embedded``.
    """
    options = ["--data-root", os.fspath(directory), "--repository", repository, "--create", "--json"]
    command = [sys.executable, "-m", "butler.cli", "serve", *options, "--address", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            if not first:
                raise ServiceUnavailableError(
                    f"The services of a test ended at once, with exit code {process.wait()}; they printed why."
                )
            yield json.loads(first)["address"]
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
