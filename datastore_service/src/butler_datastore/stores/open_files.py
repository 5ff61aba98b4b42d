# SPDX-License-Identifier: BSD-3-Clause
"""Opening files to read them, and reading those that are open."""

from __future__ import annotations

__all__ = ["READ_FLAGS", "check_open_size", "measure_open_file", "read_open_file"]

import os
from collections.abc import Iterator

from butler_model.artifact import sha256
from butler_model.errors import ArtifactIntegrityError

from .store import CHUNK_BYTES, Stored, check_size

READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""How a file is opened to be read: no link is followed, and nothing that is no file is waited for."""


def check_open_size(descriptor: int, key: str, size: int) -> None:
    """Raise `ArtifactIntegrityError` if an open file has not the size that was recorded of an artifact."""
    check_size(key, os.fstat(descriptor).st_size, size)


def measure_open_file(descriptor: int, key: str) -> Stored:
    """Return size and checksum of an open file, as `Stored` before."""
    size = os.fstat(descriptor).st_size
    return Stored(size, sha256(read_open_file(descriptor, key, 0, size)), created=False)


def read_open_file(descriptor: int, key: str, offset: int, end: int) -> Iterator[bytes]:
    """Yield the bytes of an open file in a range; `ArtifactIntegrityError` if it ends before."""
    while offset < end:
        chunk = os.pread(descriptor, min(CHUNK_BYTES, end - offset), offset)
        if not chunk:
            raise ArtifactIntegrityError(f"The artifact {key!r} shrank while it was read.", key=key)
        offset += len(chunk)
        yield chunk
