# SPDX-License-Identifier: BSD-3-Clause
"""Mutations that were done, so that a repeat after a lost answer is recognised."""

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
        digest = hashlib.sha256(repr(what).encode()).hexdigest()
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        insert = (
            dialect.insert(self._table)
            .values(request_id=request_id, digest=digest, time_nsec=database_time())
            .on_conflict_do_nothing(index_elements=["request_id"])
            .returning(self._table.c.request_id)
        )
        if connection.execute(insert).first() is not None:
            return False
        known = select(self._table.c.digest).where(self._table.c.request_id == request_id)
        if connection.execute(known).scalar_one() != digest:
            raise InvalidRequestError(
                f"The request_id {request_id} belongs to another request; make a new one for each.",
                request_id=str(request_id),
            )
        return True
