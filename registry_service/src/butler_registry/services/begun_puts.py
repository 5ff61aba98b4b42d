# SPDX-License-Identifier: BSD-3-Clause
"""The puts that were begun in a transaction."""

from __future__ import annotations

__all__ = ["BegunPuts"]

from collections.abc import Iterable
from uuid import UUID

from butler_registry.storage.intent_store import IntentRow


class BegunPuts:
    """Intents by savepoint, of puts that would have to be taken back."""

    def __init__(self) -> None:
        self._levels: list[dict[UUID, IntentRow]] = [{}]
        self._under_way: set[UUID] = set()

    @property
    def all(self) -> list[IntentRow]:
        """Those of all savepoints."""
        return [intent for level in self._levels for intent in level.values()]

    @property
    def any_under_way(self) -> bool:
        """Whether one was neither committed nor given up."""
        return bool(self._under_way)

    def add(self, intents: Iterable[IntentRow]) -> None:
        """Take note of puts that begin."""
        new = {intent.dataset_id: intent for intent in intents}
        self._levels[-1].update(new)
        self._under_way.update(new)

    def committed(self, dataset_ids: Iterable[UUID]) -> None:
        """Take note of puts that were committed, as far as the transaction will be."""
        self._under_way.difference_update(dataset_ids)

    def forget(self, dataset_ids: Iterable[UUID]) -> None:
        """Take note of puts that were taken back."""
        for dataset_id in dataset_ids:
            self._under_way.discard(dataset_id)
            for level in self._levels:
                level.pop(dataset_id, None)

    def clear(self) -> None:
        """Forget all of them: they are committed for good."""
        self._levels = [{}]
        self._under_way.clear()

    def savepoint(self) -> None:
        """Begin a level."""
        self._levels.append({})

    def release(self) -> list[IntentRow]:
        """End the latest level; return its puts, which are now those of the one before it."""
        last = self._levels.pop()
        self._levels[-1].update(last)
        return list(last.values())

    def rollback_to(self) -> list[IntentRow]:
        """As `release`, for puts that were undone."""
        last = self.release()
        self._under_way.difference_update(intent.dataset_id for intent in last)
        return last
