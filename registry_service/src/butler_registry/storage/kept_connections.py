# SPDX-License-Identifier: BSD-3-Clause
"""Connections that stay open between reads: to take one from the pool and give it back costs as much as a read."""

from __future__ import annotations

__all__ = ["KeptConnections"]

import time
from collections import deque

from sqlalchemy import Connection, Engine
from sqlalchemy.pool import QueuePool

_KEEP_SECONDS = 300.0
"""How long one is kept from the pool, which otherwise never gets to replace it."""


class KeptConnections:
    """Connections of an engine that nobody uses now; the one used last is the next.

    To the pool they are in use. Whoever takes one from the pool itself calls `make_room` first; and none is kept while
    the pool has no other. So what is kept is never in the way of others. Safe to use from many threads.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kept: deque[tuple[float, Connection]] = deque()

    def __len__(self) -> int:
        return len(self._kept)

    def take(self) -> tuple[float, Connection]:
        """Return a connection, and when it came from the pool."""
        try:
            return self._kept.pop()
        except IndexError:
            return time.monotonic(), self._engine.connect()

    def give_back(self, taken: tuple[float, Connection]) -> None:
        """Keep a connection for the next that takes one, or give it back to the pool."""
        since, connection = taken
        if connection.in_transaction():
            connection.rollback()
        pool = self._engine.pool
        assert isinstance(pool, QueuePool)
        if pool.checkedout() < pool.size() and time.monotonic() - since < _KEEP_SECONDS:
            self._kept.append(taken)
        else:
            connection.close()

    def make_room(self) -> None:
        """Give one to the pool, if there is one."""
        try:
            _, connection = self._kept.pop()
        except IndexError:
            return
        connection.close()

    def close(self) -> None:
        """Give all to the pool."""
        while self._kept:
            self.make_room()
