# SPDX-License-Identifier: BSD-3-Clause
"""Connections to the database of a repository, and the transactions on them."""

from __future__ import annotations

__all__ = [
    "Connection",
    "CursorResult",
    "Database",
    "PoolUse",
    "catalogued",
    "connect_postgresql",
    "connect_sqlite",
    "execute_many",
    "interrupt",
]

import logging
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4
from weakref import WeakSet

from sqlalchemy import Connection, CursorResult, Engine, Executable, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool

from butler_model.cancellation import Cancellation
from butler_model.errors import (
    ButlerError,
    ConfigurationError,
    IncompatibleVersionError,
    InternalError,
    InvalidRequestError,
    OverloadedError,
    ServiceUnavailableError,
    StoreFullError,
)

from .kept_connections import KeptConnections
from .query_clock import QueryClock
from .result_columns import let_results_flow
from .statement_spans import trace_statements, tracing_is_set_up

_SQLITE_BUSY_MILLISECONDS = 20_000
_POOL_TIMEOUT_SECONDS = 10.0
# As long as SQLite waits for its one writer: a transaction may hold what others need for longer than a call may take.
_LOCK_TIMEOUT_SECONDS = 20
_CANCEL_SECONDS = 5.0
# A connection that is refused has no code, only the text of the server.
_NO_LOGIN = re.compile(r'(database|role) ".*" does not exist|authentication failed|no pg_hba\.conf entry')

_LOGGER = logging.getLogger(__name__)

_OPEN: WeakSet[Database] = WeakSet()
_LEFT: list[object] = []
"""Connections of the parent in a process that was forked: to give them up would end them for the parent too."""


@dataclass(frozen=True, slots=True)
class PoolUse:
    """Connections of a pool: those that are in use, those that wait for their next use, and how many there may be."""

    in_use: int
    idle: int
    limit: int


def connect_postgresql(url: str, pool_size: int, *, pooler: bool = False) -> Engine:
    """Return an engine whose pool never holds more than ``pool_size`` connections.

    They commit each statement by themselves, as most uses want it: to change that costs each use time, twice.

    Parameters
    ----------
    pooler
        Whether the other end is a pooler that gives each transaction another session, such as PgBouncer in its
        transaction mode. Then nothing is prepared, and nothing is set for a session.
    """
    parsed = make_url(url).set(drivername="postgresql+psycopg")
    engine = create_engine(
        parsed,
        isolation_level="AUTOCOMMIT",
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=_POOL_TIMEOUT_SECONDS,
        pool_pre_ping=False,
        pool_recycle=1800,
        pool_use_lifo=True,  # the connection used last has its statements prepared
        connect_args={
            "application_name": "butler-registry",
            "connect_timeout": 10,
            **({"prepare_threshold": None} if pooler else {}),
        },
    )
    let_results_flow(engine)
    if pooler:
        event.listen(engine, "begin", _limit_waiting)
        return engine

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        commits = connection.autocommit
        connection.autocommit = True  # else it would be undone with the first transaction
        connection.execute(f"SET lock_timeout = '{_LOCK_TIMEOUT_SECONDS}s'")
        connection.autocommit = commits

    return engine


def _limit_waiting(connection: Connection) -> None:
    if connection.get_execution_options().get("butler_writing", False):
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT_SECONDS}s'")


