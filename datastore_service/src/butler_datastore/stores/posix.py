# SPDX-License-Identifier: BSD-3-Clause
"""A store in a directory of a POSIX file system."""

from __future__ import annotations

__all__ = ["PosixStore"]

import errno
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from uuid import uuid4

from butler_model.artifact import TransferMode, sha256
from butler_model.errors import ArtifactNotFoundError, ButlerError
from butler_model.failpoints import reach

from .directories import DirectoryTree
from .disk_full import full_store_reported
from .links import link_file
from .open_files import READ_FLAGS, check_open_size, measure_open_file, read_open_file
from .places import Place, by_directory, if_there, no_way_reported, place_of
from .posix_presence import NOTHING_KNOWN, STAGING, Holdings, RootPresence
from .posix_upkeep import PosixUpkeep, sweep_files
from .presence import Presence
from .source_files import SourceFile, SourceFiles
from .staged_files import StagedFile, link_staged, remove_staged
from .store import (
    Gate,
    Listed,
    StoreCapabilities,
    Stored,
    check_no_members,
    end_of_range,
    no_gate,
    within_limit,
)
from .threads import SYNC_THREADS, side_by_side
from .uploads import discard_uploads, forget_upload, kept_of_upload, upload_name, uploading

_STALE_SECONDS = 86_400
_SWEEP_SECONDS = 3_600
_STAGE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class PosixStore:
    """Artifacts as files below a root directory.

    An artifact is written to a temporary file, and when it is complete linked to its key, which fails if the
    key is taken. What a killed process leaves behind is such a temporary file; those that nobody has written
    to for a day are removed by the next writer.

    Parameters
    ----------
    root
        The directory; made when it is first written to.
    durable
        Whether to wait until the disk has what is acknowledged.
    shared
        Whether clients see the directory under the same path.
    sources
        The files to which links may lead; without them a link counts as nothing.
    holdings
        What should be in it, so that a root without its disk is no proof that artifacts are gone.
    """

    def __init__(
        self,
        root: str,
        *,
        durable: bool = True,
        shared: bool = False,
        sources: SourceFiles | None = None,
        holdings: Holdings = NOTHING_KNOWN,
    ) -> None:
        self._tree = DirectoryTree(root)
        self._durable = durable
        self._shared = shared
        self._sources = SourceFiles(()) if sources is None else sources
        self._sweep_due = 0.0
        self._presence = RootPresence(self._tree, self.size, holdings)
        self._upkeep = PosixUpkeep(self._tree, self.size, self._presence.check, durable=durable)

    @property
    def capabilities(self) -> StoreCapabilities:
        """In what this store differs from others."""
        return StoreCapabilities(
            persistent=True, nested=True, has_paths=self._shared, resumes=True, links=True
        )

    @property
    def presence(self) -> Presence:
        """Whether the root is there, and its disk is mounted."""
        return self._presence

    @property
    def root(self) -> str:
        """The absolute path of the directory below which each artifact has its key for its path."""
        return self._tree.root

    def write(
        self,
        key: str,
        chunks: Iterable[bytes],
        size_limit: int,
        members: tuple[str, ...] | None = None,
        gate: Gate = no_gate,
    ) -> Stored:
        """Store an artifact, which is seen whole or not at all; see `Store.write`."""
        check_no_members(members)
        return self._write(key, uuid4().hex, 0, chunks, size_limit, gate, keep=lambda: False)

    def write_upload(
        self,
        key: str,
        upload: str,
        offset: int,
        chunks: Iterable[bytes],
        size_limit: int,
        gate: Gate = no_gate,
    ) -> Stored:
        """Store an artifact, of which a part may be kept from before; see `ResumingStore.write_upload`."""
        name = upload_name(key, upload)
        # Nothing is kept once the artifact is there: another try may have stored it.
        stored = self._write(key, name, offset, chunks, size_limit, gate, keep=lambda: self.size(key) is None)
        with self._staging() as staging:
            forget_upload(staging, name)
        return stored

    def kept_of_upload(self, key: str, upload: str) -> int:
        """Return how many bytes of an upload are kept, from the first on."""
        with if_there(), self._tree.opened(STAGING) as staging:
            return kept_of_upload(staging, upload_name(key, upload))
        return 0

    def discard_uploads(self, key: str) -> None:
        """Remove what is kept of uploads to a key."""
        with if_there(), self._tree.opened(STAGING) as staging:
            discard_uploads(staging, key)

    def write_many(
        self,
        items: Sequence[tuple[str, bytes]],
        members: tuple[str, ...] | None = None,
        gate: Gate = no_gate,
    ) -> list[Stored]:
        """Store artifacts given as (key, content), all or none; see `Store.write_many`."""
        check_no_members(members)
        places = [place_of(key) for key, _ in items]
        batch = uuid4().hex
        names = [f"{batch}-{number}" for number in range(len(items))]
        linked: list[Place] = []
        outcomes: dict[int, Stored] = {}

        def stage(number: int) -> StagedFile:
            return self._stage(staging, names[number], items[number][1])

        with full_store_reported(), self._staging() as staging:
            try:
                staged = side_by_side(stage, range(len(items)), SYNC_THREADS if self._durable else 1)
                gate()
                for group in by_directory(places):
                    files = [(places[number], staged[number]) for number in group]
                    outcomes.update(zip(group, self._publish(staging, files, linked), strict=True))
                self._settle(places)
            except ButlerError:
                # A refusal, which a repeat of the call would meet too. Not so an I/O error: after that, a
                # repeat may have found these artifacts, and be acknowledged already.
                for place in linked:
                    self._delete(place)
                raise
            finally:
                remove_staged(staging, names)
        return [outcomes[number] for number in range(len(items))]

    def read(self, key: str, offset: int, limit: int | None, *, size: int) -> Iterator[bytes]:
        """Yield bytes of an artifact that must have ``size`` bytes; see `Store.read`."""
        end = end_of_range(offset, limit, size)
        with self._opened(key) as descriptor:
            if descriptor is None:
                raise ArtifactNotFoundError(f"There is no artifact {key!r} in its store.", key=key)
            check_open_size(descriptor, key, size)
            yield from read_open_file(descriptor, key, offset, end)

    def measure(self, key: str) -> Stored | None:
        """Return size and checksum of an artifact, `None` if it is not there."""
        with self._opened(key) as descriptor:
            return None if descriptor is None else measure_open_file(descriptor, key)

    def size(self, key: str, recorded: int | None = None) -> int | None:
        """Return the length of an artifact in bytes, `None` if it is not there."""
        place = place_of(key)
        with if_there(), self._tree.opened(place.directory) as directory:
            status = os.stat(place.name, dir_fd=directory, follow_symlinks=False)
            if not stat.S_ISLNK(status.st_mode):
                return status.st_size if stat.S_ISREG(status.st_mode) else None
            descriptor = self._follow(place)
            if descriptor is not None:
                try:
                    return os.fstat(descriptor).st_size
                finally:
                    os.close(descriptor)
        return None

    def link(self, key: str, source: SourceFile, mode: TransferMode, gate: Gate = no_gate) -> Stored:
        """Link a file of somebody else to a key; see `LinkingStore.link`."""
        place = place_of(key)
        checksum = source.checksum()
        with (
            full_store_reported(),
            no_way_reported(key),
            self._staging(),
            self._tree.made(place.directory) as directory,
        ):
            gate()
            created = link_file(source, mode, directory, self._real_path(place.directory), place.name)
        return Stored(source.status.st_size, checksum, created)

    def settle(self, keys: Iterable[str]) -> None:
        """Wait until the disk has these keys, and the files that have them: their writers may not have waited."""
        places = list(map(place_of, keys))
        if self._durable:
            side_by_side(self._sync, places, SYNC_THREADS)
        self._settle(places)

    def _sync(self, place: Place) -> None:
        with if_there(), self._tree.opened(place.directory) as directory:
            descriptor = os.open(place.name, READ_FLAGS, dir_fd=directory)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def delete(self, key: str) -> bool:
        """Remove an artifact; return whether it was there. Its directory stays, others may be using it."""
        return self._delete(place_of(key))

    def delete_many(self, keys: Sequence[str]) -> dict[str, Exception]:
        """Remove artifacts, as many as can be; see `Store.delete_many`."""
        return self._upkeep.delete_many(keys)

    def listing(self) -> Iterator[Listed]:
        """Yield all artifacts by key; see `Store.listing`."""
        return self._upkeep.listing()

    def quarantine(self, key: str) -> bool:
        """Move an artifact below ``.quarantine`` in the root; return whether it was there."""
        return self._upkeep.quarantine(key)

    def sweep(self, age_seconds: float) -> int:
        """Remove temporary files that nobody has written to for so long; return how many."""
        return self._upkeep.sweep(age_seconds)

    def _delete(self, place: Place) -> bool:
        with if_there(), self._tree.opened(place.directory) as directory:
            os.unlink(place.name, dir_fd=directory)
            if self._durable:
                os.fsync(directory)
            return True
        self._presence.check()
        return False

    @contextmanager
    def _opened(self, key: str) -> Iterator[int | None]:
        descriptor = self._open(place_of(key))
        try:
            yield descriptor
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _open(self, place: Place) -> int | None:
        with if_there(), self._tree.opened(place.directory) as directory:
            try:
                # Not blocking, because the opening of a pipe would.
                descriptor = os.open(place.name, READ_FLAGS, dir_fd=directory)
            except OSError as error:
                if error.errno != errno.ELOOP:
                    raise
                return self._follow(place)
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return descriptor
            os.close(descriptor)
        return None

    def _follow(self, place: Place) -> int | None:
        """Open the file that a link leads to, if it may lead there."""
        return self._sources.follow(os.path.join(self._real_path(place.directory), place.name))

    def _real_path(self, directory: tuple[str, ...]) -> str:
        return os.path.join(os.path.realpath(self._tree.root), *directory)

    def _write(
        self,
        key: str,
        name: str,
        offset: int,
        chunks: Iterable[bytes],
        size_limit: int,
        gate: Gate,
        *,
        keep: Callable[[], bool],
    ) -> Stored:
        place = place_of(key)
        with (
            full_store_reported(),
            self._staging() as staging,
            uploading(staging, name, key, offset, keep=keep) as file,
        ):
            file.fill(within_limit(chunks, key, size_limit, offset), durable=self._durable)
            staged = StagedFile(file.name, file.size, file.checksum)
            gate()
            stored = self._publish(staging, [(place, staged)], [])[0]
            self._settle([place])
            return stored

    def _stage(self, staging: int, name: str, content: bytes) -> StagedFile:
        with open(os.open(name, _STAGE_FLAGS, 0o666, dir_fd=staging), "wb") as file:
            reach("put.upload_0")
            file.write(content)
            reach("put.upload_all_before_fsync")
            if self._durable:
                file.flush()
                os.fsync(file.fileno())
        return StagedFile(name, len(content), sha256([content]))

    def _publish(
        self, staging: int, group: Sequence[tuple[Place, StagedFile]], linked: list[Place]
    ) -> list[Stored]:
        """Give staged files their keys, all in one directory; add to ``linked`` those that were free."""
        stored = []
        reach("put.after_fsync_before_rename")
        with no_way_reported(group[0][0].key), self._tree.made(group[0][0].directory) as directory:
            for place, staged in group:
                created = link_staged(staging, staged, directory, place)
                if created:
                    linked.append(place)
                stored.append(Stored(staged.size, staged.checksum, created))
        return stored

    def _settle(self, places: Iterable[Place]) -> None:
        """Wait until the disk has the keys, new or not: whoever wrote an older one may not have waited."""
        reach("put.after_rename_before_dirsync")
        if self._durable:
            self._tree.settle_all({place.directory for place in places})

    @contextmanager
    def _staging(self) -> Iterator[int]:
        with self._tree.made(STAGING, self._presence.check_before_making) as staging:
            if time.monotonic() >= self._sweep_due:
                self._sweep_due = time.monotonic() + _SWEEP_SECONDS
                sweep_files(staging, _STALE_SECONDS)
            yield staging
