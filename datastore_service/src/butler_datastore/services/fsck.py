# SPDX-License-Identifier: BSD-3-Clause
"""Comparing what the registry knows with what a store holds.

It takes three looks: at the registry, at the store, and at the registry again. What appears or goes away meanwhile is
told apart from what is wrong: an artifact is dark if it is in neither of the registry's answers and has been in the
store for longer than any put lasts; lost if it is in both and not in the store, to which a last look is taken.
"""

from __future__ import annotations

__all__ = ["StoreInspection"]

import itertools
import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace

from butler_datastore.stores.store import Store
from butler_model.artifact import DIRECT_STORE, sha256
from butler_model.errors import (
    ArtifactIntegrityError,
    ArtifactNotFoundError,
    ButlerError,
    IngestPathError,
)
from butler_model.ports import (
    ArtifactLedger,
    Finding,
    FindingKind,
    InspectionProgress,
    KnownArtifact,
    Ownership,
)

_LOGGER = logging.getLogger(__name__)

_PAGE = 10_000
_PROGRESS_EVERY = 1_000
_PROGRESS_BYTES = 2**30
_LAST_CHARACTER = "~"
"""No key has one after it."""

Known = tuple[str, list[KnownArtifact]]
"""A key, and all that is known under it."""


@dataclass(slots=True)
class _Suspects:
    """What the first two looks found, by key; the size is that in the store."""

    dark: dict[str, int] = field(default_factory=dict)
    wrong: set[str] = field(default_factory=set)


class StoreInspection:
    """Inspects one store of a repository.

    Parameters
    ----------
    guard_seconds
        For how long an artifact must have been in the store to count as dark.
    reserved
        Keys that are no artifacts, but files of the repository itself.
    of_others
        Gives the keys of what is there and belongs to other stores or repositories.
    """

    def __init__(
        self,
        name: str,
        store: Store,
        ledger: ArtifactLedger,
        *,
        guard_seconds: int,
        reserved: Collection[str],
        of_others: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._name = name
        self._store = store
        self._ledger = ledger
        self._guard_seconds = guard_seconds
        self._reserved = frozenset(reserved)
        self._of_others = of_others
        self._inspected = 0
        self._read = 0

    def inspect(self, *, checksums: bool, repair: bool) -> Iterator[InspectionProgress]:
        """Look, and yield what is found; see `butler_model.ports.Housekeeping.fsck`."""
        suspects = _Suspects()
        told = 0
        for key, artifacts, size, age in self._looks():
            if key in self._reserved:
                continue
            self._inspected += 1
            if size is not None and not artifacts:
                if age >= self._guard_seconds:
                    suspects.dark[key] = size
            elif self._is_wrong(key, artifacts, size, checksums=checksums):
                suspects.wrong.add(key)
            if self._inspected % _PROGRESS_EVERY == 0 or self._read - told >= _PROGRESS_BYTES:
                told = self._read
                yield self._progress()
        if suspects.dark or suspects.wrong:
            for finding in self._confirmed(suspects, checksums=checksums):
                if not repair or finding.kind is not FindingKind.DARK:
                    yield self._progress(finding)
                elif not self._is_known(finding.key):
                    # Else a put that began after the last look may have found its bytes there.
                    yield self._progress(self._repaired(finding))
        yield self._progress()

    def _looks(self) -> Iterator[tuple[str, list[KnownArtifact], int | None, float]]:
        """Yield each key of the registry or the store, what is known of it, and its size and age in the store."""
        if self._name == DIRECT_STORE:
            # It lists nothing, so each file is looked at.
            for key, artifacts in self._known():
                yield key, artifacts, self._size(key)[0], 0.0
            return
        known, listed = self._known(), self._store.listing()
        expected, found = next(known, None), next(listed, None)
        while expected is not None or found is not None:
            if found is None or (expected is not None and expected[0] < found.key):
                assert expected is not None
                yield (*expected, None, 0.0)
                expected = next(known, None)
            elif expected is None or found.key < expected[0]:
                yield found.key, [], found.size, found.age_seconds
                found = next(listed, None)
            else:
                yield (*expected, found.size, found.age_seconds)
                expected, found = next(known, None), next(listed, None)

    def _known(self) -> Iterator[Known]:
        after = ""
        while page := self._ledger.known(self._name, after=after, limit=_PAGE):
            for key, artifacts in itertools.groupby(page, key=lambda artifact: artifact.key):
                yield key, list(artifacts)
            after = page[-1].key

    def _is_known(self, key: str) -> bool:
        before = key[:-1] + chr(ord(key[-1]) - 1) + _LAST_CHARACTER
        return any(artifact.key == key for artifact in self._ledger.known(self._name, after=before, limit=1))

    def _is_wrong(
        self, key: str, artifacts: list[KnownArtifact], size: int | None, *, checksums: bool
    ) -> bool:
        live = [artifact for artifact in artifacts if artifact.ownership is Ownership.LIVE]
        if any(artifact.size != size for artifact in live):
            return True
        return checksums and bool(live) and any(self._damage(artifact) for artifact in live[:1])

    def _damage(self, artifact: KnownArtifact) -> str:
        """Read an artifact; return what is wrong with its content, nothing if all is well."""
        try:
            checksum = sha256(self._counted(artifact))
        except (ArtifactNotFoundError, ArtifactIntegrityError) as error:
            return error.message
        if checksum == artifact.checksum:
            return ""
        return f"it has the checksum {checksum}, but {artifact.checksum} was recorded"

    def _counted(self, artifact: KnownArtifact) -> Iterator[bytes]:
        for chunk in self._store.read(artifact.key, 0, None, size=artifact.size):
            self._read += len(chunk)
            yield chunk

    def _confirmed(self, suspects: _Suspects, *, checksums: bool) -> Iterator[Finding]:
        """Look at the registry again, and at the store for what is still wrong then."""
        for key, artifacts in self._known():
            suspects.dark.pop(key, None)
            if key in suspects.wrong:
                for artifact in artifacts:
                    if artifact.ownership is Ownership.LIVE:
                        yield from self._judged(artifact, checksums=checksums)
        for key in self._of_others() if suspects.dark else ():
            suspects.dark.pop(key, None)
        for key, size in suspects.dark.items():
            yield Finding(FindingKind.DARK, self._name, key, None, size, None)

    def _judged(self, artifact: KnownArtifact, *, checksums: bool) -> Iterator[Finding]:
        size, why = self._size(artifact.key)
        if size is None:
            self._store.presence.check()
        kind = FindingKind.LOST if size is None else FindingKind.MISMATCHED
        if size == artifact.size:
            why = self._damage(artifact) if checksums else ""
            if not why:
                return
        yield Finding(kind, self._name, artifact.key, artifact.dataset_id, size, artifact.size, why)

    def _size(self, key: str) -> tuple[int | None, str]:
        """Return the length of an artifact, `None` if it is not there, and why if more can be said."""
        try:
            return self._store.size(key), ""
        except IngestPathError as error:
            return None, error.message

    def _repaired(self, finding: Finding) -> Finding:
        try:
            moved = self._store.quarantine(finding.key)
        except (ButlerError, OSError) as error:
            # The next one may be where this can be done.
            return replace(finding, detail=f"it cannot be moved to quarantine: {error}")
        _LOGGER.info("%s of store %s was moved to quarantine", finding.key, self._name)
        return replace(finding, repaired=moved)

    def _progress(self, *findings: Finding) -> InspectionProgress:
        return InspectionProgress(self._inspected, self._read, None, findings)
