# SPDX-License-Identifier: BSD-3-Clause
"""Links from a directory of a store to files outside of it."""

from __future__ import annotations

__all__ = ["link_file"]

import errno
import os

from butler_model.artifact import TransferMode
from butler_model.errors import ArtifactExistsError, IngestPathError, UnsupportedOperationError

from .source_files import SourceFile

_NO_HARD_LINKS = {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.EMLINK}


def link_file(source: SourceFile, mode: TransferMode, directory: int, where: str, name: str) -> bool:
    """Link a file; return False if the same link, or the same file, is there already.

    Parameters
    ----------
    mode
        HARDLINK, SYMLINK or RELSYMLINK.
    directory, where
        Descriptor of the directory, and its path without links.

    Raises
    ------
    ArtifactExistsError
        Raised if something else has the name.
    UnsupportedOperationError
        Raised if there can be no hard link to the file.
    IngestPathError
        Raised if the file was replaced meanwhile.
    """
    target = source.real_path
    if mode is TransferMode.HARDLINK:
        return _hard_link(source, directory, name)
    if mode is TransferMode.RELSYMLINK:
        target = os.path.relpath(target, where)
    try:
        os.symlink(target, name, dir_fd=directory)
    except FileExistsError as error:
        if not _is_link_to(target, directory, name):
            raise _taken(name) from error
        return False
    return True


def _hard_link(source: SourceFile, directory: int, name: str) -> bool:
    try:
        os.link(source.real_path, name, dst_dir_fd=directory, follow_symlinks=False)
    except FileExistsError as error:
        if not _is_file(source, directory, name):
            raise _taken(name) from error
        return False
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        raise UnsupportedOperationError(
            f"There can be no hard link to {source.path!r:.300} ({os.strerror(error.errno)}); use transfer='copy' or "
            "'symlink'.",
            path=source.path[:300],
        ) from error
    if not _is_file(source, directory, name):
        # Linked by its name, which may lead elsewhere by now.
        os.unlink(name, dir_fd=directory)
        raise IngestPathError(
            f"{source.path!r:.300} was replaced while it was taken.", path=source.path[:300]
        )
    return True


def _is_file(source: SourceFile, directory: int, name: str) -> bool:
    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    return os.path.samestat(status, source.status)


def _is_link_to(target: str, directory: int, name: str) -> bool:
    try:
        return os.readlink(name, dir_fd=directory) == target
    except OSError:
        return False  # no link


def _taken(name: str) -> ArtifactExistsError:
    return ArtifactExistsError(
        f"There is another artifact under a key that ends in {name!r}; artifacts are never replaced.",
        key=name,
    )
