# SPDX-License-Identifier: BSD-3-Clause
"""A database all of whose work is done on one connection, in one transaction."""

from __future__ import annotations

__all__ = ["PinnedDatabase"]

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from sqlalchemy import Connection, NestedTransaction
from sqlalchemy.exc import InvalidRequestError, StatementError

from butler_model.cancellation import Cancellation
from butler_model.errors import ButlerError, TransactionError

from .database import Database, catalogued, interrupt

_LEFT: list[object] = []
"""What is the parent's in a process that was forked; to give it up would roll back the parent's transactions."""


class PinnedDatabase(Database):
    """Has the interface of `Database`; what would be a transaction there is a savepoint here.

    A block that raises undoes what was done in it, and nothing else. On PostgreSQL that is so for reading, too, since a
    statement that fails would spoil the transaction. Blocks of several threads follow one another. All raise
    `TransactionError` after the end.

    Parameters
    ----------
    database
        Gives the connection. On SQLite this waits until no other transaction writes.
    cancellation
        Ends the statement that runs when it is requested; then only `undo`, and what follows it, can be done.

    Attributes
    ----------
    last_used
        When the latest block ended, by the monotonic clock, in seconds.
    """

    def __init__(self, database: Database, cancellation: Cancellation | None) -> None:
        super().__init__(database.engine)
        self._lock = threading.RLock()
        self._why_over = ""
        self._cancellation = cancellation or Cancellation()
        self._stopping = self._cancellation
        self._held = ExitStack()
        self._connection = self._held.enter_context(database.beginning())
        # By the first, all can be undone without giving up SQLite's lock.
        self._savepoints: list[NestedTransaction] = [self._connection.begin_nested()]
        self.last_used = time.monotonic()

    @property
    def may_stream(self) -> bool:
        """Always false: the other calls of the transaction need the connection."""
        return False

    @property
    def depth(self) -> int:
        """Number of savepoints that were asked for and are not over."""
        return max(len(self._savepoints) - 1, 0)

    def check(self) -> None:
        """Raise `TransactionError` if it was ended; nobody waits for a block that goes on."""
        if self._why_over:
            raise TransactionError(self._why_over)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other threads from the connection."""
        with self._lock:
            yield

    @contextmanager
    def _in_use(self) -> Iterator[Connection]:
        with self._lock:
            self.check()
            if self._connection.invalidated:
                raise TransactionError(
                    "The transaction is rolled back: the registry lost its database. Begin it again."
                )
            connection = self._connection
            try:
                with catalogued(), self._stopping.stopping(lambda: interrupt(connection)):
                    yield connection
            except (InvalidRequestError, StatementError) as error:
                raise TransactionError(
                    "The transaction is rolled back, since its database connection broke. Begin it again."
                ) from error
            finally:
                self.last_used = time.monotonic()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give the connection, in a savepoint that is undone if the block raises."""
        with self._in_use() as connection, connection.begin_nested():
            yield connection

    @contextmanager
    def reading(self, cancellation: Cancellation | None = None) -> Iterator[Connection]:
        """Give the connection; on PostgreSQL as for writing."""
        with self.writing() if self.is_postgresql else self._in_use() as connection:
            yield connection

    @contextmanager
    def single_statement(self) -> Iterator[Connection]:
        """Give the connection as for writing."""
        with self.writing() as connection:
            yield connection

    @contextmanager
    def reading_one_state(self) -> Iterator[Connection]:
        """Give the connection: a difference between statements could only be made by others that commit."""
        with self.reading() as connection:
            yield connection

    def _let_go(self, connection: Connection) -> None:
        # A pinned connection is nobody else's. What failed is undone, and the transaction goes on.
        return

    def leave_to_parent(self) -> None:
        """Be over in a process that was forked: the parent goes on with the transaction."""
        _LEFT.append(dict(vars(self)))
        self._held = ExitStack()
        self._lock = threading.RLock()
        self._why_over = (
            "The transaction belongs to the process that began it, and this one was forked in it."
        )

    def savepoint(self) -> None:
        """Begin a part that can be undone by itself."""
        with self._in_use() as connection:
            self._savepoints.append(connection.begin_nested())

    def release(self) -> None:
        """Make what followed the latest savepoint a part of what was before it."""
        with self._in_use():
            self._latest_savepoint().commit()

    def rollback_to(self) -> None:
        """Undo what followed the latest savepoint, which is gone then."""
        with self._in_use():
            self._latest_savepoint().rollback()

    def _latest_savepoint(self) -> NestedTransaction:
        if not self.depth:
            raise TransactionError(
                "The transaction has no savepoint that could be released or rolled back to."
            )
        return self._savepoints.pop()

    def undo(self) -> None:
        """Undo everything; the transaction goes on."""
        self._stopping = Cancellation()
        with self._in_use() as connection:
            while self._savepoints:
                self._savepoints.pop().rollback()
            self._savepoints.append(connection.begin_nested())

    def commit(self) -> None:
        """Commit everything."""
        with self._in_use() as connection:
            transaction = connection.get_transaction()
            if transaction is not None:
                transaction.commit()

    def end(self, why: str) -> None:
        """Give the connection back; what was not committed is undone.

        Parameters
        ----------
        why
            What is said to whoever uses it afterwards.
        """
        with self._lock:
            self._why_over = self._why_over or why
            with suppress(ButlerError):
                if self._cancellation.requested:
                    # The database may hear of it late, and must not stop what somebody else does on the connection.
                    self._connection.invalidate()
                self._held.close()
