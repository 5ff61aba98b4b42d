# SPDX-License-Identifier: BSD-3-Clause
"""What is read of a datastore, counted."""

from __future__ import annotations

__all__ = ["CountedReads", "count_reads"]

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from butler import Butler
from butler_model.artifact import ArtifactRecord
from butler_model.ports import Datastore


class CountedReads:
    """A datastore that counts the artifacts that are read of it, and may do something before each call."""

    def __init__(self, datastore: Datastore, before: Callable[[], None]) -> None:
        self._datastore = datastore
        self._before = before
        self.artifacts = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._datastore, name)

    def read(
        self, grant: bytes, offset: int = 0, limit: int | None = None, *, continued: bool = False
    ) -> Iterator[bytes]:
        self.artifacts += 1
        self._before()
        return self._datastore.read(grant, offset, limit, continued=continued)

    def read_batch(self, grants: Sequence[bytes], records: Sequence[ArtifactRecord] = ()) -> list[bytes]:
        self.artifacts += len(grants)
        self._before()
        return self._datastore.read_batch(grants, records)


def count_reads(butler: Butler, before: Callable[[], None] = lambda: None) -> CountedReads:
    """Count what a butler reads from now on."""
    counted = CountedReads(butler._connection.datastore, before)
    butler._connection.datastore = counted
    return counted
