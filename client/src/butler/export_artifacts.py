# SPDX-License-Identifier: BSD-3-Clause
"""The files of datasets that are exported: what their paths are in the export, and how they get there."""

from __future__ import annotations

__all__ = ["ExportArtifacts", "check_export_transfer"]

import os
from collections.abc import Sequence
from pathlib import Path

from butler_model.artifact import DIRECT_STORE, ArtifactRecord
from butler_model.dataset import DatasetRef
from butler_model.errors import UnsupportedOperationError
from butler_model.file_uri import file_uri
from butler_model.placement import Placement
from butler_model.ports import FoundDataset

from .connect import Connection
from .retrieval import differs, plan_retrieval, store_path

_COPYING = ("auto", "copy")
_LINKING = ("hardlink", "link", "relsymlink", "symlink")
_TRANSFERS = (*_COPYING, *_LINKING, "direct", None)


def check_export_transfer(transfer: str | None, directory: object) -> None:
    """Check how files are to be exported.

    Raises
    ------
    TypeError
        Raised for ``move``, and if there is no directory to transfer to.
    UnsupportedOperationError
        Raised if there is no such way.
    """
    if transfer == "move":
        raise TypeError("An export leaves the repository as it is, so transfer cannot be 'move'; use 'copy'.")
    if transfer not in _TRANSFERS:
        raise UnsupportedOperationError(
            f"There is no transfer {transfer!r:.80} of exports; use one of {', '.join(map(repr, _TRANSFERS))}.",
            transfer=str(transfer)[:80],
        )
    if transfer is not None and directory is None:
        raise TypeError(f"Files cannot be transferred ({transfer!r}) without a directory; give one.")


class ExportArtifacts:
    """Brings the artifacts of datasets to the directory of an export.

    Parameters
    ----------
    transfer
        As `Butler.export` takes it; checked.
    """

    def __init__(self, connection: Connection, directory: Path | None, transfer: str | None) -> None:
        self._connection = connection
        self._directory = directory
        self._transfer = transfer
        info = connection.info
        self._placement = Placement(info.stores, info.universe)

    def transfer(self, datasets: Sequence[FoundDataset]) -> list[list[str]]:
        """Bring the files of datasets of one type to the directory; return, for each, their paths in the export.

        Raises
        ------
        ArtifactNotFoundError, ArtifactIntegrityError
            Raised if an artifact is gone, or is not what was stored.
        ArtifactExistsError
            Raised if a file of that name is there with other bytes.
        UnsupportedOperationError
            Raised if files are not to be copied and an artifact is no file that can be seen from here.
        OSError
            Raised if a file cannot be written.
        """
        if self._transfer is None:
            return [[artifact.record.key for artifact in found.artifacts] for found in datasets]
        if self._transfer == "direct":
            return [
                [file_uri(self._path_of(artifact.record)) for artifact in found.artifacts]
                for found in datasets
            ]
        paths = self._paths(datasets)
        if self._transfer in _LINKING:
            self._link(datasets, paths)
        else:
            self._copy(datasets, paths)
        return [[paths[artifact.record] for artifact in found.artifacts] for found in datasets]

    def _paths(self, datasets: Sequence[FoundDataset]) -> dict[ArtifactRecord, str]:
        outside = [f for f in datasets if any(a.record.store == DIRECT_STORE for a in f.artifacts)]
        placed = dict(zip([found.ref.id for found in outside], self._expanded(outside), strict=True))
        paths: dict[ArtifactRecord, str] = {}
        first: dict[tuple[str, str], str] = {}
        for found in datasets:
            for artifact in found.artifacts:
                record = artifact.record
                ref = placed.get(found.ref.id)
                if ref is None or record.store != DIRECT_STORE:
                    path = store_path(found, record)
                else:
                    # It never had a path below a store; it gets the one that it would have.
                    path = self._placement.place(ref, record.layout).key
                # Datasets that share a file have it under the name that it has for the first of them.
                paths[record] = first.setdefault((record.store, record.key), path)
        return paths

    def _expanded(self, datasets: Sequence[FoundDataset]) -> list[DatasetRef]:
        """Return refs of datasets of one type whose data IDs have records."""
        if not datasets:
            return []
        refs = [found.ref for found in datasets]
        group = refs[0].datasetType.dimensions
        expand = self._connection.registry.dimension_records.expand
        data_ids = expand(group, [ref.dataId.mapping for ref in refs])
        return [
            DatasetRef(ref.datasetType, data_id, ref.run, id=ref.id)
            for ref, data_id in zip(refs, data_ids, strict=True)
        ]

    def _copy(self, datasets: Sequence[FoundDataset], paths: dict[ArtifactRecord, str]) -> None:
        assert self._directory is not None
        stored = [(found, None) for found in datasets if found.artifacts]
        plan_retrieval(
            self._connection, stored, self._directory, lambda found, record: paths[record], overwrite=False
        ).write()

    def _link(self, datasets: Sequence[FoundDataset], paths: dict[ArtifactRecord, str]) -> None:
        assert self._directory is not None
        for record, path in paths.items():
            source = os.path.realpath(self._path_of(record))
            target = self._directory.absolute() / path
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._make_link(source, target)
            except FileExistsError:
                if not os.path.samefile(source, target):
                    raise differs(target) from None

    def _make_link(self, source: str, target: Path) -> None:
        if self._transfer == "relsymlink":
            os.symlink(os.path.relpath(source, os.path.realpath(target.parent)), target)
            return
        if self._transfer in ("hardlink", "link"):
            try:
                os.link(source, target)
                return
            except FileExistsError:
                raise
            except OSError:
                if self._transfer == "hardlink":
                    raise
        os.symlink(source, target)

    def _path_of(self, record: ArtifactRecord) -> str:
        path = self._connection.file_of(record)
        if path is None:
            raise UnsupportedOperationError(
                f"{self._connection.locate(record)!r:.300} is no file that can be seen from here, so it cannot be "
                f"exported with transfer={self._transfer!r}; use 'copy'.",
                transfer=str(self._transfer),
            )
        return path
