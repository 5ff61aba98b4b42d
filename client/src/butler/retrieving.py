# SPDX-License-Identifier: BSD-3-Clause
"""The half of a butler that gives files instead of objects."""

from __future__ import annotations

__all__ = ["ArtifactRetrieving"]

import os
from collections.abc import Iterable

from butler_api.tracing import traced
from butler_model.dataset import DatasetRef

from .dataset_arguments import check_refs
from .loading import Progress
from .lookup import DatasetAccess
from .retrieval import ArtifactRetrieval, check_transfer, file_name, plan_retrieval, store_path


class ArtifactRetrieving(DatasetAccess):
    """The methods that write the files of datasets to a directory."""

    @traced("butler.retrieve_artifacts")
    def retrieve_artifacts(
        self,
        refs: Iterable[DatasetRef],
        destination: str | os.PathLike[str],
        *,
        transfer: str = "auto",
        preserve_path: bool = True,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> list[str]:
        """Write the files of datasets to a directory, byte for byte as they are stored.

        A file appears under its name when it is whole. One that is there already, with the same bytes, is left as it
        is: a call that was interrupted can be repeated.

        Parameters
        ----------
        refs
            Resolved refs; that of a component stands for the component's file, or for the file that it is part of.
        destination
            Directory to write to; made if it does not exist.
        transfer
            ``auto`` or ``copy``, which are the same.
        preserve_path
            Whether a file goes to the path that it has in its store, with directories, or beside all others.
        overwrite
            Whether a file that is there with other bytes is replaced.
        progress
            Called with a phase, what of it is done, and its total.

        Returns
        -------
        paths
            Absolute paths in the order of the refs. A dataset may have several files; one that several datasets share
            comes once.

        Raises
        ------
        DatasetNotFoundError, AmbiguousDatasetError
            Raised if there is no such dataset, or a ref is not resolved.
        ArtifactNotFoundError, ArtifactIntegrityError
            Raised if nothing is stored of a dataset, its artifact is gone, or it is not what was stored.
        ArtifactExistsError
            Raised before anything is written if a file is there with other bytes.
        InvalidRequestError
            Raised before anything is written if two files would have the same name, or ``transfer`` does not copy.
        InvalidNameError
            Raised before anything is written if a path would lead out of the directory.
        OSError
            Raised if a file cannot be written.
        """
        check_transfer(transfer)
        retrieval = self.plan_retrieval(
            refs, destination, preserve_path=preserve_path, overwrite=overwrite, progress=progress
        )
        return retrieval.write(progress)

    retrieveArtifacts = retrieve_artifacts

    def plan_retrieval(
        self,
        refs: Iterable[DatasetRef],
        destination: str | os.PathLike[str],
        *,
        preserve_path: bool = True,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> ArtifactRetrieval:
        """Return what `retrieve_artifacts` is to write, without writing; takes and raises the same."""
        wanted = check_refs(refs)
        found = self._finder.by_refs(wanted)
        parts = [(one, ref.datasetType.component()) for ref, one in zip(wanted, found, strict=True)]
        name_of = store_path if preserve_path else file_name
        return plan_retrieval(self._connection, parts, destination, name_of, overwrite, progress)
