# SPDX-License-Identifier: BSD-3-Clause
"""One lock of a repository for whoever decides who owns an artifact, or whether anybody does."""

from __future__ import annotations

__all__ = ["has_locked_ownership", "lock_ownership"]

import hashlib

from sqlalchemy import Connection, func, select, text

_IS_HELD = text(
    "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND objsubid = 1"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND (classid::bigint << 32) | objid::bigint = :key)"
)
"""PostgreSQL shows the key of such a lock in two halves."""


def lock_ownership(connection: Connection, schema: str | None) -> None:
    """Wait until nobody else decides about owners; hold it until the transaction ends.

    It comes before the lock of any row. On SQLite a transaction that writes excludes others anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_key(schema))))


def has_locked_ownership(connection: Connection, schema: str | None) -> bool:
    """Return whether the transaction of a connection to PostgreSQL has the lock."""
    return bool(connection.execute(_IS_HELD, {"key": _key(schema)}).scalar_one())


def _key(schema: str | None) -> int:
    digest = hashlib.sha256(f"{schema}\0artifact ownership".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
