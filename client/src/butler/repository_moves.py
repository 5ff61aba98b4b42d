# SPDX-License-Identifier: BSD-3-Clause
"""The part of a butler that moves what one repository holds into another one."""

from __future__ import annotations

__all__ = ["RepositoryMoving"]

import os
from collections.abc import Collection
from typing import IO, Any

from .loading import EXPORT_FORMAT, ImportSummary, Progress, check_format, import_export
from .lookup import DatasetAccess, check_writeable


class RepositoryMoving(DatasetAccess):
    """The methods that take what a repository holds out of it, and into another one."""

    _writeable: bool

    def import_(
        self,
        *,
        directory: str | os.PathLike[str] | None = None,
        filename: str | os.PathLike[str] | IO[bytes] | IO[str] | None = None,
        format: str | None = None,
        transfer: str | None = "auto",
        skip_dimensions: Collection[str] = frozenset(),
        without_datastore: bool = False,
        progress: Progress | None = None,
    ) -> ImportSummary:
        """Put what an export holds into the repository; `butler.loading` tells the order and the errors.

        What the repository has already stays as it is: an import that was broken off can be repeated, and importing
        twice is importing once.

        Parameters
        ----------
        directory
            Where the artifacts are that it names.
        filename
            The YAML file, by itself or in ``directory``, or an open stream; ``export.yaml`` if absent.
        format
            ``yaml``, the only one.
        transfer
            How files get into the repository, as for `ingest`: ``copy``, ``move``, ``link``, ``hardlink``, ``symlink``,
            ``relsymlink``; ``direct``, to leave them where they are; `None`, if they are in the store already;
            ``auto``, `None` for files in the store, else ``link``, or ``copy`` where that cannot be.
        skip_dimensions
            Names of elements whose records are left out.
        without_datastore
            Whether files are left out, and the datasets registered without anything that is stored.
        progress
            Called with a phase, what of it is done, and its total.
        """
        check_writeable(self._writeable, "import into it")
        source: Any = f"export.{EXPORT_FORMAT}" if filename is None else filename
        if format is not None:
            check_format(format)
        if directory is not None and isinstance(source, str | os.PathLike) and not os.path.exists(source):
            source = os.path.join(directory, source)
        return import_export(
            self._connection,
            source,
            directory=directory,
            transfer=transfer,
            skip_dimensions=skip_dimensions,
            without_datastore=without_datastore,
            progress=progress,
        )
