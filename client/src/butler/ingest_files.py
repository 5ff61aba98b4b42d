# SPDX-License-Identifier: BSD-3-Clause
"""Files on their way into a datastore, and out of where they were."""

from __future__ import annotations

__all__ = ["FileStoring", "Progress", "StoredFile", "cut"]

import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar
from uuid import UUID

from butler_model.artifact import FileToIngest, SignedReceipt, TransferMode
from butler_model.errors import (
    ArtifactIntegrityError,
    ArtifactNotFoundError,
    ButlerError,
    IngestPathError,
)
from butler_model.ports import Placing

from .connect import Connection
from .putting import PutProtocol, chunks_of_file
from .transfer_modes import Route

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")

_CALL_BYTES = 8 * 2**30
"""Most that a datastore is to read in one call, so that it ends in time."""


class Progress(Protocol):
    """Is told how far something is."""

    def __call__(self, phase: str, done: int, total: int, /) -> None:
        """Take note: of the ``total`` things of a phase, ``done`` are there."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that becomes an artifact.

    Attributes
    ----------
    grant
        Token of the grant to store it.
    dataset_id, component
        The first of its datasets, and the component that it holds, if it is one.
    checksum
        What it must have, if that is known.
    """

    route: Route
    grant: bytes
    dataset_id: UUID
    component: str = ""
    checksum: str = ""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file that can be read here; a `butler.putting.Content`.

    Attributes
    ----------
    status
        When it was looked at.
    """

    path: str
    status: os.stat_result

    @classmethod
    def at(cls, path: str) -> LocalFile:
        """Return a file.

        Raises
        ------
        ArtifactNotFoundError
            Raised if there is none.
        IngestPathError
            Raised if it is no regular file.
        """
        try:
            status = os.stat(path)
        except OSError as error:
            raise ArtifactNotFoundError(
                f"There is no file {path!r:.300} here ({error.strerror}), and the datastore does not take files from "
                "there itself.",
                path=path[:300],
            ) from error
        if not stat.S_ISREG(status.st_mode):
            raise IngestPathError(f"{path!r:.300} is no regular file.", path=path[:300])
        return cls(path, status)

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self.status.st_size

    def chunks(self, size: int) -> Iterator[bytes]:
        """Yield its bytes from the first on, in pieces of at most ``size``."""
        return chunks_of_file(self.path, size)

    def remove(self) -> None:
        """Remove the file; warn and leave it if it was changed."""
        now = os.stat(self.path)
        if (now.st_ino, now.st_size, now.st_mtime_ns) != (
            self.status.st_ino,
            self.status.st_size,
            self.status.st_mtime_ns,
        ):
            _LOG.warning("%r was changed while it was ingested, so it stays.", self.path)
            return
        os.unlink(self.path)


class FileStoring:
    """Stores the files of one call of ``ingest``."""

    def __init__(self, connection: Connection, progress: Progress | None) -> None:
        self._connection = connection
        self._datastore = connection.datastore
        self._limits = connection.info.limits
        self._progress = progress
        self._uploaded: dict[bytes, LocalFile] = {}

    def store(self, puts: Sequence[Sequence[StoredFile]], protocol: PutProtocol) -> list[list[bytes]]:
        """Have the files of each put adopted, taken or uploaded; return the receipts of each put."""
        total = sum(map(len, puts))
        done = 0
        receipts: list[list[bytes]] = []
        self._report(done, total)
        for files in puts:
            tokens: list[bytes] = []
            for part in cut(files, self._limits.batch_items, (_size_of, _CALL_BYTES)):
                tokens += self._store(part, protocol)
                done += len(part)
                self._report(done, total)
            receipts.append(tokens)
        return receipts

    def _store(self, files: Sequence[StoredFile], protocol: PutProtocol) -> list[bytes]:
        adopted = [file for file in files if file.route.placing is not Placing.TEMPLATE]
        receipts: list[SignedReceipt] = []
        if adopted:
            receipts += self._datastore.adopt([file.grant for file in adopted])
        taken = [file for file in files if file.route.mode is not None]
        if taken:
            receipts += self._datastore.ingest(list(map(_to_ingest, taken)))
        for file, receipt in zip((*adopted, *taken), receipts, strict=True):
            _check(file, receipt)
        uploaded = [f for f in files if f.route.placing is Placing.TEMPLATE and f.route.mode is None]
        local = {file.grant: LocalFile.at(file.route.path) for file in uploaded}
        self._uploaded |= local
        contents = ((file.grant, local[file.grant]) for file in uploaded)
        return [receipt.token for receipt in receipts] + protocol.upload(contents)

    def remove_sources(self, files: Iterable[StoredFile]) -> None:
        """Remove the sources of moved files whose datasets are committed; the log names those that have to stay."""
        moved = [file for file in files if file.route.removed]
        for file in moved:
            if file.grant in self._uploaded:
                try:
                    self._uploaded[file.grant].remove()
                except OSError as error:
                    _LOG.warning("%r is ingested, but could not be removed: %s", file.route.path, error)
        taken = [file for file in moved if file.route.mode is TransferMode.MOVE]
        for part in cut(taken, self._limits.batch_items, (_size_of, _CALL_BYTES)):
            try:
                self._finish(part)
            except (ButlerError, OSError) as error:
                # Committed is committed, whatever a disk says.
                _LOG.warning(
                    "%d files are ingested, but not all of them could be removed, from %r on: %s",
                    len(part),
                    part[0].route.path,
                    error,
                )

    def _finish(self, files: Sequence[StoredFile]) -> None:
        ids = [file.dataset_id for file in files]
        found = self._connection.registry.datasets.get(ids, want_artifacts=True)
        self._datastore.finish_moves(
            [
                (artifact.grant, file.route.path)
                for file, each in zip(files, found, strict=True)
                for artifact in (() if each is None else each.artifacts)
                if artifact.record.layout.component == file.component
            ]
        )

    def _report(self, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress("files", done, total)


def cut(items: Iterable[_T], most: int, *weights: tuple[Callable[[_T], int], int]) -> Iterator[list[_T]]:
    """Cut into parts of at most ``most`` items.

    Parameters
    ----------
    weights
        Pairs of what an item weighs, and what a part may weigh; one that is too heavy is alone.
    """
    part: list[_T] = []
    sums = [0] * len(weights)
    for item in items:
        new = [weigh(item) for weigh, _ in weights]
        heavy = any(s + n > limit for s, n, (_, limit) in zip(sums, new, weights, strict=True))
        if part and (heavy or len(part) == most):
            yield part
            part, sums = [], [0] * len(weights)
        part.append(item)
        sums = [s + n for s, n in zip(sums, new, strict=True)]
    if part:
        yield part


def _to_ingest(file: StoredFile) -> FileToIngest:
    assert file.route.mode is not None
    return FileToIngest(file.grant, file.route.path, file.route.mode, _visible_size(file))


def _check(file: StoredFile, receipt: SignedReceipt) -> None:
    found = receipt.receipt.checksum
    if file.checksum not in ("", found):
        raise ArtifactIntegrityError(
            f"{file.route.path!r:.300} has the checksum {found}, not {file.checksum}, with which it was stored; "
            "restore it.",
            path=file.route.path[:300],
            dataset_id=str(file.dataset_id),
        )


def _visible_size(file: StoredFile) -> int | None:
    try:
        return os.stat(file.route.path).st_size
    except OSError:
        return None


def _size_of(file: StoredFile) -> int:
    return _visible_size(file) or 0
