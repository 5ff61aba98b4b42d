# SPDX-License-Identifier: BSD-3-Clause
"""Directories below a root, reached from one to the next so that no symbolic link is ever followed."""

from __future__ import annotations

__all__ = ["DirectoryTree"]

import errno
import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .threads import SYNC_THREADS, side_by_side

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_BELOW_FLAGS = _FLAGS | os.O_NOFOLLOW
_MOST_REMEMBERED = 10_000
_SETTLED_IN_TURN = 4


class DirectoryTree:
    """The directories of one store; each is named by the parts of its path from the root.

    A path that was checked may lead elsewhere a moment later, so none is checked: each directory is opened by
    its name in the one above it. Only the root itself, which the operator named, may be reached over links.

    Parameters
    ----------
    root
        Need not exist until a directory is made.
    """

    def __init__(self, root: str) -> None:
        self.root = os.path.abspath(root)
        self._settled: set[tuple[str, ...]] = set()

    @contextmanager
    def opened(self, path: tuple[str, ...]) -> Iterator[int]:
        """Give a descriptor of a directory; FileNotFoundError or NotADirectoryError if there is none."""
        descriptor = self._open(path)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def made(self, path: tuple[str, ...], check: Callable[[], None] = lambda: None) -> Iterator[int]:
        """Give a descriptor of a directory, made if need be; NotADirectoryError if it is no directory.

        Before it is made ``check`` is called, and what it raises comes through.
        """
        try:
            descriptor = self._open(path)
        except FileNotFoundError:
            check()
            descriptor = self._make(path)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def check_no_link(self, path: tuple[str, ...]) -> None:
        """Raise `OSError` if the way to a directory leads over a link below the root."""
        for depth, part in enumerate(path):
            try:
                with self.opened(path[:depth]) as above:
                    status = os.stat(part, dir_fd=above, follow_symlinks=False)
            except (FileNotFoundError, NotADirectoryError):
                return
            if stat.S_ISLNK(status.st_mode):
                where = os.path.join(self.root, *path[: depth + 1])
                raise OSError(errno.ELOOP, "a link is in the way, and none is followed", where)

    def settle_all(self, paths: Collection[tuple[str, ...]]) -> None:
        """Wait until what is new in some directories is safe from a loss of power."""
        unsettled = self._unsettled(paths)
        if len(unsettled) <= _SETTLED_IN_TURN:
            # With the deepest a journal has what is above, too; threads would only begin later than that.
            for path in sorted(unsettled, key=len, reverse=True):
                self.settle(path)
        else:
            side_by_side(self.settle, unsettled, SYNC_THREADS)
        if len(self._settled) > _MOST_REMEMBERED:
            self._settled.clear()
        self._settled.update(path[:depth] for path in paths for depth in range(1, len(path) + 1))

    def settle(self, path: tuple[str, ...]) -> None:
        """Wait until the disk has the entries of a directory."""
        with self.opened(path) as descriptor:
            os.fsync(descriptor)

    def _unsettled(self, paths: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
        """Return directories and all above them in which an entry may be new.

        Somebody else may have made it, and not have come as far as settling it.
        """
        found = set(paths)
        for path in tuple(found):
            for depth in range(len(path), 0, -1):
                if path[:depth] not in self._settled:
                    found.add(path[: depth - 1])
        return list(found)

    def _open(self, path: tuple[str, ...]) -> int:
        descriptor = os.open(self.root, _FLAGS)
        try:
            for part in path:
                below = os.open(part, _BELOW_FLAGS, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _make(self, path: tuple[str, ...]) -> int:
        self._settled.difference_update(path[:depth] for depth in range(1, len(path) + 1))
        self._make_root()
        descriptor = os.open(self.root, _FLAGS)
        try:
            for part in path:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=descriptor)
                below = os.open(part, _BELOW_FLAGS, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _make_root(self) -> None:
        root = Path(self.root)
        missing = [path for path in (root, *root.parents) if not path.exists()]
        root.mkdir(parents=True, exist_ok=True)
        for path in missing:
            descriptor = os.open(path.parent, _FLAGS)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
