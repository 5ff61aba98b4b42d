# SPDX-License-Identifier: BSD-3-Clause
"""Files that are complete in the staging directory of a store, and get their keys."""

from __future__ import annotations

__all__ = ["StagedFile", "link_staged", "remove_staged"]

import errno
import hashlib
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from butler_model.errors import ArtifactExistsError, ConfigurationError, GrantError

from .open_files import READ_FLAGS
from .places import Place, if_there

_NO_LINKS = {errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP}


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A file that is complete, but has no key yet."""

    name: str
    size: int
    checksum: str


def link_staged(staging: int, staged: StagedFile, directory: int, place: Place) -> bool:
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
    except FileNotFoundError as error:
        if staged.name in os.listdir(staging):
            raise
        raise GrantError(
            f"The put of {place.key!r} was given up while it was stored.", key=place.key
        ) from error
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        raise ConfigurationError(
            f"The artifact {place.key!r} cannot be linked to its place ({os.strerror(error.errno)}): a store "
            "must be on one file system, which has hard links.",
            key=place.key,
        ) from error
    return True


def _holds(directory: int, name: str, staged: StagedFile) -> bool:
    """Return whether the file of that name has the bytes of the staged one."""
    with if_there(), open(os.open(name, READ_FLAGS, dir_fd=directory), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size != staged.size:
            return False
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}" == staged.checksum
    return False


def remove_staged(staging: int, names: Iterable[str]) -> None:
    for name in names:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=staging)
