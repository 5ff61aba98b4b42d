# SPDX-License-Identifier: BSD-3-Clause
"""Rows of puts that were begun."""

from __future__ import annotations

__all__ = ["IDENTITY", "IntendedArtifact", "IntentRow", "IntentStore", "intent_values", "upsert_statement"]

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Connection, and_, bindparam, cast, exists, select
from sqlalchemy.dialects import postgresql, sqlite

from butler_model.artifact import DIRECT_STORE, ArtifactLayout

from .bound_rows import among
from .bulk_insert import document_of, rows_of_document
from .column_types import database_time
from .database import execute_many
from .prepared import PreparedStatement
from .schema import IntentState, StaticTables

_NSEC_PER_SECOND = 10**9
_AnyInsert = TypeVar("_AnyInsert", postgresql.Insert, sqlite.Insert)
IDENTITY = ("request_id", "dataset_type_id", "run_id", "data_id", "artifacts", "state")
"""What a repeat of the same request has the same, besides the id of the dataset."""


@dataclass(frozen=True, slots=True)
class IntendedArtifact:
    """An artifact that a put may write, and where.

    Attributes
    ----------
    adopted
        It was there before the put, so it is not to be discarded with it.
    sharers
        How many datasets of the put share it.
    """

    store: str
    key: str
    layout: ArtifactLayout
    members: tuple[str, ...] = ()
    adopted: bool = False
    sharers: int = 1


@dataclass(frozen=True, slots=True)
class IntentRow:
    """One dataset that is being put."""

    dataset_id: UUID
    request_id: UUID
    dataset_type_id: int
    run_id: int
    data_id: tuple[Any, ...]
    artifacts: tuple[IntendedArtifact, ...]
    state: IntentState = IntentState.ACTIVE
    expired: bool = False


class IntentStore:
    """Intents by dataset id."""

    def __init__(self, tables: StaticTables) -> None:
        self._table = table = tables.put_intent
        expired = (table.c.lease_expires_nsec < database_time()).label("expired")
        self._select = select(
            table.c.dataset_id,
            table.c.request_id,
            table.c.dataset_type_id,
            table.c.run_id,
            table.c.data_id,
            table.c.artifacts,
            table.c.state,
            expired,
        )
        this = table.c.dataset_id == bindparam("id", type_=table.c.dataset_id.type)
        self._select_one = {
            lock: PreparedStatement(query.where(this))
            for lock, query in ((False, self._select), (True, self._select.with_for_update()))
        }
        of_state = table.c.state == bindparam("of_state", type_=table.c.state.type)
        self._delete_one = PreparedStatement(table.delete().where(this, of_state))
        self._upsert_one = PreparedStatement(upsert_statement(sqlite.insert(table), tables))
        self._upsert_all = upsert_statement(postgresql.insert(table), tables, of_document=True)

    def upsert(self, connection: Connection, intents: Sequence[IntentRow], lease_seconds: int) -> bool:
        """Write intents; one that is there already from the same request gets a new lease.

        Returns whether all could be written; false if one is there from another request, or was given up, or if
        there is a dataset, or something in the trash, with its id.
        """
        rows = [intent_values(intent, lease_seconds) for intent in intents]
        if connection.dialect.name == "postgresql" and rows:
            values = {"rows": document_of(rows), "lease_nsec": lease_seconds * _NSEC_PER_SECOND}
            return execute_many(connection, self._upsert_all, [values]) == len(rows)
        return self._upsert_one.count_of_all(connection, rows) == len(rows)

    def select(
        self, connection: Connection, dataset_ids: Sequence[UUID], *, lock: bool
    ) -> dict[UUID, IntentRow]:
        """Return the intents there are for some datasets; ``lock`` keeps others from them until the commit."""
        if len(dataset_ids) == 1:
            one = self._select_one[lock].rows(connection, {"id": dataset_ids[0]})
            return {row[0]: _intent(*row) for row in one}
        query = self._select.where(among(self._table.c.dataset_id, dataset_ids, connection))
        if lock:
            # In one order, so that two transactions never wait for each other.
            query = query.order_by(self._table.c.dataset_id).with_for_update()
        rows = connection.execute(query)
        return {row.dataset_id: _intent(*row) for row in rows}

    def mark_aborted(self, connection: Connection, dataset_ids: Sequence[UUID]) -> None:
        """Note that these intents can no longer be committed."""
        statement = (
            self._table.update()
            .where(among(self._table.c.dataset_id, dataset_ids, connection))
            .values(state=int(IntentState.ABORTED))
        )
        connection.execute(statement)

    def delete(self, connection: Connection, dataset_ids: Sequence[UUID], state: IntentState) -> None:
        """Remove intents of a state."""
        if len(dataset_ids) == 1:
            self._delete_one.count(connection, {"id": dataset_ids[0], "of_state": int(state)})
            return
        chosen = among(self._table.c.dataset_id, dataset_ids, connection)
        connection.execute(self._table.delete().where(chosen, self._table.c.state == int(state)))


