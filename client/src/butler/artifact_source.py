# SPDX-License-Identifier: BSD-3-Clause
"""Whole artifacts, from the cache of this machine if they are there, else from the datastore."""

from __future__ import annotations

__all__ = ["ArtifactSource", "checked", "in_batches", "joined"]

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO, TypeVar

from butler_model.artifact import Artifact, ArtifactRecord
from butler_model.errors import ArtifactIntegrityError
from butler_model.repository import Limits

from .connect import Connection

T = TypeVar("T")


class ArtifactSource:
    """Gives artifacts that do not travel in batches; safe to share between threads."""

    def __init__(self, connection: Connection) -> None:
        self._datastore = connection.datastore
        self._cache = connection.cache
        self._piece_bytes = connection.info.limits.chunk_bytes

    def cached(self, artifact: Artifact) -> BinaryIO | None:
        """Return an artifact as an open file; `None` if it would have to be fetched."""
        return None if self._cache is None else self._cache.open(artifact.record)

    def content(self, artifact: Artifact) -> bytes:
        """Return an artifact, which is in the cache afterwards if there is one."""
        cached = self.cached(artifact)
        if cached is not None:
            with cached:
                return cached.read()
        content = joined(self._datastore.read(artifact.grant))
        if self._cache is not None:
            self._cache.keep(artifact.record, content)
        return content

    def pieces(self, artifact: Artifact) -> Iterator[bytes]:
        """Yield an artifact in pieces, `checked`, for a copy of it that is kept elsewhere than in the cache."""
        return checked(artifact.record, self._unchecked(artifact))

    def _unchecked(self, artifact: Artifact) -> Iterator[bytes]:
        cached = self.cached(artifact)
        if cached is None:
            yield from self._datastore.read(artifact.grant)
            return
        with cached:
            while piece := cached.read(self._piece_bytes):
                yield piece


def joined(pieces: Iterable[bytes]) -> bytes:
    """Return the pieces as one.

    Each is copied when it comes and let go: to keep all of them until the last takes memory that is new, twice as much
    of it, which costs more than the copying.
    """
    content = io.BytesIO()
    for piece in pieces:
        content.write(piece)
    return content.getvalue()


def checked(record: ArtifactRecord, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces of an artifact.

    Raises
    ------
    ArtifactIntegrityError
        Raised after the last piece if they are not what was stored.
    """
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
        yield piece
    found = f"sha256:{digest.hexdigest()}"
    if found != record.checksum:
        raise ArtifactIntegrityError(
            f"What the store gave for {record.key!r} has the checksum {found}, not {record.checksum}; "
            "get it again, and restore the artifact if that does not help.",
            key=record.key,
            dataset_id=str(record.dataset_id),
        )


def in_batches(items: Sequence[T], size_of: Callable[[T], int], limits: Limits) -> Iterator[list[T]]:
    """Cut artifacts into batches that a datastore takes; one that is too large for any is alone.

    Parameters
    ----------
    size_of
        Gives the length of an artifact in bytes.
    """
    batch: list[T] = []
    total = 0
    for item in items:
        size = size_of(item)
        full = len(batch) == limits.batch_items or total + size > limits.batch_bytes
        if batch and (full or size > limits.inline_bytes):
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += size
        if size > limits.inline_bytes:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch
