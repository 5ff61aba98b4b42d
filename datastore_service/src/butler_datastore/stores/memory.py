# SPDX-License-Identifier: BSD-3-Clause
"""A store in the memory of the process."""

from __future__ import annotations

__all__ = ["MemoryStore"]

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from butler_model.artifact import sha256
from butler_model.errors import (
    ArtifactExistsError,
    ArtifactNotFoundError,
    StoreFullError,
)
from butler_model.path_template import check_key

from .presence import ALWAYS_THERE, Presence
from .store import (
    CHUNK_BYTES,
    Gate,
    Listed,
    StoreCapabilities,
    Stored,
    check_no_members,
    check_size,
    end_of_range,
    no_gate,
    within_limit,
)


class MemoryStore:
    """Artifacts that are gone when the process ends.

    Parameters
    ----------
    max_bytes
        How much it may hold in all.

    Attributes
    ----------
    quarantined
        What was put aside, by key; it does not count.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._held = 0
        self._artifacts: dict[str, tuple[bytes, Stored]] = {}
        self.quarantined: dict[str, bytes] = {}
        self._since: dict[str, float] = {}

    @property
    def capabilities(self) -> StoreCapabilities:
        """In what this store differs from others."""
        return StoreCapabilities(persistent=False)

    @property
    def presence(self) -> Presence:
        """Memory is always there."""
        return ALWAYS_THERE

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
        check_key(key)
        received: list[bytes] = []
        free = self._max_bytes - self._held
        for chunk in within_limit(chunks, key, size_limit):
            free -= len(chunk)
            if free < 0:
                raise self._full(key)
            received.append(chunk)
        gate()
        return self._keep([(key, b"".join(received))])[0]

    def write_many(
        self,
        items: Sequence[tuple[str, bytes]],
        members: tuple[str, ...] | None = None,
        gate: Gate = no_gate,
    ) -> list[Stored]:
        """Store artifacts given as (key, content), all or none; see `Store.write_many`."""
        check_no_members(members)
        gate()
        return self._keep([(check_key(key), bytes(content)) for key, content in items])

    def read(self, key: str, offset: int, limit: int | None, *, size: int) -> Iterator[bytes]:
        """Yield bytes of an artifact that must have ``size`` bytes; see `Store.read`."""
        end = end_of_range(offset, limit, size)
        held = self._artifacts.get(check_key(key))
        if held is None:
            raise ArtifactNotFoundError(f"There is no artifact {key!r} in its store.", key=key)
        content = held[0]
        check_size(key, len(content), size)
        for start in range(offset, end, CHUNK_BYTES):
            yield content[start : min(end, start + CHUNK_BYTES)]

    def size(self, key: str, recorded: int | None = None) -> int | None:
        """Return the length of an artifact in bytes, `None` if it is not there."""
        held = self._artifacts.get(check_key(key))
        return None if held is None else len(held[0])

    def measure(self, key: str) -> Stored | None:
        """Return size and checksum of an artifact, `None` if it is not there."""
        held = self._artifacts.get(check_key(key))
        return None if held is None else replace(held[1], created=False)

    def delete(self, key: str) -> bool:
        """Remove an artifact; return whether it was there."""
        check_key(key)
        with self._lock:
            return self._drop(key) is not None

    def delete_many(self, keys: Sequence[str]) -> dict[str, Exception]:
        """Remove artifacts; see `Store.delete_many`."""
        for key in keys:
            self.delete(key)
        return {}

    def listing(self) -> Iterator[Listed]:
        """Yield all artifacts by key; see `Store.listing`."""
        with self._lock:
            now = time.monotonic()
            listed = [
                Listed(key, stored.size, now - self._since[key])
                for key, (_, stored) in self._artifacts.items()
            ]
        yield from sorted(listed, key=lambda each: each.key)

    def quarantine(self, key: str) -> bool:
        """Put an artifact aside, until the process ends; it takes room no more."""
        check_key(key)
        with self._lock:
            content = self._drop(key)
            if content is not None:
                self.quarantined[key] = content
        return content is not None

    def sweep(self, age_seconds: float) -> int:
        """Do nothing: what broke left nothing behind."""
        return 0

    def _drop(self, key: str) -> bytes | None:
        held = self._artifacts.pop(key, None)
        if held is None:
            return None
        self._held -= len(held[0])
        del self._since[key]
        return held[0]

    def _keep(self, items: Sequence[tuple[str, bytes]]) -> list[Stored]:
        measured = [
            (key, content, Stored(len(content), sha256([content]), created=True)) for key, content in items
        ]
        fresh: dict[str, tuple[bytes, Stored]] = {}
        outcomes: list[Stored] = []
        with self._lock:
            for key, content, stored in measured:
                held = self._artifacts.get(key) or fresh.get(key)
                if held is None:
                    fresh[key] = content, stored
                elif held[1] != stored:
                    raise ArtifactExistsError(
                        f"There is another artifact under the key {key!r}; artifacts are never replaced.",
                        key=key,
                    )
                outcomes.append(stored if held is None else replace(stored, created=False))
            added = sum(len(content) for content, _ in fresh.values())
            if self._held + added > self._max_bytes:
                raise self._full(items[0][0])
            self._artifacts.update(fresh)
            self._since.update(dict.fromkeys(fresh, time.monotonic()))
            self._held += added
        return outcomes

    def _full(self, key: str) -> StoreFullError:
        return StoreFullError(
            f"The store in memory has no room for {key!r}: it may hold {self._max_bytes} bytes; tell its operator.",
            key=key,
        )