def connect_sqlite(path: Path, pool_size: int) -> Engine:
    """Return an engine for a SQLite file, in WAL mode: readers never wait for the one writer."""
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=QueuePool,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=_POOL_TIMEOUT_SECONDS,
        connect_args={"check_same_thread": False, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {_SQLITE_BUSY_MILLISECONDS}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")  # a commit that was acknowledged survives a power failure
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A writer takes the lock at once: one that began as a reader could fail when it first writes.
        writing = connection.get_execution_options().get("butler_writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


class Database:
    """Opens transactions, and turns failures of the database into errors of the catalogue.

    Parameters
    ----------
    engine
        Shared by all repositories of a server on PostgreSQL; one per repository on SQLite.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        if tracing_is_set_up():
            trace_statements(engine)
        options = {"isolation_level": "READ COMMITTED"} if engine.dialect.name == "postgresql" else {}
        self._writing = engine.execution_options(butler_writing=True, **options)
        self._kept = KeptConnections(engine)
        self._clock = QueryClock()
        _OPEN.add(self)

    def leave_to_parent(self) -> None:
        """Begin with connections of its own, in a process that was forked; those that there are stay the parent's."""
        _LEFT.append((self._kept, self._clock, self.engine.pool))
        self.engine.dispose(close=False)
        self._kept = KeptConnections(self.engine)
        self._clock = QueryClock()

    @property
    def is_postgresql(self) -> bool:
        """Whether this is PostgreSQL (else SQLite)."""
        return self.engine.dialect.name == "postgresql"

    @property
    def may_stream(self) -> bool:
        """Whether a result may have a connection for itself until its last row is read."""
        return True

    @contextmanager
    def reading(self, cancellation: Cancellation | None = None) -> Iterator[Connection]:
        """Give a connection for reading. On PostgreSQL every statement has a snapshot of its own.

        A statement that is cancelled ends with `ServiceUnavailableError`, for which nobody waits any more.
        """
        # A read is one statement or tolerates two: no BEGIN and COMMIT around it.
        with catalogued():
            taken = self._kept.take()
            connection = taken[1]
            try:
                with nullcontext() if cancellation is None else _stoppable(connection, cancellation):
                    yield connection
            except DBAPIError:
                connection.close()
                # Where one is broken, the others may be.
                self._kept.close()
                raise
            except BaseException:
                connection.close()
                raise
            if connection.invalidated:
                connection.close()
            else:
                self._kept.give_back(taken)

    @contextmanager
    def single_statement(self) -> Iterator[Connection]:
        """Give a connection on which each statement is a transaction by itself; for writing only on PostgreSQL."""
        with self.reading() as connection:
            yield connection

    @contextmanager
    def reading_one_state(self) -> Iterator[Connection]:
        """Give a connection on which every statement sees the database as it was at the first."""
        self._kept.make_room()
        engine = self.engine
        if self.is_postgresql:
            engine = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with catalogued(), engine.connect() as connection:
            # Not only with the first statement that SQLAlchemy executes: there may be prepared ones before it.
            transaction = connection.begin()
            yield connection
            # Not rolled back, though nothing was written: the driver forgets what it has prepared after that.
            transaction.commit()

    @contextmanager
    def in_time(self, connection: Connection, seconds: float) -> Iterator[None]:
        """Run a block whose statements are stopped after some time in all, 0 for any; then `QueryTimeoutError`."""
        with self._clock.limited(seconds, lambda: interrupt(connection), lambda: self._let_go(connection)):
            yield

    def _let_go(self, connection: Connection) -> None:
        # The database may hear of it late, and must not stop what somebody else does on the connection.
        connection.invalidate()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection in a transaction that commits at the end, or rolls back if the block raises."""
        self._kept.make_room()
        with catalogued(), self._writing.begin() as connection:
            yield connection

    @contextmanager
    def beginning(self) -> Iterator[Connection]:
        """Give a connection in a transaction that whoever takes it commits; it is rolled back otherwise."""
        self._kept.make_room()
        with catalogued(), self._writing.connect() as connection:
            connection.begin()
            yield connection

    @property
    def pool_use(self) -> PoolUse:
        """How many connections there are now."""
        pool = self.engine.pool
        assert isinstance(pool, QueuePool)
        kept = len(self._kept)
        # To the pool, those that are kept between reads are in use.
        return PoolUse(max(pool.checkedout() - kept, 0), pool.checkedin() + kept, pool.size())

    def close(self) -> None:
        """Close all connections that nobody uses."""
        self._clock.close()
        self._kept.close()
        self.engine.dispose()


@contextmanager
def _stoppable(connection: Connection, cancellation: Cancellation) -> Iterator[None]:
    try:
        with cancellation.stopping(lambda: interrupt(connection)):
            yield
    finally:
        if cancellation.requested:
            # The database may hear of it late, and must not stop what somebody else does on the connection.
            connection.invalidate()


def interrupt(connection: Connection) -> None:
    """Stop the statement that runs on a connection, from another thread; if that fails, it is tried again."""
    driver: Any = connection.connection.driver_connection
    dbapi: Any = connection.dialect.dbapi
    with suppress(dbapi.Error):
        if connection.dialect.name == "postgresql":
            driver.cancel_safe(timeout=_CANCEL_SECONDS)
        else:
            driver.interrupt()


def execute_many(connection: Connection, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> int:
    """Execute a statement once per row; return how many rows of the database it touched.

    A single row is sent as one statement: the driver's way for many begins with another round trip.
    """
    if not rows:
        return 0
    parameters = rows if len(rows) > 1 else rows[0]
    options = {"preserve_rowcount": True}
    return connection.execute(statement, parameters, execution_options=options).rowcount


@contextmanager
def catalogued() -> Iterator[None]:
    """Make what the database raises in a block an error of the catalogue."""
    try:
        yield
    except PoolTimeoutError as error:
        raise OverloadedError(
            f"All database connections were busy for {_POOL_TIMEOUT_SECONDS:g} s; try again."
        ) from error
    except DBAPIError as error:
        raise _translated(error) from error


def _translated(error: DBAPIError) -> ButlerError:
    text = str(error.orig).strip()
    state = getattr(error.orig, "sqlstate", None) or ""
    if "disk is full" in text or state == "53100":
        return StoreFullError("The registry's database has no room left on its disk.")
    if _NO_LOGIN.search(text):
        return ConfigurationError(f"The registry cannot log in to its database: {text}")
    if "file is not a database" in text or "no such table" in text or state == "42P01":
        return IncompatibleVersionError(
            "The database does not hold a repository of this software, or a table of it is gone; check its address."
        )
    if isinstance(error, DataError):
        return InvalidRequestError("A value of the request is one that the registry's database cannot hold.")
    if "readonly database" in text or state == "25006":
        return ServiceUnavailableError(
            "The registry's database is read-only now; nothing can be changed. Try later."
        )
    if "locked" in text or state in ("40001", "40P01", "55P03"):
        return ServiceUnavailableError("The registry's database is busy with other writers; try again.")
    if "no such savepoint" in text or "no transaction is active" in text:
        # SQLite rolls back by itself where a write is stopped, or its disk fails; what is said here hides that.
        return ServiceUnavailableError("The registry's database undid the transaction by itself; try again.")
    if isinstance(error, OperationalError | InterfaceError) and not _is_refusal(error):
        return ServiceUnavailableError("The registry cannot reach its database; try again later.")
    identifier = uuid4().hex
    _LOGGER.error("The database refused a statement (%s).", identifier, exc_info=error)
    return InternalError(
        f"The registry's database refused a statement; the log has the details under {identifier}.",
        id=identifier,
    )


def _is_refusal(error: DBAPIError) -> bool:
    """Return whether SQLite does not take a statement: it raises for that what it raises for files, too."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code is not None and code & 0xFF == sqlite3.SQLITE_ERROR


def _begin_in_child() -> None:
    for database in list(_OPEN):
        database.leave_to_parent()


# Two processes that talk on one socket would get each other's answers.
os.register_at_fork(after_in_child=_begin_in_child)
