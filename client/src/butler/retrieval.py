# SPDX-License-Identifier: BSD-3-Clause
"""Files of datasets, written to a directory as they are stored.

First everything is planned and checked, then it is written: what is wrong with the request shows before there is a
file. A file is written under a name that nobody looks for (``.butler-….part``) and takes its own by a rename, once all
of it is on the disk. Whatever interrupts the writing, to repeat the call goes on from there.
"""

from __future__ import annotations

__all__ = [
    "ArtifactRetrieval",
    "NameOf",
    "RetrievalTarget",
    "check_transfer",
    "differs",
    "file_name",
    "plan_retrieval",
    "store_path",
]

import errno
import hashlib
import os
import secrets
import stat
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from butler_model.artifact import DIRECT_STORE, Artifact, ArtifactRecord
from butler_model.dataset import DatasetRef
from butler_model.errors import ArtifactExistsError, GrantError, InvalidNameError, InvalidRequestError
from butler_model.file_uri import path_of_file_uri
from butler_model.ports import FoundDataset

from .artifact_source import ArtifactSource, checked, in_batches
from .connect import Connection
from .loading import Progress
from .readings import not_stored, reading_of

NameOf: TypeAlias = Callable[[FoundDataset, ArtifactRecord], str]
"""Gives the path of the file of an artifact, relative to the directory that it is written to."""

_COPYING = ("auto", "copy")
_BATCH_FILES = 100
"""Largest number of files in a batch; they wait for the disk one after the other, batches at the same time."""

_PARALLEL = 4
"""How many batches, or large files, are on their way at once; each takes a few MiB of memory at most."""


@dataclass(frozen=True, slots=True)
class RetrievalTarget:
    """A file that is to be there.

    Attributes
    ----------
    ref
        The first of the datasets whose file it is.
    path
        Where it goes; absolute.
    is_present
        Whether it was there already, with the same bytes, when the retrieval was planned.
    """

    ref: DatasetRef
    artifact: Artifact
    path: Path
    is_present: bool = False

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self.artifact.record.size


def check_transfer(transfer: str) -> None:
    """Raise `InvalidRequestError` unless a transfer is one that copies."""
    if transfer not in _COPYING:
        raise InvalidRequestError(
            f"Files are copied out of a repository, with transfer 'copy' or 'auto', not {transfer!r:.80}: what is "
            "stored must stay as it is.",
            transfer=str(transfer)[:80],
        )


def plan_retrieval(
    connection: Connection,
    parts: Iterable[tuple[FoundDataset, str | None]],
    destination: str | os.PathLike[str],
    name_of: NameOf,
    overwrite: bool,
    progress: Progress | None = None,
) -> ArtifactRetrieval:
    """Find out what is to be written, and check all that can be checked before.

    Parameters
    ----------
    parts
        Datasets with their artifacts, and the name of a component, `None` for all of a dataset.
    name_of
        Where each file goes, such as `store_path`.
    destination, overwrite, progress
        See `Butler.retrieve_artifacts`, also for the errors.
    """
    root = Path(destination).absolute()
    targets = list(_targets(parts, root, name_of))
    _check_inside(root, targets)
    planned = []
    with ThreadPoolExecutor(_PARALLEL, "butler-compare") as pool:
        states = pool.map(lambda target: _has_bytes_of(target.path, target.artifact.record), targets)
        for target, state in zip(targets, states, strict=True):
            if state is False and not overwrite:
                raise differs(target.path)
            planned.append(replace(target, is_present=bool(state)))
            if progress is not None:
                progress("files compared", len(planned), len(targets))
    return ArtifactRetrieval(connection, tuple(planned), overwrite)


