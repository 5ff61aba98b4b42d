# SPDX-License-Identifier: BSD-3-Clause
"""One lock of a repository for whoever changes its tables."""

from __future__ import annotations

__all__ = ["lock_migration"]

import hashlib

from sqlalchemy import Connection, func, select


def lock_migration(connection: Connection, schema: str | None) -> None:
    """Wait until nobody else migrates; hold it until the transaction ends.

    It belongs to the transaction, not to the session, so it works through a pooler. On SQLite a transaction that writes
    excludes others anyway.
    """
    if connection.dialect.name == "postgresql":
        digest = hashlib.sha256(f"{schema}\0migration".encode()).digest()
        connection.execute(select(func.pg_advisory_xact_lock(int.from_bytes(digest[:8], "big", signed=True))))
