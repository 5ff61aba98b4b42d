# SPDX-License-Identifier: BSD-3-Clause
"""A file that tells how much is read of it."""

from __future__ import annotations

__all__ = ["CountingFile"]

import io
from typing import Any


class CountingFile(io.BytesIO):
    """Counts the bytes that are read from it."""

    moved = 0

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        self.moved += len(content)
        return content

    def readinto(self, buffer: Any, /) -> int:
        length = super().readinto(buffer)
        self.moved += length
        return length
