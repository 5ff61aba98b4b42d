# SPDX-License-Identifier: BSD-3-Clause
"""``butler`` as it is installed: from its first moment to its last, Ctrl-C ends it with one line.

What the program needs is imported here, and not before: it takes a third of a second, in which there would be a
traceback.
"""

from __future__ import annotations

__all__ = ["main"]

import os
import signal


def main() -> None:
    """Run the program; see `butler.cli.main.main`."""
    # Whoever started it may have said that Ctrl-C is none of its business.
    is_usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_usual:
        signal.signal(signal.SIGINT, _end)
    from .main import main as run

    try:
        if is_usual:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        run()
    finally:
        if is_usual:
            signal.signal(signal.SIGINT, _end)


def _end(*_: object) -> None:
    # Without an exception: that would be told by whatever is being imported, or taken down.
    os.write(2, b"Interrupted.\n")
    os._exit(130)
