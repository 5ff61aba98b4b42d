# SPDX-License-Identifier: BSD-3-Clause
"""From stored bytes to Python objects."""

from __future__ import annotations

__all__ = ["ArtifactReader"]

import io
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from butler_api.tracing import carrying_trace
from butler_model.artifact import Artifact
from butler_model.ports import Datastore

from .artifact_source import ArtifactSource, in_batches, joined
from .connect import Connection
from .readings import Reading

_RANGE_BUFFER = 64 * 1024
_BATCHES_AHEAD = 2


class ArtifactReader:
    """Reads datasets that were found together with their artifacts; safe to share between threads."""

    def __init__(self, connection: Connection) -> None:
        self._datastore = connection.datastore
        self._source = ArtifactSource(connection)
        self._limits = connection.info.limits

    def read(self, reading: Reading) -> object:
        """Return the object of a dataset, or of a component of it.

        Raises
        ------
        ArtifactNotFoundError, ArtifactIntegrityError
            Raised if an artifact is gone, or is not what was stored.
        StorageClassError
            Raised if nobody applies a parameter.
        FormatterError
            Raised if the bytes cannot be read.
        """
        if len(reading.artifacts) == 1 and reading.is_partial:
            (artifact,) = reading.artifacts
            if artifact.record.size > self._limits.inline_bytes:
                return self._read_partly(reading, artifact)
        return self.read_many([reading])[0]

    def read_many(self, readings: Sequence[Reading]) -> list[object]:
        """Return the objects of datasets, or of components, in order; the next artifacts are fetched meanwhile."""
        artifacts = [artifact for reading in readings for artifact in reading.artifacts]
        batches = list(in_batches(artifacts, lambda artifact: artifact.record.size, self._limits))
        contents = (content for fetched in _ahead(self._fetch, batches) for content in fetched)
        return [reading.make([io.BytesIO(next(contents)) for _ in reading.artifacts]) for reading in readings]

    def _read_partly(self, reading: Reading, artifact: Artifact) -> object:
        cached = self._source.cached(artifact)
        if cached is not None:
            with cached:
                return reading.make([cached])
        return reading.make([io.BufferedReader(_RangeFile(self._datastore, artifact), _RANGE_BUFFER)])

    def _fetch(self, batch: Sequence[Artifact]) -> list[bytes]:
        if batch[0].record.size > self._limits.inline_bytes:
            return [self._source.content(batch[0])]
        return self._datastore.read_batch([each.grant for each in batch], [each.record for each in batch])


class _RangeFile(io.RawIOBase):
    """An artifact as a seekable file that fetches what is read of it."""

    def __init__(self, datastore: Datastore, artifact: Artifact) -> None:
        self._datastore = datastore
        self._artifact = artifact
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        size = self._artifact.record.size
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: size}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._artifact.record.size - self._position)
        if wanted <= 0:
            return 0
        content = joined(self._datastore.read(self._artifact.grant, self._position, wanted))
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


def _ahead(
    fetch: Callable[[Sequence[Artifact]], list[bytes]], batches: Sequence[list[Artifact]]
) -> Iterator[list[bytes]]:
    if len(batches) < 2:
        yield from map(fetch, batches)
        return
    fetch = carrying_trace(fetch)
    with ThreadPoolExecutor(_BATCHES_AHEAD, "butler-get") as pool:
        under_way: deque[Future[list[bytes]]] = deque()
        try:
            for batch in batches:
                under_way.append(pool.submit(fetch, batch))
                if len(under_way) > _BATCHES_AHEAD:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()
