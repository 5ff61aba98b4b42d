# SPDX-License-Identifier: BSD-3-Clause
"""Rows of who may do what, and of API tokens."""

from __future__ import annotations

__all__ = ["AccessStore"]

import json
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, literal, select, text
from sqlalchemy.dialects import postgresql, sqlite

from butler_model.access import AccessEntry, Verb
from butler_model.api_token import ApiToken, NewApiToken

from .column_types import database_time
from .schema import StaticTables

_NSEC = 10**9


class AccessStore:
    """Entries by subject and prefix, tokens by id."""

    def __init__(self, tables: StaticTables) -> None:
        self._entries = tables.access_entry
        self._tokens = tables.api_token

    def entries(self, connection: Connection) -> list[AccessEntry]:
        """Return all entries, in the order of subjects and prefixes."""
        table = self._entries
        rows = connection.execute(select(table).order_by(table.c.subject, table.c.prefix))
        return [AccessEntry(row.subject, row.prefix, _verbs(row.verbs)) for row in rows]

    def lock(self, connection: Connection) -> None:
        """Keep others from changing entries until the transaction ends; who reads them does not wait.

        There may be no row yet that could be locked. On SQLite a transaction that writes excludes others anyway.
        """
        if connection.dialect.name == "postgresql":
            name = connection.dialect.identifier_preparer.format_table(self._entries)
            connection.execute(text(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE"))

    def write(self, connection: Connection, entry: AccessEntry) -> None:
        """Write an entry in place of the one of its subject and prefix; one without verbs is deleted."""
        table = self._entries
        place = (table.c.subject == entry.subject) & (table.c.prefix == entry.prefix)
        if not entry.verbs:
            connection.execute(table.delete().where(place))
            return
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        verbs = _text(verb.value for verb in entry.verbs)
        insert = dialect.insert(table).values(subject=entry.subject, prefix=entry.prefix, verbs=verbs)
        connection.execute(
            insert.on_conflict_do_update(index_elements=["subject", "prefix"], set_={"verbs": verbs})
        )

    def insert_token(
        self, connection: Connection, token: NewApiToken, digest: bytes, created_by: str
    ) -> bool:
        """Insert a token; return whether there was none of its id."""
        now = database_time()
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        insert = dialect.insert(self._tokens).values(
            id=token.id,
            digest=digest,
            principal=token.principal,
            groups=json.dumps(sorted(token.groups)),
            scopes=_text(token.scopes),
            note=token.note,
            created_by=created_by,
            created_nsec=now,
            expires_nsec=now + literal(token.lifetime_seconds * _NSEC),
            revoked_nsec=0,
        )
        inserted = insert.on_conflict_do_nothing(index_elements=["id"]).returning(self._tokens.c.id)
        return connection.execute(inserted).first() is not None

    def tokens(self, connection: Connection, principal: str | None = None) -> list[ApiToken]:
        """Return all tokens, or those of somebody, the newest first."""
        query = self._select().order_by(self._tokens.c.created_nsec.desc(), self._tokens.c.id)
        if principal is not None:
            query = query.where(self._tokens.c.principal == principal)
        return [_token(row) for row in connection.execute(query)]

    def good_token(self, connection: Connection, token_id: UUID) -> tuple[ApiToken, bytes] | None:
        """Return a token that has not expired and is not revoked, and its digest; `None` if there is none."""
        table = self._tokens
        query = self._select().where(
            table.c.id == token_id, table.c.revoked_nsec == 0, table.c.expires_nsec > database_time()
        )
        row = connection.execute(query).first()
        return None if row is None else (_token(row), bytes(row.digest))

    def revoke(self, connection: Connection, token_id: UUID) -> None:
        """Note that a token is worthless, unless that is noted already."""
        table = self._tokens
        mine = (table.c.id == token_id) & (table.c.revoked_nsec == 0)
        connection.execute(table.update().where(mine).values(revoked_nsec=database_time()))

    def _select(self) -> Any:
        return select(self._tokens)


def _token(row: Row[Any]) -> ApiToken:
    return ApiToken(
        row.id,
        row.principal,
        tuple(json.loads(row.groups)),
        tuple(row.scopes.split()),
        row.note,
        row.created_by,
        row.created_nsec,
        row.expires_nsec,
        row.revoked_nsec,
    )


def _text(verbs: Iterable[str]) -> str:
    return " ".join(sorted(verbs))


def _verbs(text: str) -> frozenset[Verb]:
    return frozenset(map(Verb, text.split()))
