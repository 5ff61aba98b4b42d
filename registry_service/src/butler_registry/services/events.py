# SPDX-License-Identifier: BSD-3-Clause
"""The service that tells what happens; implements `butler_model.ports.Events`."""

from __future__ import annotations

__all__ = ["EventService"]

import time
from collections.abc import Iterator, Sequence

from butler_model.access import UNRESTRICTED, Access
from butler_model.ports import DatasetEvent, DatasetEventKind
from butler_registry.storage.database import Database
from butler_registry.storage.outbox_store import OutboxEvent, OutboxStore
from butler_registry.storage.schema import EventKind

from .limits import check_patterns
from .name_patterns import NamePatterns
from .page_tokens import PageTokens

_QUESTION = "events"
_EVENTS_PER_LOOK = 500
_SHORTEST_WAIT_SECONDS = 0.1
_LONGEST_WAIT_SECONDS = 1.0


class EventService:
    """Reads the outbox, again and again."""

    def __init__(
        self, database: Database, outbox: OutboxStore, tokens: PageTokens, access: Access = UNRESTRICTED
    ) -> None:
        self._database = database
        self._access = access
        self._outbox = outbox
        self._tokens = tokens

    def position(self) -> bytes:
        with self._database.reading() as connection:
            return self._tokens.make(_QUESTION, self._outbox.newest(connection))

    def watch(
        self, position: bytes, *, dataset_types: Sequence[str] = ("*",), runs: Sequence[str] = ("*",)
    ) -> Iterator[DatasetEvent | None]:
        check_patterns(dataset_types)
        check_patterns(runs)
        given = self._tokens.open(position, _QUESTION) or (0, 0)
        return self._watch((int(given[0]), int(given[1])), NamePatterns(dataset_types), NamePatterns(runs))

    def _watch(
        self, position: tuple[int, int], dataset_types: NamePatterns, runs: NamePatterns
    ) -> Iterator[DatasetEvent | None]:
        wait = _SHORTEST_WAIT_SECONDS
        while True:
            # No connection is held while an event is given away, or waited for.
            with self._database.reading() as connection:
                events = self._outbox.after(connection, position, _EVENTS_PER_LOOK)
            for event in events:
                position = event.position
                if (
                    dataset_types.match(event.dataset_type)
                    and runs.match(event.run)
                    and self._access.sees(event.run)
                ):
                    yield self._event(event)
            if not events:
                yield None
                time.sleep(wait)
            wait = _SHORTEST_WAIT_SECONDS if events else min(wait * 2, _LONGEST_WAIT_SECONDS)

    def _event(self, event: OutboxEvent) -> DatasetEvent:
        kind = DatasetEventKind.APPEARED if event.kind is EventKind.APPEARED else DatasetEventKind.REMOVED
        position = self._tokens.make(_QUESTION, event.position)
        return DatasetEvent(kind, event.dataset_type, event.run, event.dataset_ids, position, event.time_nsec)