def upsert_statement(
    insert: _AnyInsert,
    tables: StaticTables,
    conditions: Sequence[ColumnElement[bool]] = (),
    *,
    of_document: bool = False,
) -> _AnyInsert:
    """Return the statement that writes an intent unless there is a dataset, or a different intent, with its id.

    What is in the trash keeps its id taken: the keys of its artifacts end in digits of it. It writes nothing either
    unless the conditions hold. Its parameters are those of `intent_values`; or it writes many intents, which are a
    document of these, ``rows``, but for their ``lease_nsec``.
    """
    table, datasets, trash = tables.put_intent, tables.dataset, tables.artifact_trash
    names = [c.name for c in table.c if c.name != "lease_expires_nsec"]
    given: Mapping[str, ColumnElement[Any]]
    if of_document:
        given = dict(rows_of_document(table, names).c)
    else:
        given = {name: bindparam(name, type_=table.c[name].type) for name in names}
    lease = database_time() + bindparam("lease_nsec", type_=BigInteger)
    free = and_(
        ~exists().where(datasets.c.id == given["dataset_id"]),
        ~exists().where(trash.c.dataset_id == given["dataset_id"]),
    )
    # The casts tell PostgreSQL the types, which it does not take from the columns of an INSERT from SELECT.
    values = [cast(value, value.type).label(name) for name, value in given.items()]
    source = select(*values, lease.label("lease_expires_nsec")).where(free, *conditions)
    insert = insert.from_select([*given, "lease_expires_nsec"], source)
    return insert.on_conflict_do_update(
        index_elements=["dataset_id"],
        set_={"lease_expires_nsec": insert.excluded.lease_expires_nsec},
        where=and_(*(table.c[name] == insert.excluded[name] for name in IDENTITY)),
    )


def intent_values(intent: IntentRow, lease_seconds: int) -> dict[str, Any]:
    """Return the parameters that write an intent."""
    return {
        "dataset_id": intent.dataset_id,
        "request_id": intent.request_id,
        "dataset_type_id": intent.dataset_type_id,
        "run_id": intent.run_id,
        "data_id": json.dumps(intent.data_id),
        "artifacts": json.dumps([_artifact_values(a) for a in intent.artifacts]),
        "adopts": any(a.adopted and a.store != DIRECT_STORE for a in intent.artifacts),
        "state": int(intent.state),
        "lease_nsec": lease_seconds * _NSEC_PER_SECOND,
    }


def _artifact_values(a: IntendedArtifact) -> list[Any]:
    layout = a.layout
    parts = [layout.formatter, layout.extension, layout.storage_class, layout.component]
    return [a.store, a.key, a.members, a.adopted, a.sharers, *parts]


def _intent(
    dataset_id: UUID,
    request_id: UUID,
    dataset_type_id: int,
    run_id: int,
    data_id: str,
    artifacts: str,
    state: int,
    expired: Any,
) -> IntentRow:
    return IntentRow(
        dataset_id,
        request_id,
        dataset_type_id,
        run_id,
        tuple(json.loads(data_id)),
        tuple(
            IntendedArtifact(store, key, ArtifactLayout(*layout), tuple(members), adopted, sharers)
            for store, key, members, adopted, sharers, *layout in json.loads(artifacts)
        ),
        IntentState(state),
        bool(expired),
    )
