# SPDX-License-Identifier: BSD-3-Clause
"""Uploads to a directory, of which what arrived stays when the connection breaks, so that they can go on."""

from __future__ import annotations

__all__ = ["UploadFile", "discard_uploads", "forget_upload", "kept_of_upload", "upload_name", "uploading"]

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import BinaryIO
from uuid import uuid4

from butler_model.checksum import Checksum
from butler_model.errors import ServiceUnavailableError, UploadConflictError
from butler_model.failpoints import reach

from .store import CHUNK_BYTES

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True)
class UploadFile:
    """The file of an upload, which nobody else writes to meanwhile.

    Attributes
    ----------
    name
        Its name in the staging directory.
    size, checksum
        Of all that was written to it so far.
    """

    name: str
    file: BinaryIO
    size: int = 0
    _checksum: Checksum = field(default_factory=Checksum)

    @property
    def checksum(self) -> str:
        return self._checksum.text

    def go_on(self, offset: int) -> None:
        """Drop what is kept beyond an offset, and take into the checksum what is before it."""
        self.file.truncate(offset)
        while piece := self.file.read(CHUNK_BYTES):
            self._add(piece)

    def fill(self, chunks: Iterable[bytes], *, durable: bool) -> None:
        """Write the rest; wait for the disk if it is to be durable."""
        for chunk in chunks:
            self.file.write(chunk)
            self._add(chunk)
        reach("put.upload_all_before_fsync")
        self.file.flush()
        if durable:
            os.fsync(self.file.fileno())

    def _add(self, piece: bytes) -> None:
        self.size += len(piece)
        self._checksum.add(piece)


def upload_name(key: str, upload: str) -> str:
    """Return the name under which an upload to a key is staged, for every process the same."""
    return f"{_prefix(key)}{_digest(upload)}"


def discard_uploads(staging: int, key: str) -> None:
    """Remove what is kept of all uploads to a key; one that is still going on finds nothing to publish."""
    for name in os.listdir(staging):
        if name.startswith(_prefix(key)):
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=staging)


def forget_upload(staging: int, name: str) -> None:
    """Remove what is kept of an upload that is of no use any more, unless it is going on; then its end does that."""
    descriptor = _locked(staging, name)
    if descriptor is not None:
        with open(descriptor, "rb"), suppress(FileNotFoundError):
            os.unlink(name, dir_fd=staging)


def _prefix(key: str) -> str:
    return f"upload-{_digest(key)}-"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def kept_of_upload(staging: int, name: str) -> int:
    """Return how many bytes of an upload are kept."""
    try:
        return os.stat(name, dir_fd=staging, follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0


@contextmanager
def uploading(
    staging: int, name: str, key: str, offset: int, *, keep: Callable[[], bool]
) -> Iterator[UploadFile]:
    """Give the file of an upload, to go on at an offset; it goes away at the end.

    If the connection breaks, which is a `ServiceUnavailableError`, and ``keep`` then says so, it stays.

    One that begins at 0 while another is going on has a file of its own, which is not kept.

    Raises
    ------
    UploadConflictError
        Raised if less than ``offset`` bytes are kept, or the upload is going on elsewhere.
    """
    descriptor = _locked(staging, name)
    is_found_again = descriptor is not None
    if descriptor is None:
        if offset:
            raise UploadConflictError(
                f"Another upload of {key!r} is going on under the same grant; wait for its end and ask what is kept.",
                key=key,
            )
        name = uuid4().hex
        descriptor = os.open(name, _FLAGS | os.O_EXCL, 0o666, dir_fd=staging)
    # Closing it gives up the lock: last, when the name is free for another.
    with open(descriptor, "r+b") as file:
        kept = False
        try:
            found = os.fstat(descriptor).st_size
            if offset > found:
                kept = found > 0
                raise UploadConflictError(
                    f"The upload of {key!r} cannot go on at {offset}: {found} bytes of it are kept.", key=key
                )
            upload = UploadFile(name, file)
            upload.go_on(offset)
            yield upload
        except ServiceUnavailableError:
            file.flush()
            # Nobody would look for one of its own, be it to go on or to discard it.
            kept = is_found_again and keep()
            raise
        finally:
            if not kept:
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=staging)


def _locked(staging: int, name: str) -> int | None:
    """Return a descriptor of the file, made if need be, on which this process has the lock; `None` if it has not."""
    while True:
        descriptor = os.open(name, _FLAGS, 0o666, dir_fd=staging)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The former owner may have removed the name in between.
            if _same(descriptor, staging, name):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _same(descriptor: int, staging: int, name: str) -> bool:
    with suppress(FileNotFoundError):
        there = os.stat(name, dir_fd=staging, follow_symlinks=False)
        return os.path.samestat(there, os.fstat(descriptor))
    return False
