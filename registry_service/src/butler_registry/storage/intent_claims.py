# SPDX-License-Identifier: BSD-3-Clause
"""Intents as those see them who clean up after puts that did not come to their end."""

from __future__ import annotations

__all__ = ["IntentClaims"]

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, Text, cast, func, select, union

from .column_types import database_time
from .database import execute_many
from .schema import DeletionReason, IntentState, StaticTables

_NSEC_PER_SECOND = 10**9
_PLACES_PER_QUERY = 5_000
_ID_DIGITS = re.compile("(?=([0-9a-f]{12}))")
"""In a key, what may be the last digits of the id of its dataset."""

Place = tuple[str, str]
"""Store and key."""


@dataclass(frozen=True, slots=True)
class _Written:
    """What a put may have written."""

    component: str
    place: Place
    members: tuple[str, ...]


class IntentClaims:
    """Claims of intents whose leases have ended."""

    def __init__(self, tables: StaticTables) -> None:
        self._intents = tables.put_intent
        self._records = tables.artifact_record
        self._trash = tables.artifact_trash
        self._log = tables.deletion_log

    def adopted_places(self, connection: Connection) -> set[Place]:
        """Return the places in stores that puts are to adopt.

        A put whose lease has ended counts until it is claimed: its commit may have begun before.
        """
        table = self._intents
        query = select(table.c.artifacts).where(
            table.c.adopts.is_(True), table.c.state == int(IntentState.ACTIVE)
        )
        return {
            (store, key)
            for artifacts in connection.execute(query).scalars()
            for store, key, _, adopted, *_ in json.loads(artifacts)
            if adopted
        }

    def written_by_others(
        self, connection: Connection, places: Collection[Place], dataset_ids: Collection[UUID]
    ) -> dict[Place, UUID]:
        """Return which places puts of other datasets may write or have to discard, and one dataset for each."""
        # The key of what is written ends in digits of a dataset; so thousands of intents need not be read for it.
        digits = {found for _, key in places for found in _ID_DIGITS.findall(key)}
        if not digits:
            return {}
        table = self._intents
        if connection.dialect.name == "postgresql":
            last_digits = func.right(cast(table.c.dataset_id, Text), 12)
        else:
            last_digits = func.lower(func.hex(func.substr(table.c.dataset_id, 11)))
        query = select(table.c.dataset_id, table.c.artifacts)
        return {
            place: row.dataset_id
            for row in connection.execute(query.where(last_digits.in_(sorted(digits))))
            if row.dataset_id not in dataset_ids
            for place in _written(row.artifacts)
            if place in places
        }

    def claim(
        self, connection: Connection, *, limit: int, lease_seconds: int, guard_seconds: int
    ) -> dict[UUID, list[Place]]:
        """Mark intents as given up and give them a new lease; return what each may have written.

        What a dataset or the trash has, or another put is to adopt, is not among it.
        """
        table = self._intents
        now = select(database_time()).scalar_subquery()
        query = (
            select(table.c.dataset_id, table.c.artifacts)
            .where(table.c.lease_expires_nsec <= now - guard_seconds * _NSEC_PER_SECOND)
            .order_by(table.c.dataset_id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        found = {row.dataset_id: _written(row.artifacts) for row in connection.execute(query)}
        if found:
            connection.execute(
                table.update()
                .where(table.c.dataset_id.in_(list(found)))
                .values(
                    state=int(IntentState.ABORTED),
                    lease_expires_nsec=database_time() + lease_seconds * _NSEC_PER_SECOND,
                )
            )
        return self._unowned(connection, found)

    def finish(self, connection: Connection, dataset_ids: Sequence[UUID]) -> None:
        """Forget intents that were given up, and note what was discarded for them."""
        table = self._intents
        query = (
            select(table.c.dataset_id, table.c.artifacts)
            .where(table.c.dataset_id.in_(list(dataset_ids)), table.c.state == int(IntentState.ABORTED))
            .order_by(table.c.dataset_id)
            .with_for_update()
        )
        found = {row.dataset_id: _written(row.artifacts) for row in connection.execute(query)}
        if not found:
            return
        statement = self._log.insert().values(
            time_nsec=database_time(), reason=int(DeletionReason.REAPED), requested_by=""
        )
        lines = [
            {"dataset_id": dataset_id, "store": store, "key": key}
            for dataset_id, places in self._unowned(connection, found).items()
            for store, key in places
        ]
        execute_many(connection, statement, lines)
        connection.execute(table.delete().where(table.c.dataset_id.in_(list(found))))

    def intended(
        self, connection: Connection, store: str, after: str
    ) -> list[tuple[str, UUID, str, tuple[str, ...]]]:
        """Return (key, dataset, component, members) of what puts may write to a store under keys after one."""
        table = self._intents
        return [
            (written.place[1], row.dataset_id, written.component, written.members)
            for row in connection.execute(select(table.c.dataset_id, table.c.artifacts))
            for written in _all_of(row.artifacts)
            if written.place[0] == store and written.place[1] > after
        ]

    def _unowned(
        self, connection: Connection, found: Mapping[UUID, Collection[Place]]
    ) -> dict[UUID, list[Place]]:
        owned = self.owned(connection, {place for places in found.values() for place in places})
        owned |= self.adopted_places(connection)
        return {
            dataset_id: [place for place in places if place not in owned]
            for dataset_id, places in found.items()
        }

    def owned(self, connection: Connection, places: Iterable[Place]) -> set[Place]:
        """Return which places a dataset or the trash has."""
        by_store: dict[str, list[str]] = {}
        for store, key in places:
            by_store.setdefault(store, []).append(key)
        owned: set[Place] = set()
        for store, keys in by_store.items():
            for start in range(0, len(keys), _PLACES_PER_QUERY):
                some = keys[start : start + _PLACES_PER_QUERY]
                query = union(
                    *(
                        select(table.c.key).where(table.c.store == store, table.c.key.in_(some))
                        for table in (self._records, self._trash)
                    )
                )
                owned |= {(store, key) for key in connection.execute(query).scalars()}
        return owned


def _all_of(artifacts: str) -> list[_Written]:
    return [
        _Written(layout[-1], (store, key), tuple(members))
        for store, key, members, _adopted, _sharers, *layout in json.loads(artifacts)
    ]


def _written(artifacts: str) -> list[Place]:
    """Return the places of what a put writes itself: what it adopts was there before."""
    return [(store, key) for store, key, _, adopted, *_ in json.loads(artifacts) if not adopted]