class ArtifactRetrieval:
    """A retrieval that was planned.

    Attributes
    ----------
    targets
        All files, in the order of the datasets.
    """

    def __init__(self, connection: Connection, targets: tuple[RetrievalTarget, ...], overwrite: bool) -> None:
        self.targets = targets
        self._connection = connection
        self._overwrite = overwrite
        self._source = ArtifactSource(connection)
        self._stopped = threading.Event()

    def write(self, progress: Progress | None = None) -> list[str]:
        """Write the files that are not there; return the paths of all. `Butler.retrieve_artifacts` has the errors."""
        self._stopped.clear()
        missing = [target for target in self.targets if not target.is_present]
        for parent in {target.path.parent for target in missing}:
            parent.mkdir(parents=True, exist_ok=True)
        limits = self._connection.info.limits
        limits = replace(limits, batch_items=min(limits.batch_items, _BATCH_FILES))
        batches = in_batches(missing, lambda target: target.size, limits)
        done = 0
        fetch = self._connection.registry.carried(self._fetch)
        with ThreadPoolExecutor(_PARALLEL, "butler-retrieve") as pool:
            under_way = [pool.submit(fetch, batch) for batch in batches]
            try:
                for future in as_completed(under_way):
                    done += future.result()
                    if progress is not None:
                        progress("files written", done, len(missing))
            except BaseException:
                self._stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [str(target.path) for target in self.targets]

    def _fetch(self, batch: Sequence[RetrievalTarget]) -> int:
        try:
            self._copy(batch)
        except GrantError:
            # A long retrieval outlives the grants that it was planned with.
            self._copy(self._granted_anew(batch))
        return len(batch)

    def _copy(self, batch: Sequence[RetrievalTarget]) -> None:
        if batch[0].size > self._connection.info.limits.inline_bytes:
            self._write_file(batch[0], self._source.pieces(batch[0].artifact))
            return
        artifacts = [target.artifact for target in batch]
        contents = self._connection.datastore.read_batch(
            [each.grant for each in artifacts], [each.record for each in artifacts]
        )
        for target, content in zip(batch, contents, strict=True):
            self._write_file(target, checked(target.artifact.record, [content]))

    def _granted_anew(self, batch: Sequence[RetrievalTarget]) -> list[RetrievalTarget]:
        ids = list({target.artifact.record.dataset_id for target in batch})
        datasets = self._connection.registry.datasets.get(ids, want_artifacts=True)
        artifacts = {each.record: each for found in datasets if found for each in found.artifacts}
        for target in batch:
            if target.artifact.record not in artifacts:
                raise not_stored(FoundDataset(target.ref))
        return [replace(target, artifact=artifacts[target.artifact.record]) for target in batch]

    def _write_file(self, target: RetrievalTarget, pieces: Iterable[bytes]) -> None:
        draft = target.path.parent / f".butler-{secrets.token_hex(16)}.part"
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as sink:
                for piece in pieces:
                    if self._stopped.is_set():
                        raise CancelledError
                    sink.write(piece)
                sink.flush()
                # Otherwise a crash of the machine could leave the name without the bytes.
                os.fsync(sink.fileno())
            if not self._overwrite and _has_bytes_of(target.path, target.artifact.record) is False:
                raise differs(target.path)  # it came meanwhile
            os.replace(draft, target.path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise


def _targets(
    parts: Iterable[tuple[FoundDataset, str | None]], root: Path, name_of: NameOf
) -> Iterator[RetrievalTarget]:
    taken: dict[Path, RetrievalTarget] = {}
    for found, component in parts:
        for artifact in _artifacts(found, component):
            record = artifact.record
            target = RetrievalTarget(found.ref, artifact, root / name_of(found, record))
            first = taken.setdefault(target.path, target)
            if first is target:
                yield target
            elif _place(first.artifact.record) != _place(record):
                raise InvalidRequestError(
                    f"{first.ref} (stored as {first.artifact.record.key!r}) and {found.ref} (stored as "
                    f"{record.key!r}) would both be written to {str(target.path)!r}; use preserve_path=True, or "
                    "another directory for one of them.",
                    path=str(target.path),
                )


def _place(record: ArtifactRecord) -> tuple[str, str]:
    return record.store, record.key


def _artifacts(found: FoundDataset, component: str | None) -> tuple[Artifact, ...]:
    """Return the artifacts of a dataset, or those that a component of it is read from."""
    if not found.artifacts:
        raise not_stored(found)
    return found.artifacts if component is None else reading_of(found, component).artifacts


def store_path(found: FoundDataset, record: ArtifactRecord) -> str:
    """Return the path that an artifact has in its store, or, if it is in none, in the file system.

    Raises `InvalidNameError` if it would lead out of a directory that it is relative to.
    """
    key = record.key
    if record.store == DIRECT_STORE:
        key = path_of_file_uri(key).lstrip("/")
    parts = key.split("/")
    if "\0" in key or any(part in ("", ".", "..") for part in parts):
        raise InvalidNameError(
            f"The artifact of dataset {record.dataset_id} has the key {record.key!r:.500}, which is no relative path "
            "inside of a directory.",
            key=record.key[:500],
            dataset_id=str(record.dataset_id),
        )
    return key


def file_name(found: FoundDataset, record: ArtifactRecord) -> str:
    """Return the last part of `store_path`."""
    return store_path(found, record).rpartition("/")[2]


def _check_inside(root: Path, targets: Sequence[RetrievalTarget]) -> None:
    """Raise `InvalidNameError` if a symbolic link leads from a directory of a target out of the root."""
    inside = root.resolve()
    parents: dict[Path, RetrievalTarget] = {target.path.parent: target for target in targets}
    for parent, target in parents.items():
        real = parent.resolve()
        if not real.is_relative_to(inside):
            raise InvalidNameError(
                f"{str(target.path)!r} would be written to {str(real)!r}, which is outside of {str(root)!r}; remove "
                "the symbolic link that leads there.",
                path=str(target.path),
            )


def _has_bytes_of(path: Path, record: ArtifactRecord) -> bool | None:
    """Return whether a path is a file with the bytes of an artifact; `None` if nothing is there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:  # a symbolic link
            return False
        raise
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size != record.size:
            return False
        with open(descriptor, "rb", closefd=False) as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}" == record.checksum
    finally:
        os.close(descriptor)


def differs(path: Path) -> ArtifactExistsError:
    """Return the error for a file that is there and has other bytes."""
    return ArtifactExistsError(
        f"{str(path)!r} is there already and is not what is stored; remove it, or ask to overwrite it.",
        path=str(path),
    )
