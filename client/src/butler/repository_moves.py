# SPDX-License-Identifier: BSD-3-Clause
"""The part of a butler that moves what one repository holds into another one."""

from __future__ import annotations

__all__ = ["RepositoryMoving"]

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from .export_artifacts import ExportArtifacts, check_export_transfer
from .export_context import RepositoryExport
from .export_writing import appearing_when_whole
from .loading import EXPORT_FORMAT, ImportSummary, Progress, check_format, import_export
from .lookup import DatasetAccess, check_writeable


class RepositoryMoving(DatasetAccess):
    """The methods that take what a repository holds out of it, and into another one."""

    _writeable: bool

    @contextmanager
    def export(
        self,
        *,
        directory: str | os.PathLike[str] | None = None,
        filename: str | os.PathLike[str] | None = None,
        format: str | None = None,
        transfer: str | None = None,
        progress: Progress | None = None,
    ) -> Iterator[RepositoryExport]:
        """Write an export: the block is given a `RepositoryExport`, which it tells what to export.

        Everything is written when the block ends; if it raises, nothing is. The YAML file has its name when it is
        whole and durable, and so has every other file. Such as are there already with the right bytes stay as they are,
        so an export that was broken off can be repeated.

        Parameters
        ----------
        directory
            Where files are written to; made if it does not exist.
        filename
            The YAML file, relative to ``directory`` if that is given; ``export.yaml`` if absent.
        format
            ``yaml``, the only one; what ``filename`` ends in if absent.
        transfer
            How the files of datasets get into ``directory``: ``copy`` or ``auto``, which are the same; ``hardlink``,
            ``symlink``, ``relsymlink``, and ``link`` for a hard link or, where there can be none, a symbolic one;
            ``direct``, to leave them, and name them by their URIs; `None`, to leave them, and name them as their store
            does. Services that share no files with this machine can only ``copy``.
        progress
            Called with a phase, what of it is done, and its total.

        Raises
        ------
        TypeError
            Raised for ``move``, for a ``transfer`` without directory, and without both filename and format.
        InvalidRequestError, UnsupportedOperationError
            Raised if there is no such format; no such transfer, or the artifacts cannot be transferred so.
        ArtifactExistsError
            Raised if a file is there with other bytes.
        ArtifactNotFoundError, ArtifactIntegrityError
            Raised if an artifact is gone, or is not what was stored.
        OSError
            Raised if something cannot be written.
        """
        if filename is None and format is None:
            raise TypeError("An export needs a filename or a format.")
        check_format(format or Path(str(filename)).suffix)
        check_export_transfer(transfer, directory)
        folder = None if directory is None else Path(directory)
        file = Path(f"export.{EXPORT_FORMAT}" if filename is None else filename)
        export = RepositoryExport(self._connection, self._finder)
        yield export
        artifacts = ExportArtifacts(self._connection, folder, transfer)
        with appearing_when_whole(file if folder is None else folder / file) as sink:
            export.write(sink, artifacts, progress)

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
