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
    """Reads artifacts, of those that it was told to expect the small ones many at a time."""

    def __init__(self, connection: Connection) -> None:
        self._datastore = connection.datastore
        self._limits = connection.info.limits
        self._source = ArtifactSource(connection)
        self._batches: dict[ArtifactRecord, list[Artifact]] = {}
        self._at_hand: dict[ArtifactRecord, bytes] = {}

    def expect(self, artifacts: Sequence[Artifact]) -> None:
        """Take note of artifacts that will be asked for next, about in this order."""
        batches = in_batches(artifacts, lambda artifact: artifact.record.size, self._limits)
        small = (batch for batch in batches if batch[0].record.size <= self._limits.inline_bytes)
        self._batches = {artifact.record: batch for batch in small for artifact in batch}
        self._at_hand = {}

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
            contents = self._datastore.read_batch(
                [each.grant for each in batch], [each.record for each in batch]
            )
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
