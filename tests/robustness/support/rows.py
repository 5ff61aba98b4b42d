# SPDX-License-Identifier: BSD-3-Clause
"""What is in the database of a repository, seen without the product."""

from __future__ import annotations

__all__ = ["DatabaseRows"]

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
import psycopg.sql

_ANSWER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class DatabaseRows:
    """The tables of one repository. Rows of PostgreSQL are read over one connection, made anew when a restart broke it.

    Parameters
    ----------
    url
        As the registry is told.
    """

    url: str
    repository: str
    _kept: list[psycopg.Connection[tuple[Any, ...]]] = field(default_factory=list, repr=False, compare=False)

    @property
    def is_postgresql(self) -> bool:
        """Whether this is PostgreSQL (else SQLite)."""
        return self.url.startswith("postgresql")

    def select(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query; placeholders are ``?``, UUIDs come as such."""
        if self.is_postgresql:
            return self._select_from_postgresql(statement.replace("?", "%s").encode(), parameters)
        connection = self._sqlite()
        try:
            rows = connection.execute(statement, parameters).fetchall()
        finally:
            connection.close()
        return [tuple(_uuid(value) for value in row) for row in rows]

    def _select_from_postgresql(self, statement: bytes, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        # A check reads some twenty tables; a connection for each would cost PostgreSQL more than all that is tested.
        if self._kept:
            try:
                return self._kept[0].execute(statement, parameters).fetchall()
            except psycopg.OperationalError:
                self._kept.pop().close()
        server = self._postgresql()
        server.autocommit = True
        self._kept.append(server)
        return server.execute(statement, parameters).fetchall()

    def close(self) -> None:
        """Give back the connection."""
        while self._kept:
            self._kept.pop().close()

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        """Change something behind the back of the product."""
        if self.is_postgresql:
            with self._postgresql() as server:
                server.execute(statement.replace("?", "%s").encode(), parameters)
            return
        connection = self._sqlite()
        try:
            values = [value.bytes if isinstance(value, UUID) else value for value in parameters]
            connection.execute(statement, values)
            connection.commit()
        finally:
            connection.close()

    @contextmanager
    def connected(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """Give a connection to PostgreSQL in a transaction, which ends with the block."""
        with self._postgresql() as server:
            yield server

    @contextmanager
    def until_thrown_out(self) -> Iterator[None]:
        """After the block wait until PostgreSQL, which is to notice what was done there, has ended all connections."""
        witness = self._postgresql()
        try:
            yield
            deadline = time.monotonic() + _ANSWER_SECONDS
            while time.monotonic() < deadline:
                witness.execute("SELECT 1")
                time.sleep(0.002)
        except psycopg.OperationalError:
            pass
        finally:
            witness.close()

    def configure(self, what: str) -> None:
        """Change a setting of the PostgreSQL database, whatever it is set to; new connections see it."""
        with self._postgresql() as server:
            server.execute("SET default_transaction_read_only = off")
            server.commit()
            name = psycopg.sql.Identifier(server.info.dbname)
            server.execute(psycopg.sql.SQL("ALTER DATABASE {} " + what).format(name))

    def throw_out(self) -> None:
        """Terminate all other connections to this database."""
        self.select(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    def tables(self, prefix: str) -> list[str]:
        """Return the names of the tables that begin so."""
        catalogue = (
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
            if self.is_postgresql
            else "SELECT name FROM sqlite_master WHERE type = 'table'"
        )
        return sorted(name for (name,) in self.select(catalogue) if name.startswith(prefix))

    def victim(self) -> int:
        """Return the process id of a backend of PostgreSQL that serves the registry of this database."""
        query = (
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "ORDER BY application_name = 'butler-registry' DESC, state_change DESC"
        )
        rows = self.select(query)
        if rows:
            return int(rows[0][0])
        return int(self.select("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")[0][0])

    def wait_until_it_answers(self) -> None:
        """Wait for the end of a recovery."""
        # A connection of before may be the last that is thrown out, and answer still.
        self.close()
        deadline = time.monotonic() + _ANSWER_SECONDS
        while True:
            try:
                self.select("SELECT 1")
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return

    def _postgresql(self) -> psycopg.Connection[tuple[Any, ...]]:
        server = self.url.replace("postgresql+psycopg://", "postgresql://", 1)
        return psycopg.connect(server, options=f"-c search_path=butler_{self.repository}")

    def _sqlite(self) -> sqlite3.Connection:
        path = f"{self.url.removeprefix('sqlite:///')}/{self.repository}.sqlite3"
        connection = sqlite3.connect(path, timeout=20)
        connection.execute("PRAGMA foreign_keys = OFF")
        return connection


def _uuid(value: object) -> object:
    return UUID(bytes=value) if isinstance(value, bytes) and len(value) == 16 else value
