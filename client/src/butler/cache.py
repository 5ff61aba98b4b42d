# SPDX-License-Identifier: BSD-3-Clause
"""Artifacts that were read from a service, kept in files on this machine.

A file is named after its dataset, component and checksum, and what has that name never changes. So nothing is ever out
of date, and processes share a directory without a lock: a file appears under its name when it is whole, by a rename;
one that expires while it is read stays readable until it is closed, as POSIX has it. Whoever adds a file looks at the
directory afterwards and removes what is too much, so the bound holds after every call.

A file's access time is set whenever it is used, whatever the file system is mounted with; its modification time tells
when it was written.

These are plain files and no `diskcache`, because that has an index in SQLite, whose locks network file systems do not
keep; reads pickles, so that whoever can write to the directory can run code here; bounds no number of files, and the
length of all only on the whole, since a write removes ten files at most. And formatters want a file to seek in.
"""

from __future__ import annotations

__all__ = ["ArtifactCache", "CacheUse", "cache_use", "clear_cache"]

import hashlib
import logging
import os
import re
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from butler_model.artifact import ArtifactRecord

from .cache_settings import CacheBound, CacheExpiration, CacheSettings

_LOG = logging.getLogger(__name__)
_CHECKSUM = re.compile(r"sha256:([0-9a-f]{64})")
_KEPT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(-[A-Za-z_][A-Za-z0-9_]*)?-[0-9a-f]{64}")
_DRAFT = re.compile(r"\.[0-9a-f]{32}\.part")
_ABANDONED_SECONDS = 3600
"""How old a file is that nobody is writing any more."""


@dataclass(frozen=True, slots=True)
class CacheUse:
    """How many files there are, and their length together in bytes."""

    files: int
    size: int


@dataclass(frozen=True, slots=True)
class _Kept:
    path: str
    size: int
    used_nsec: int


class ArtifactCache:
    """Files of artifacts; may be shared between threads and, by its directory, between processes.

    A directory that is full or cannot be written to is a warning in the log, once, and no error.

    Parameters
    ----------
    directory
        Where they are; made when first needed. Other files in it are left alone.
    expiration
        When they go.
    largest
        Length in bytes of the largest artifact that is kept.
    """

    def __init__(self, directory: Path, expiration: CacheExpiration, largest: int) -> None:
        self._directory = directory
        self._expiration = expiration
        by_size = expiration.bound is CacheBound.SIZE
        self._largest = min(largest, expiration.limit) if by_size else largest
        self._verified: dict[str, tuple[int, int]] = {}
        self._warned = threading.Event()

    @classmethod
    def set_up(cls, settings: CacheSettings) -> ArtifactCache | None:
        """Return the cache that settings describe; `None` if nothing is to be kept."""
        if settings.expiration is None:
            return None
        return cls(settings.directory, settings.expiration, settings.largest)

    def open(self, record: ArtifactRecord) -> BufferedReader | None:
        """Return the whole artifact as an open file, `None` if it is not here.

        One that has not the recorded size and checksum is removed. The checksum is computed when this process opens
        a file for the first time.
        """
        path = self._path(record)
        if path is None:
            return None
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return None
        except OSError as error:
            self._warn(error)
            return None
        try:
            status = os.fstat(file.fileno())
            if self._is_whole(file, status, record):
                # A directory that cannot be written to may still be read from.
                with suppress(OSError):
                    os.utime(file.fileno(), ns=(time.time_ns(), status.st_mtime_ns))
                return file
        except OSError as error:
            self._warn(error)
            file.close()
            return None
        file.close()
        with suppress(OSError):
            path.unlink()
        return None

    def keep(self, record: ArtifactRecord, content: bytes) -> None:
        """Keep an artifact, and remove others that are too much with it."""
        path = self._path(record)
        if path is None or len(content) != record.size or record.size > self._largest:
            return
        try:
            self._write(path, content)
            self._expire(path)
        except OSError as error:
            self._warn(error)

    def _path(self, record: ArtifactRecord) -> Path | None:
        checksum = _CHECKSUM.fullmatch(record.checksum)
        if checksum is None:
            return None
        parts = (str(record.dataset_id), record.layout.component, checksum[1])
        return self._directory / "-".join(filter(None, parts))

    def _is_whole(self, file: BufferedReader, status: os.stat_result, record: ArtifactRecord) -> bool:
        if status.st_size != record.size:
            return False
        version = (status.st_ino, status.st_mtime_ns)
        name = os.path.basename(file.name)
        if self._verified.get(name) != version:
            found = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
            file.seek(0)
            if found != record.checksum:
                return False
            self._verified[name] = version
        return True

    def _write(self, path: Path, content: bytes) -> None:
        # Nobody else may read what this user was allowed to read.
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._directory / f".{secrets.token_hex(16)}.part"
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as sink:
                sink.write(content)
            os.replace(draft, path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise

    def _expire(self, newest: Path) -> None:
        """Remove what is too much, the file that was used longest ago first and the newest never."""
        kept = sorted(
            (each for each in _scan(self._directory) if each.path != str(newest)),
            key=lambda each: each.used_nsec,
        )
        left = CacheUse(len(kept), sum(each.size for each in kept))
        with suppress(FileNotFoundError):  # another process found that it is too much already
            left = CacheUse(left.files + 1, left.size + newest.stat().st_size)
        oldest_nsec = time.time_ns() - self._expiration.limit * 10**9
        for each in kept:
            exceeded = {
                CacheBound.FILES: left.files > self._expiration.limit,
                CacheBound.SIZE: left.size > self._expiration.limit,
                CacheBound.AGE: each.used_nsec < oldest_nsec,
            }
            if not exceeded[self._expiration.bound]:
                break
            Path(each.path).unlink(missing_ok=True)
            self._verified.pop(os.path.basename(each.path), None)
            left = CacheUse(left.files - 1, left.size - each.size)

    def _warn(self, error: OSError) -> None:
        if not self._warned.is_set():
            self._warned.set()
            _LOG.warning("The cache of artifacts in %s cannot be used: %s", self._directory, error)


def cache_use(directory: Path) -> CacheUse:
    """Return how much is kept in a directory; `OSError` if it cannot be read."""
    kept = list(_scan(directory))
    return CacheUse(len(kept), sum(each.size for each in kept))


def clear_cache(directory: Path) -> CacheUse:
    """Remove what is kept in a directory; return how much that was. `OSError` if it cannot be removed."""
    kept = list(_scan(directory))
    for each in kept:
        Path(each.path).unlink(missing_ok=True)
    return CacheUse(len(kept), sum(each.size for each in kept))


def _scan(directory: Path) -> Iterator[_Kept]:
    """Yield the files that are kept; remove drafts that a process left when it was killed."""
    try:
        entries = os.scandir(directory)
    except FileNotFoundError:
        return
    with entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if _KEPT.fullmatch(entry.name):
                    status = entry.stat(follow_symlinks=False)
                    yield _Kept(entry.path, status.st_size, status.st_atime_ns)
                elif _DRAFT.fullmatch(entry.name):
                    written = entry.stat(follow_symlinks=False).st_mtime
                    if written < time.time() - _ABANDONED_SECONDS:
                        os.unlink(entry.path)
