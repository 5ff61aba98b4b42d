# SPDX-License-Identifier: BSD-3-Clause
"""The upkeep of a store in a directory: what is done to many of its files at a time."""

from __future__ import annotations

__all__ = ["PosixUpkeep", "sweep_files"]

import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from uuid import uuid4

from butler_model.errors import ButlerError, InvalidNameError
from butler_model.path_template import check_key

from .directories import DirectoryTree
from .places import Place, if_there, place_of
from .posix_presence import STAGING
from .store import Listed
from .threads import SYNC_THREADS, side_by_side

_UNLINK_THREADS = 8
_TOGETHER = 8
"""So many files a thread removes before it opens a directory again."""
# No key begins with a dot, so nothing in here can be taken for an artifact.
_QUARANTINE = ".quarantine"
_KEPT_OF_NAME = 200
"""Of a name of up to 255 bytes, what stays when it gets an end of its own."""


class PosixUpkeep:
    """Works on the files below a root.

    Parameters
    ----------
    size
        Gives the length of the artifact that has a key, through a link if need be.
    check_there
        Raises `ServiceUnavailableError` if the root is not there, so that what is not found proves nothing.
    """

    def __init__(
        self,
        tree: DirectoryTree,
        size: Callable[[str], int | None],
        check_there: Callable[[], None],
        *,
        durable: bool,
    ) -> None:
        self._tree = tree
        self._size = size
        self._check_there = check_there
        self._durable = durable

    def delete_many(self, keys: Sequence[str]) -> dict[str, Exception]:
        """Remove files, a few of one directory together; see `Store.delete_many`.

        To remove a file that is on the disk is mostly waiting for the file system, so threads do it side by side. The
        disk is waited for at the end, for all directories at once: a file system writes down together what was done
        before, so to wait for one after the other takes as many times longer.

        What was below a directory that somebody moved elsewhere, with a link in its place, is not gone, but nothing is
        removed over a link.
        """
        groups: dict[tuple[str, ...], list[Place]] = {}
        for place in map(place_of, keys):
            groups.setdefault(place.directory, []).append(place)
        failed: dict[str, Exception] = {}
        some = [
            group[at : at + _TOGETHER] for group in groups.values() for at in range(0, len(group), _TOGETHER)
        ]
        for each in side_by_side(self._unlinked, some, _UNLINK_THREADS):
            failed.update(each)
        if self._durable:
            for directory, error in side_by_side(self._settled, list(groups), SYNC_THREADS):
                # Whether the disk has it is unknown, so all of them are tried again.
                failed.update({place.key: error for place in groups[directory] if error is not None})
        return failed

    def _unlinked(self, group: Sequence[Place]) -> dict[str, Exception]:
        """Remove files of one directory; return those that could not be removed, and why."""
        failed: dict[str, Exception] = {}
        absent = {place.key for place in group}
        try:
            with if_there(), self._tree.opened(group[0].directory) as directory:
                for place in group:
                    try:
                        with if_there():
                            os.unlink(place.name, dir_fd=directory)
                            absent.discard(place.key)
                    except OSError as error:
                        failed[place.key] = error
            if absent:
                self._check_there()
                self._tree.check_no_link(group[0].directory)
        except (ButlerError, OSError) as error:
            failed |= dict.fromkeys(absent, error)
        return failed

    def _settled(self, directory: tuple[str, ...]) -> tuple[tuple[str, ...], OSError | None]:
        """Wait until the disk has what became of a directory; return why that is not so, if it is not."""
        try:
            with if_there():
                self._tree.settle(directory)
        except OSError as error:
            return directory, error
        return directory, None

    def listing(self) -> Iterator[Listed]:
        """Yield all files, and links to files that readers would follow; see `Store.listing`."""
        self._check_there()
        yield from self._below((), self._now())
        # What is not listed is not there, unless the disk went away meanwhile.
        self._check_there()

    def _below(self, path: tuple[str, ...], now: float) -> Iterator[Listed]:
        entries: list[tuple[str, os.stat_result]] = []
        with if_there(), self._tree.opened(path) as descriptor:
            for name in os.listdir(descriptor):
                # Others may be removing them.
                with suppress(FileNotFoundError):
                    entries.append((name, os.stat(name, dir_fd=descriptor, follow_symlinks=False)))
        # So that "a.b" comes before what is in a directory "a", as it does among keys.
        entries.sort(key=lambda entry: entry[0] + "/" * stat.S_ISDIR(entry[1].st_mode))
        for name, status in entries:
            if not _is_plain(name):
                continue
            if stat.S_ISDIR(status.st_mode):
                yield from self._below((*path, name), now)
                continue
            key = "/".join((*path, name))
            size = status.st_size if stat.S_ISREG(status.st_mode) else self._size(key)
            if size is not None:
                # The time of the last change of the entry, not of the content: a file may be linked to its key when
                # it is old.
                yield Listed(key, size, now - status.st_ctime)

    def quarantine(self, key: str) -> bool:
        """Move a file below ``.quarantine``, where it keeps its path; see `Store.quarantine`."""
        place = place_of(key)
        with (
            if_there(),
            self._tree.opened(place.directory) as source,
            self._tree.made((_QUARANTINE, *place.directory)) as target,
        ):
            name = place.name
            if _exists(target, name):
                name = f"{name[:_KEPT_OF_NAME]}.{uuid4().hex}"
            os.rename(place.name, name, src_dir_fd=source, dst_dir_fd=target)
            if self._durable:
                os.fsync(target)
                os.fsync(source)
            return True
        return False

    def sweep(self, age_seconds: float) -> int:
        """Remove temporary files that nobody has written to for so long, by the clock of the file system."""
        with if_there(), self._tree.opened(STAGING) as staging:
            return sweep_files(staging, age_seconds)
        return 0

    def _now(self) -> float:
        """Return the time of the file system; of this machine if nothing can be written there."""
        with suppress(OSError), self._tree.opened(STAGING) as staging:
            os.utime(staging)
            return os.fstat(staging).st_mtime
        return time.time()


def sweep_files(directory: int, age_seconds: float) -> int:
    """Remove the files of a directory that are so old; return how many."""
    os.utime(directory)
    oldest = os.fstat(directory).st_mtime - age_seconds
    removed = 0
    for name in os.listdir(directory):
        with suppress(FileNotFoundError):
            if os.stat(name, dir_fd=directory, follow_symlinks=False).st_mtime < oldest:
                os.unlink(name, dir_fd=directory)
                removed += 1
    return removed


def _is_plain(name: str) -> bool:
    try:
        check_key(name)
    except InvalidNameError:
        return False
    return True


def _exists(directory: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
