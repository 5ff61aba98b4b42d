# SPDX-License-Identifier: BSD-3-Clause
"""The checksum of an artifact, computed beside whatever else is done with its bytes."""

from __future__ import annotations

__all__ = ["Checksum"]

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

_WORTH_A_THREAD = 256 * 1024
_MOST_WAITING = 4


class Checksum:
    """SHA-256 of pieces that are added in order; large ones are hashed in a thread, while the caller goes on.

    At most four pieces wait, so that no more than these are kept in memory. The thread ends with the object.
    """

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._thread: ThreadPoolExecutor | None = None
        self._waiting: deque[Future[None]] = deque()

    def add(self, piece: bytes) -> None:
        """Add the next piece, which may not change afterwards."""
        if self._thread is None:
            if len(piece) < _WORTH_A_THREAD:
                self._digest.update(piece)
                return
            self._thread = ThreadPoolExecutor(1, "butler-checksum")
        self._waiting.append(self._thread.submit(self._digest.update, piece))
        if len(self._waiting) > _MOST_WAITING:
            self._waiting.popleft().result()

    @property
    def text(self) -> str:
        """Of all pieces so far, as it is recorded: ``sha256:`` and 64 hexadecimal digits."""
        while self._waiting:
            self._waiting.popleft().result()
        return f"sha256:{self._digest.hexdigest()}"
