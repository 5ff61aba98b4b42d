# SPDX-License-Identifier: BSD-3-Clause
"""The part of a butler that moves what one repository holds into another one."""

from __future__ import annotations

__all__ = ["RepositoryMoving"]

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from butler_model.data_id import DataCoordinate
from butler_model.dataset import DatasetRef
from butler_model.errors import InvalidRequestError

from .connect import Connection
from .dataset_arguments import check_refs, several
from .dataset_transfers import DatasetTransfer
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

    def transfer_from(
        self,
        source_butler: DatasetAccess,
        source_refs: Iterable[DatasetRef],
        *,
        transfer: str = "auto",
        skip_missing: bool = True,
        register_dataset_types: bool = False,
        transfer_dimensions: bool = False,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> list[DatasetRef]:
        """Take datasets over from another repository, with their ids, data IDs and runs; runs are registered.

        Each batch is there wholly or not at all, and what is there already is left alone: a transfer that was broken
        off can be repeated. Tags, chains and ranges of validity are not taken over; an export takes those along.

        Parameters
        ----------
        source_butler
            A butler of the other repository, embedded or of a service.
        source_refs
            Resolved refs of it; that of a component stands for the whole.
        transfer
            ``copy``; ``hardlink``, ``symlink``, ``relsymlink``, ``link`` or ``direct``, as for `ingest`, if the
            artifacts of the source are files that can be seen from here; ``auto``, which is ``link`` where that can be,
            else ``copy``.
        skip_missing
            Whether to leave out datasets of which nothing is stored; else they are registered.
        register_dataset_types
            Whether to register dataset types that are not there.
        transfer_dimensions
            Whether to take over dimension records that are not there; else a missing one is an error.
        dry_run
            Whether only to look.
        progress
            Called with a phase, what of it is done, and its total.

        Returns
        -------
        refs
            Those datasets that are new here, or would be.

        Raises
        ------
        ConflictingDefinitionError
            Raised if another dataset has the type and data ID of one in its run, or a dataset type is not the same.
        MissingDatasetTypeError, CollectionTypeError
            Raised if there is no such dataset type; if there is a collection of another type by the name of a run.
        DataIdValueError, InconsistentDataIdError
            Raised if there are no dimension records, or others.
        AmbiguousDatasetError, DatasetNotFoundError
            Raised if a ref is not resolved, or is none of the source.
        IncompatibleVersionError
            Raised if the repositories have different dimension universes.
        InvalidRequestError, UnsupportedOperationError
            Raised if there is no such ``transfer``, or the artifacts cannot be transferred so.
        ArtifactNotFoundError, ArtifactIntegrityError
            Raised if an artifact of the source is gone, or is not what was stored.
        """
        work = self.plan_transfer(
            source_butler,
            transfer=transfer,
            skip_missing=skip_missing,
            register_dataset_types=register_dataset_types,
            dry_run=dry_run,
        )
        refs = check_refs(source_refs, "source_refs")
        if transfer_dimensions:
            work.transfer_records(ref.dataId for ref in refs)
        return work.transfer(refs, progress).refs

    def plan_transfer(
        self,
        source_butler: DatasetAccess,
        *,
        transfer: str = "auto",
        skip_missing: bool = True,
        register_dataset_types: bool = False,
        dry_run: bool = False,
    ) -> DatasetTransfer:
        """Return what does a `transfer_from`, and tells more of it; takes and raises the same."""
        check_writeable(self._writeable, "transfer datasets into it")
        return DatasetTransfer(
            _source(source_butler),
            self._connection,
            transfer=transfer,
            skip_missing=skip_missing,
            register_dataset_types=register_dataset_types,
            dry_run=dry_run,
        )

    def transfer_dimension_records_from(
        self, source_butler: DatasetAccess, source_refs: Iterable[DatasetRef | DataCoordinate]
    ) -> Mapping[str, int]:
        """Take over from another repository the dimension records of datasets or data IDs; those that are there stay.

        Returns
        -------
        counts
            How many are new here, by element.

        Raises
        ------
        DataIdValueError
            Raised if a data ID has no records in the source.
        IncompatibleVersionError
            Raised if the repositories have different dimension universes.
        """
        check_writeable(self._writeable, "insert dimension records")
        work = DatasetTransfer(_source(source_butler), self._connection)
        given = several(source_refs, "source_refs", "refs of datasets or data IDs")
        return work.transfer_records(
            each if isinstance(each, DataCoordinate) else check_refs([each], "source_refs")[0].dataId
            for each in given
        )


def _source(butler: Any) -> Connection:
    if not isinstance(butler, DatasetAccess):
        raise InvalidRequestError(
            f"Datasets are taken over from another Butler, not from {butler!r:.80}; open it with Butler(…) first."
        )
    return butler._connection
