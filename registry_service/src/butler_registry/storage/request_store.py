# SPDX-License-Identifier: BSD-3-Clause
"""Mutations that were done, so that a repeat after a lost answer is recognised and answered alike."""

from __future__ import annotations

__all__ = ["RequestStore"]

import hashlib
from uuid import UUID

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from butler_model.errors import InvalidRequestError

from .column_types import database_time
from .schema import StaticTables


class RequestStore:
    """Requests by id."""

    def __init__(self, tables: StaticTables) -> None:
        self._table = tables.request_log

    def is_repeat(self, connection: Connection, request_id: UUID, *what: object) -> bool:
        """Note a request in the transaction that does it; return whether it was done before.

        Waits for a transaction that is doing the same request. Raises `InvalidRequestError` if another request had the
        id.
        """
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        insert = (
            dialect.insert(self._table)
            .values(request_id=request_id, digest=_digest(what), time_nsec=database_time())
            .on_conflict_do_nothing(index_elements=["request_id"])
            .returning(self._table.c.request_id)
        )
        if connection.execute(insert).first() is not None:
            return False
        return self.was_done(connection, request_id, *what)

    def was_done(self, connection: Connection, request_id: UUID, *what: object) -> bool:
        """Return whether a request was noted; `InvalidRequestError` if another one had the id."""
        known = select(self._table.c.digest).where(self._table.c.request_id == request_id)
        digest = connection.execute(known).scalar_one_or_none()
        if digest not in (None, _digest(what)):
            raise InvalidRequestError(
                f"The request_id {request_id} belongs to another request; make a new one for each.",
                request_id=str(request_id),
            )
        return digest is not None

    def keep_response(self, connection: Connection, request_id: UUID, response: str) -> None:
        """Keep the answer to a request that was noted, in the transaction that does it."""
        mine = self._table.c.request_id == request_id
        connection.execute(self._table.update().where(mine).values(response=response))

    def response(self, connection: Connection, request_id: UUID) -> str | None:
        """Return the answer to a request that is a repeat; `None` if none was kept."""
        query = select(self._table.c.response).where(self._table.c.request_id == request_id)
        kept: str | None = connection.execute(query).scalar_one()
        return kept


def _digest(what: tuple[object, ...]) -> str:
    return hashlib.sha256(repr(what).encode()).hexdigest()
