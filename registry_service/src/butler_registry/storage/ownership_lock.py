# SPDX-License-Identifier: BSD-3-Clause
"""One lock of a repository for whoever decides who owns an artifact, or whether anybody does."""

from __future__ import annotations

__all__ = ["lock_ownership"]

import hashlib

from sqlalchemy import Connection, func, select


def lock_ownership(connection: Connection, schema: str | None) -> None:
    """Wait until nobody else decides about owners; hold it until the transaction ends.

    It comes before the lock of any row. On SQLite a transaction that writes excludes others anyway.
    """
    if connection.dialect.name == "postgresql":
        digest = hashlib.sha256(f"{schema}\0artifact ownership".encode()).digest()
        connection.execute(select(func.pg_advisory_xact_lock(int.from_bytes(digest[:8], "big", signed=True))))
