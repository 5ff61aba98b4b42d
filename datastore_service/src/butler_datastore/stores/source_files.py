# SPDX-License-Identifier: BSD-3-Clause
"""Files outside of the stores, in the directories from which an operator lets the datastore take them."""

from __future__ import annotations

__all__ = ["SourceFile", "SourceFiles"]

import errno
import hashlib
import os
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import NoReturn

from butler_model.errors import ArtifactIntegrityError, ArtifactNotFoundError, IngestPathError

from .directories import DirectoryTree
from .open_files import READ_FLAGS, read_open_file

_NO_NAMES = {"", ".", ".."}
_ABSENT = {errno.ENOENT, errno.ENOTDIR}
_REFUSED = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENXIO,
    errno.ENODEV,
}


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A regular file that may be taken, open.

    Attributes
    ----------
    path
        As it was given.
    real_path
        Without links.
    """

    path: str
    real_path: str
    descriptor: int
    status: os.stat_result

    def chunks(self) -> Iterator[bytes]:
        """Yield its bytes; `ArtifactIntegrityError` if it becomes shorter meanwhile."""
        return read_open_file(self.descriptor, self.path, 0, self.status.st_size)

    def checksum(self) -> str:
        """Return its checksum as it is recorded."""
        digest = hashlib.sha256()
        for chunk in self.chunks():
            digest.update(chunk)
        return f"sha256:{digest.hexdigest()}"

    def check_size(self, expected: int | None) -> None:
        """Raise `ArtifactIntegrityError` if it has another size than somebody saw."""
        if expected is not None and expected != self.status.st_size:
            raise ArtifactIntegrityError(
                f"The file {self.path!r:.300} has {self.status.st_size} bytes here, but {expected} where it was "
                "named: it is another file, or is being written to.",
                key=self.path[:300],
            )


class SourceFiles:
    """Gives files below some directories, whatever links there are and are put there meanwhile.

    Links in a path are followed first; then the file is opened without following any, from the directory named by
    the operator on. So what is opened is below it.

    Parameters
    ----------
    roots
        Absolute paths. Below ``/``, everything that the process may read can be taken.
    kept
        The directories of stores, from which nothing may be moved; ``{repository}`` in one stands for a name.
    """

    def __init__(self, roots: Sequence[str], kept: Sequence[str] = ()) -> None:
        self.roots = tuple(roots)
        self.kept = tuple(kept)
        self._directories = _RealPaths()

    @contextmanager
    def opened(self, path: str) -> Iterator[SourceFile]:
        """Give a file.

        Raises
        ------
        ArtifactNotFoundError
            Raised if there is none.
        IngestPathError
            Raised if it is not below one of the directories, is no regular file, or may not be read.
        """
        source = self._open(path)
        try:
            yield source
        finally:
            os.close(source.descriptor)

    def of_one_call(self) -> AbstractContextManager[None]:
        """Look up the links of each directory once in the block, in this thread: thousands of files come from one.

        Not for longer, because a link that leads elsewhere by the next call names other files.
        """
        return self._directories.remembered()

    def follow(self, link: str) -> int | None:
        """Return a descriptor of the file that a link leads to, `None` if it is none that may be taken."""
        try:
            return self._open(link).descriptor
        except (ArtifactNotFoundError, IngestPathError):
            return None

    def check_outside(self, path: str, repository: str, what: str) -> None:
        """Raise `IngestPathError` for a path in a store: what is there may be the artifact of another dataset."""
        directory, name = os.path.split(path)
        real = os.path.join(self._directories.of(directory), name)
        for root in (os.path.realpath(root.replace("{repository}", repository)) for root in self.kept):
            if real.startswith(f"{root}/"):
                raise IngestPathError(
                    f"{path!r:.300} is in the store in {root!r:.300}, where other datasets may have it, so it is not "
                    f"{what}; use transfer='auto' to leave it there, or 'copy'.",
                    path=path[:300],
                )

    def remove(self, path: str) -> None:
        """Remove a file, or the link that ``path`` is; raises as `opened`."""
        directory, name = os.path.split(path)
        tree, parts = self._locate(directory)
        try:
            with tree.opened(parts) as descriptor:
                os.unlink(name, dir_fd=descriptor)
        except OSError as error:
            _refuse(path, error)

    def _open(self, path: str) -> SourceFile:
        try:
            return self._open_at(path, *self._locate(path))
        except (ArtifactNotFoundError, IngestPathError):
            if not self._directories.forget():
                raise
            # Something may have moved since a directory was looked up.
            return self._open_at(path, *self._locate(path))

    def _open_at(self, path: str, tree: DirectoryTree, parts: tuple[str, ...]) -> SourceFile:
        if not parts:
            raise _no_file(path)
        *directory, name = parts
        try:
            with tree.opened(tuple(directory)) as parent:
                # Looked at first: opening a device may do something.
                mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
                descriptor = os.open(name, READ_FLAGS, dir_fd=parent) if stat.S_ISREG(mode) else None
        except OSError as error:
            _refuse(path, error)
        if descriptor is not None:
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode):
                return SourceFile(path, os.path.join(tree.root, *directory, name), descriptor, status)
            os.close(descriptor)
        raise _no_file(path)

    def _locate(self, path: str) -> tuple[DirectoryTree, tuple[str, ...]]:
        """Return one of the directories, and the way from there to where a path leads."""
        try:
            real = self._real_path(path) if path.startswith("/") and "\0" not in path else ""
        except OSError as error:
            # A link that this process may not read.
            _refuse(path, error)
        if real and "/" in self.roots:
            # Nothing that a link could lead out of.
            return DirectoryTree(os.path.dirname(real)), tuple(filter(None, [os.path.basename(real)]))
        for root in map(self._directories.of, self.roots):
            if real == root or real.startswith(f"{root}/"):
                return DirectoryTree(root), tuple(filter(None, real[len(root) :].split("/")))
        raise IngestPathError(
            f"{path!r:.300} is in none of the directories that the datastore takes files from: "
            f"{', '.join(self.roots) or 'there is none'}. Put the file there, upload it with transfer='copy', or ask "
            "the operator for another entry in ingest_roots.",
            path=path[:300],
        )

    def _real_path(self, path: str) -> str:
        directory, name = os.path.split(path)
        real = os.path.join(self._directories.of(directory), name)
        return os.path.realpath(path) if name in _NO_NAMES or os.path.islink(real) else real


class _RealPaths(threading.local):
    """Where the links of directories lead; remembered by a thread only while it is told to."""

    known: dict[str, str] | None = None

    @contextmanager
    def remembered(self) -> Iterator[None]:
        """Look up each directory once."""
        self.known = {}
        try:
            yield
        finally:
            self.known = None

    def of(self, directory: str) -> str:
        """Return a directory's path without links."""
        if self.known is None:
            return os.path.realpath(directory)
        if directory not in self.known:
            self.known[directory] = os.path.realpath(directory)
        return self.known[directory]

    def forget(self) -> bool:
        """Look up everything anew; return whether anything was remembered."""
        if not self.known:
            return False
        self.known.clear()
        return True


def _no_file(path: str) -> IngestPathError:
    return IngestPathError(f"{path!r:.300} is no regular file.", path=path[:300])


def _refuse(path: str, error: OSError) -> NoReturn:
    if error.errno in _ABSENT:
        raise ArtifactNotFoundError(
            f"There is no file {path!r:.300} where the datastore runs.", path=path[:300]
        ) from error
    if error.errno in _REFUSED:
        raise IngestPathError(
            f"{path!r:.300} cannot be taken by the datastore: {os.strerror(error.errno)}.", path=path[:300]
        ) from error
    raise error
