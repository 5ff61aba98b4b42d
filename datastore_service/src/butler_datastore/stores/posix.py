# SPDX-License-Identifier: BSD-3-Clause
"""A store in a directory of a POSIX file system."""

from __future__ import annotations

__all__ = ["PosixStore"]

import errno
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar
from uuid import uuid4

from butler_model.errors import (
    ArtifactExistsError,
    ArtifactIntegrityError,
    ArtifactNotFoundError,
    ButlerError,
    ConfigurationError,
    InvalidNameError,
    LimitExceededError,
    StoreFullError,
)
from butler_model.path_template import check_key

from .directories import DirectoryTree
from .store import CHUNK_BYTES, StoreCapabilities, Stored, end_of_range, within_limit
from .uploads import kept_of_upload, upload_name, uploading

_K = TypeVar("_K")
_T = TypeVar("_T")

# No key begins with a dot, so nothing in here can be taken for an artifact.
_STAGING = (".tmp",)
_STALE_SECONDS = 86_400
_SWEEP_SECONDS = 3_600
# fsync waits for the disk, and the file system joins those that wait at the same time.
_SYNC_THREADS = 16
_NAME_BYTES = 255
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_STAGE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_LINKS = {errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP}
_ABSENT = {errno.EISDIR, errno.ELOOP, errno.ENOENT, errno.ENOTDIR}


@dataclass(frozen=True, slots=True)
class _Place:
    """A key, taken apart."""

    key: str
    directory: tuple[str, ...]
    name: str


@dataclass(frozen=True, slots=True)
class _Staged:
    """A file that is complete, but has no key yet."""

    name: str
    size: int
    checksum: str


