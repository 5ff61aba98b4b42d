# SPDX-License-Identifier: BSD-3-Clause
"""Artifacts of one repository as bytes to be put into another."""

from __future__ import annotations

__all__ = ["SourceContents"]

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from butler_model.artifact import Artifact, ArtifactRecord

from .artifact_source import ArtifactSource, checked, in_batches
from .connect import Connection


class SourceContents:
    """Reads artifacts that will be asked for about in their order: small ones many at a time.

    Parameters
    ----------
    artifacts
        Those that will be asked for.
    """

    def __init__(self, connection: Connection, artifacts: Sequence[Artifact]) -> None:
        self._datastore = connection.datastore
        self._source = ArtifactSource(connection)
        limits = connection.info.limits
        self._batches = {
            artifact.record: batch
            for batch in in_batches(artifacts, lambda artifact: artifact.record.size, limits)
            for artifact in batch
            if artifact.record.size <= limits.inline_bytes
        }
        self._at_hand: dict[ArtifactRecord, bytes] = {}

    def content(self, artifact: Artifact) -> _SourceContent:
        """Return an artifact as a `butler.putting.Content`."""
        return _SourceContent(self, artifact)

    def pieces(self, artifact: Artifact) -> Iterator[bytes]:
        """Yield the bytes of an artifact, `butler.artifact_source.checked`."""
        record = artifact.record
        if record not in self._batches:
            return self._source.pieces(artifact)
        if record not in self._at_hand:
            batch = self._batches[record]
            contents = self._datastore.read_batch([each.grant for each in batch])
            self._at_hand = {each.record: content for each, content in zip(batch, contents, strict=True)}
        return checked(record, [self._at_hand[record]])


@dataclass(frozen=True, slots=True)
class _SourceContent:
    """An artifact of another repository; a `butler.putting.Content`."""

    contents: SourceContents
    artifact: Artifact

    @property
    def size(self) -> int:
        return self.artifact.record.size

    def chunks(self, size: int) -> Iterator[bytes]:
        for piece in self.contents.pieces(self.artifact):
            # The other service may take smaller pieces than this one gives.
            for start in range(0, len(piece), size):
                yield piece[start : start + size]
