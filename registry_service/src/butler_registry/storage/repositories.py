# SPDX-License-Identifier: BSD-3-Clause
"""Where the databases of repositories are: a schema each on PostgreSQL, a file each on SQLite."""

from __future__ import annotations

__all__ = ["PostgresqlRepositories", "RepositoryDatabases", "SqliteRepositories", "open_databases"]

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from butler_model.errors import ConfigurationError, RepositoryExistsError, RepositoryNotFoundError
from butler_model.repository import is_repository_name

from .database import Database, PoolUse, connect_postgresql, connect_sqlite

_SCHEMA_PREFIX = "butler_"
_SUFFIX = ".sqlite3"
# The second is what the loser of two that come at once is told.
_SCHEMA_EXISTS = ("42P06", "23505")

Fill = Callable[[Connection, str | None], None]
"""Makes the tables of a new repository, given a connection in a transaction and the database schema."""


class RepositoryDatabases(Protocol):
    """Finds and makes the databases of repositories."""

    def create(self, name: str, fill: Fill) -> None:
        """Make a database, whole or not at all; `RepositoryExistsError` if there is one of that name."""
        ...

    def open(self, name: str) -> tuple[Database, str | None]:
        """Return a database and the schema in it; `RepositoryNotFoundError` if there is none of that name."""
        ...

    def names(self) -> list[str]:
        """Return the names of all repositories, ascending."""
        ...

    def pool_use(self) -> Mapping[str, PoolUse]:
        """Return how many connections there are, by the name of their pool."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


def open_databases(url: str, pool_size: int = 10, *, pooler: bool = False) -> RepositoryDatabases:
    """Return the databases at ``postgresql+psycopg://...``, or at ``sqlite:///DIRECTORY``.

    ``pooler`` is for PostgreSQL only; see `butler_registry.storage.database.connect_postgresql`.
    """
    if url.startswith("sqlite:///"):
        return SqliteRepositories(Path(url.removeprefix("sqlite:///")), pool_size)
    if url.startswith(("postgresql://", "postgresql+psycopg://")):
        return PostgresqlRepositories(url, pool_size, pooler=pooler)
    raise ConfigurationError(
        f"Unknown registry database {url.split('://')[0]!r}: use postgresql+psycopg://... or sqlite:///DIRECTORY."
    )


class PostgresqlRepositories:
    """Repositories as schemas of one PostgreSQL database, sharing one pool of connections."""

    def __init__(self, url: str, pool_size: int, *, pooler: bool = False) -> None:
        self._database = Database(connect_postgresql(url, pool_size, pooler=pooler))

    def create(self, name: str, fill: Fill) -> None:
        schema = _SCHEMA_PREFIX + name
        with self._database.writing() as connection:
            try:
                connection.execute(text(f'CREATE SCHEMA "{schema}"'))
            except (ProgrammingError, IntegrityError) as error:
                if getattr(error.orig, "sqlstate", None) not in _SCHEMA_EXISTS:
                    raise
                raise _exists(name) from error
            fill(connection, schema)

    def open(self, name: str) -> tuple[Database, str | None]:
        if name not in self.names():
            raise _not_found(name, self.names())
        return self._database, _SCHEMA_PREFIX + name

    def names(self) -> list[str]:
        with self._database.reading() as connection:
            schemas = inspect(connection).get_schema_names()
        names = (s.removeprefix(_SCHEMA_PREFIX) for s in schemas if s.startswith(_SCHEMA_PREFIX))
        return sorted(filter(is_repository_name, names))

    def pool_use(self) -> Mapping[str, PoolUse]:
        return {"registry": self._database.pool_use}

    def close(self) -> None:
        self._database.close()


class SqliteRepositories:
    """Repositories as files ``<name>.sqlite3`` in one directory."""

    def __init__(self, directory: Path, pool_size: int) -> None:
        self._directory = directory
        self._pool_size = pool_size
        self._open: dict[str, Database] = {}

    def create(self, name: str, fill: Fill) -> None:
        target = self._directory / f"{name}{_SUFFIX}"
        if target.exists():
            raise _exists(name)
        self._directory.mkdir(parents=True, exist_ok=True)
        # Made under another name and linked when whole, so that a crash leaves no half-made repository.
        draft = self._directory / f".{name}-{uuid4().hex}{_SUFFIX}"
        database = Database(connect_sqlite(draft, 1))
        try:
            try:
                with database.writing() as connection:
                    fill(connection, None)
            finally:
                database.close()
            os.link(draft, target)
        except FileExistsError as error:
            raise _exists(name) from error
        finally:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{draft}{suffix}").unlink(missing_ok=True)

    def open(self, name: str) -> tuple[Database, str | None]:
        if name not in self._open:
            path = self._directory / f"{name}{_SUFFIX}"
            if not path.is_file():
                raise _not_found(name, self.names())
            self._open[name] = Database(connect_sqlite(path, self._pool_size))
        return self._open[name], None

    def names(self) -> list[str]:
        files = (p for p in self._directory.glob(f"*{_SUFFIX}") if p.is_file())
        return sorted(filter(is_repository_name, (p.name.removesuffix(_SUFFIX) for p in files)))

    def pool_use(self) -> Mapping[str, PoolUse]:
        return {name: database.pool_use for name, database in list(self._open.items())}

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()


def _exists(name: str) -> RepositoryExistsError:
    return RepositoryExistsError(
        f"There is a repository {name!r} already; choose another name.", repository=name
    )


def _not_found(name: str, known: list[str]) -> RepositoryNotFoundError:
    return RepositoryNotFoundError(
        f"There is no repository {name!r} here; there is {', '.join(known) or 'none at all'}.",
        repository=name,
    )