class PosixStore:
    """Artifacts as files below a root directory.

    An artifact is written to a temporary file, and when it is complete linked to its key, which fails if the
    key is taken. What a killed process leaves behind is such a temporary file; those that nobody has written
    to for a day are removed by the next writer.

    Parameters
    ----------
    root
        The directory; made when it is first written to.
    durable
        Whether to wait until the disk has what is acknowledged.
    """

    def __init__(self, root: str, *, durable: bool = True) -> None:
        self._tree = DirectoryTree(root)
        self._durable = durable
        self._sweep_due = 0.0

    @property
    def capabilities(self) -> StoreCapabilities:
        """In what this store differs from others."""
        return StoreCapabilities(persistent=True, resumes=True)

    def write(self, key: str, chunks: Iterable[bytes], size_limit: int) -> Stored:
        """Store an artifact, which is seen whole or not at all; see `Store.write`."""
        place = _place(key)
        staged_name = uuid4().hex
        with _full_store_reported(), self._staging() as staging:
            try:
                staged = self._stage(staging, staged_name, place, chunks, size_limit)
                stored = self._publish(staging, [(place, staged)], [])[0]
                self._settle([place])
                return stored
            finally:
                _remove(staging, [staged_name])

    def write_upload(
        self, key: str, upload: str, offset: int, chunks: Iterable[bytes], size_limit: int
    ) -> Stored:
        """Store an artifact, of which a part may be kept from before; see `ResumingStore.write_upload`."""
        place = _place(key)
        name = upload_name(key, upload)
        with (
            _full_store_reported(),
            self._staging() as staging,
            uploading(staging, name, key, offset) as file,
        ):
            file.fill(within_limit(chunks, key, size_limit, offset), durable=self._durable)
            staged = _Staged(file.name, file.size, file.checksum)
            stored = self._publish(staging, [(place, staged)], [])[0]
            self._settle([place])
            return stored

    def kept_of_upload(self, key: str, upload: str) -> int:
        """Return how many bytes of an upload are kept, from the first on."""
        with _if_there(), self._tree.opened(_STAGING) as staging:
            return kept_of_upload(staging, upload_name(key, upload))
        return 0

    def write_many(self, items: Sequence[tuple[str, bytes]]) -> list[Stored]:
        """Store artifacts given as (key, content), all or none; see `Store.write_many`."""
        places = [_place(key) for key, _ in items]
        batch = uuid4().hex
        names = [f"{batch}-{number}" for number in range(len(items))]
        linked: list[_Place] = []
        outcomes: dict[int, Stored] = {}

        def stage(number: int) -> _Staged:
            content = items[number][1]
            return self._stage(staging, names[number], places[number], [content], len(content))

        with _full_store_reported(), self._staging() as staging:
            try:
                staged = self._side_by_side(stage, range(len(items)))
                for group in _by_directory(places):
                    files = [(places[number], staged[number]) for number in group]
                    outcomes.update(zip(group, self._publish(staging, files, linked), strict=True))
                self._settle(places)
            except ButlerError:
                # A refusal, which a repeat of the call would meet too. Not so an I/O error: after that, a
                # repeat may have found these artifacts, and be acknowledged already.
                for place in linked:
                    self._delete(place)
                raise
            finally:
                _remove(staging, names)
        return [outcomes[number] for number in range(len(items))]

    def read(self, key: str, offset: int, limit: int | None, *, size: int) -> Iterator[bytes]:
        """Yield bytes of an artifact that must have ``size`` bytes; see `Store.read`."""
        end = end_of_range(offset, limit, size)
        descriptor = self._open(_place(key))
        if descriptor is None:
            raise ArtifactNotFoundError(f"There is no artifact {key!r} in its store.", key=key)
        try:
            actual = os.fstat(descriptor).st_size
            if actual != size:
                raise ArtifactIntegrityError(
                    f"The artifact {key!r} has {actual} bytes, but {size} were recorded.", key=key
                )
            while offset < end:
                chunk = os.pread(descriptor, min(CHUNK_BYTES, end - offset), offset)
                if not chunk:
                    raise ArtifactIntegrityError(f"The artifact {key!r} shrank while it was read.", key=key)
                offset += len(chunk)
                yield chunk
        finally:
            os.close(descriptor)

    def size(self, key: str) -> int | None:
        """Return the length of an artifact in bytes, `None` if it is not there."""
        place = _place(key)
        with _if_there(), self._tree.opened(place.directory) as directory:
            status = os.stat(place.name, dir_fd=directory, follow_symlinks=False)
            return status.st_size if stat.S_ISREG(status.st_mode) else None
        return None

    def delete(self, key: str) -> bool:
        """Remove an artifact; return whether it was there. Its directory stays, others may be using it."""
        return self._delete(_place(key))

    def _delete(self, place: _Place) -> bool:
        with _if_there(), self._tree.opened(place.directory) as directory:
            os.unlink(place.name, dir_fd=directory)
            if self._durable:
                os.fsync(directory)
            return True
        return False

    def _open(self, place: _Place) -> int | None:
        with _if_there(), self._tree.opened(place.directory) as directory:
            # Not blocking, because the opening of a pipe would.
            descriptor = os.open(place.name, _READ_FLAGS, dir_fd=directory)
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return descriptor
            os.close(descriptor)
        return None

    def _stage(
        self, staging: int, name: str, place: _Place, chunks: Iterable[bytes], size_limit: int
    ) -> _Staged:
        digest = hashlib.sha256()
        size = 0
        descriptor = os.open(name, _STAGE_FLAGS, 0o666, dir_fd=staging)
        with open(descriptor, "wb") as file:
            for chunk in chunks:
                size += len(chunk)
                if size > size_limit:
                    raise LimitExceededError(
                        f"The artifact {place.key!r} has more than the {size_limit} bytes that are allowed.",
                        key=place.key,
                        limit="size",
                    )
                digest.update(chunk)
                file.write(chunk)
            if self._durable:
                file.flush()
                os.fsync(descriptor)
        return _Staged(name, size, f"sha256:{digest.hexdigest()}")

    def _publish(
        self, staging: int, group: Sequence[tuple[_Place, _Staged]], linked: list[_Place]
    ) -> list[Stored]:
        """Give staged files their keys, all in one directory; add to ``linked`` those that were free."""
        stored = []
        try:
            with self._tree.made(group[0][0].directory) as directory:
                for place, staged in group:
                    created = _link(staging, staged, directory, place)
                    if created:
                        linked.append(place)
                    stored.append(Stored(staged.size, staged.checksum, created))
        except OSError as error:
            if error.errno not in {errno.ENOTDIR, errno.ELOOP}:
                raise
            key = group[0][0].key
            raise ArtifactExistsError(
                f"There can be no artifact {key!r}: something in its path is no directory.", key=key
            ) from error
        return stored

    def _settle(self, places: Iterable[_Place]) -> None:
        """Wait until the disk has the keys, new or not: whoever wrote an older one may not have waited."""
        if self._durable:
            directories = {place.directory for place in places}
            self._side_by_side(self._tree.settle, self._tree.unsettled(directories))
            self._tree.remember_settled(directories)

    def _side_by_side(self, work: Callable[[_K], _T], tasks: Sequence[_K]) -> list[_T]:
        """Do the tasks in a few threads if they wait for the disk.

        The threads end with the call, for a pool would be of no use to a process forked from this one.
        """
        threads = min(_SYNC_THREADS, len(tasks)) if self._durable else 1
        if threads < 2:
            return [work(task) for task in tasks]
        with ThreadPoolExecutor(threads) as pool:
            shares = [tasks[first::threads] for first in range(threads)]
            done = list(pool.map(lambda share: [work(task) for task in share], shares))
        return [done[number % threads][number // threads] for number in range(len(tasks))]

    @contextmanager
    def _staging(self) -> Iterator[int]:
        with self._tree.made(_STAGING) as staging:
            if time.monotonic() >= self._sweep_due:
                self._sweep_due = time.monotonic() + _SWEEP_SECONDS
                _sweep(staging)
            yield staging


def _place(key: str) -> _Place:
    *directory, name = check_key(key).split("/")
    if any(len(part) > _NAME_BYTES for part in (*directory, name)):
        raise InvalidNameError(
            f"{key!r:.300} has a part of more than {_NAME_BYTES} characters.", key=key[:300]
        )
    return _Place(key, tuple(directory), name)


def _by_directory(places: Sequence[_Place]) -> list[list[int]]:
    groups: dict[tuple[str, ...], list[int]] = {}
    for number, place in enumerate(places):
        groups.setdefault(place.directory, []).append(number)
    return list(groups.values())


def _link(staging: int, staged: _Staged, directory: int, place: _Place) -> bool:
    """Give a staged file its key; return False if the same bytes have it already."""
    try:
        os.link(staged.name, place.name, src_dir_fd=staging, dst_dir_fd=directory, follow_symlinks=False)
    except FileExistsError as error:
        if not _holds(directory, place.name, staged):
            raise ArtifactExistsError(
                f"There is another artifact under the key {place.key!r}; artifacts are never replaced.",
                key=place.key,
            ) from error
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        raise ConfigurationError(
            f"The artifact {place.key!r} cannot be linked to its place ({os.strerror(error.errno)}): a store "
            "must be on one file system, which has hard links.",
            key=place.key,
        ) from error
    return True


def _holds(directory: int, name: str, staged: _Staged) -> bool:
    """Return whether the file of that name has the bytes of the staged one."""
    with _if_there(), open(os.open(name, _READ_FLAGS, dir_fd=directory), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size != staged.size:
            return False
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}" == staged.checksum
    return False


def _remove(staging: int, names: Iterable[str]) -> None:
    for name in names:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=staging)


def _sweep(staging: int) -> None:
    """Remove what processes that are gone left behind, by the clock of the file system."""
    os.utime(staging)
    oldest = os.fstat(staging).st_mtime - _STALE_SECONDS
    for name in os.listdir(staging):
        with suppress(FileNotFoundError):
            if os.stat(name, dir_fd=staging, follow_symlinks=False).st_mtime < oldest:
                os.unlink(name, dir_fd=staging)


@contextmanager
def _if_there() -> Iterator[None]:
    """Leave the block if there is no such file; links and what is no file count as nothing."""
    try:
        yield
    except OSError as error:
        if error.errno not in _ABSENT:
            raise


@contextmanager
def _full_store_reported() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise StoreFullError(
            f"The store has no room left ({os.strerror(error.errno)}); tell its operator."
        ) from error
