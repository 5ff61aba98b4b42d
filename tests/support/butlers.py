# SPDX-License-Identifier: BSD-3-Clause
"""Fresh repositories of every kind that a butler can have: embedded and through services, SQLite and PostgreSQL."""

from __future__ import annotations

__all__ = [
    "DEPLOYMENTS",
    "Deployment",
    "Repository",
    "deployment",
    "new_repository",
    "on_every_store",
    "on_posix_and_s3",
]

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect, text

from butler import Butler
from butler.configuration import CONFIGURATION_FILE, split_stores
from butler_api.server import build_server
from butler_datastore.application import DatastoreApplication
from butler_datastore.remote_ledger import RemoteLedgers
from butler_datastore.servicers import datastore_services
from butler_datastore.store_tables import store_configs
from butler_model.grants import TokenSigner
from butler_model.repository import Limits
from butler_registry.application import RegistryApplication
from butler_registry.servicers import registry_services
from tests.support.stores import StorePlace, read, write_file
from tests.support.survey import insert_survey, register_types
from tools.servers.process import free_ports

DEPLOYMENTS = ("embedded-sqlite", "embedded-postgresql", "grpc-sqlite", "grpc-postgresql")
on_every_store = pytest.mark.parametrize("store_kind", ["posix", "s3", "memory", "memory + posix"])
"""Repeats a test, or with ``pytestmark`` all of a module, with artifacts in stores of every kind."""
on_posix_and_s3 = pytest.mark.parametrize("store_kind", ["posix", "s3"])
"""Repeats a test with artifacts in a directory and in a bucket."""


@dataclass(slots=True)
class Deployment:
    """A place for repositories.

    Attributes
    ----------
    root
        What `Butler.makeRepo` takes to make the repository ``main``.
    database
        SQLAlchemy URL of its database, to look into it.
    schema
        Schema of its tables; `None` on SQLite.
    artifacts
        Directory of its artifacts, if they are in files.
    drop
        Directory from which the datastore takes files itself; embedded it takes all others too.
    store
        Where its artifacts are, if that is another place than a directory of its own.
    options
        What else `Butler.makeRepo` needs.
    """

    root: str
    database: str
    schema: str | None
    artifacts: Path
    drop: Path
    store: StorePlace | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def other(self, name: str) -> str:
        """Return the root of another repository of the same kind."""
        return self.root.removesuffix("main") + name


@dataclass(slots=True)
class Repository:
    """An empty repository, and a way to see what is in it without asking it.

    Attributes
    ----------
    address
        What a `Butler` is opened with.
    """

    deployment: Deployment
    address: str
    opened: list[Butler] = field(default_factory=list)

    def butler(self, **arguments: Any) -> Butler:
        """Open a butler, which is closed when the test ends."""
        butler = Butler(self.address, **arguments)
        self.opened.append(butler)
        return butler

    def close(self) -> None:
        """Close the butlers that were opened."""
        for butler in self.opened:
            butler.close()

    def surveyed(self, run: str = "run1", **arguments: Any) -> Butler:
        """Insert a small survey and register its dataset types; return a butler that writes to ``run``."""
        butler = self.butler(run=run, **arguments)
        insert_survey(butler)
        register_types(butler)
        return butler

    def files(self) -> dict[str, bytes]:
        """Return the name and content of every artifact, and of every other file among them.

        Nobody can look into the memory of a service.
        """
        place = self.deployment.store
        if place is not None:
            store = place.open()
            return {key: read(store, key, store.size(key) or 0) for key in place.all_keys()}
        mine = (CONFIGURATION_FILE, "main.sqlite3")
        root = self.deployment.artifacts
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in root.rglob("*")
            if path.is_file() and not path.name.startswith(mine)
        }

    def write_behind(self, key: str, content: bytes) -> None:
        """Change or add an artifact behind everybody's back."""
        place = self.deployment.store
        if place is None:
            write_file(self.deployment.artifacts, key, content)
        else:
            place.write_behind(key, content)

    def delete_behind(self, key: str) -> None:
        """Delete an artifact behind everybody's back."""
        place = self.deployment.store
        if place is None:
            (self.deployment.artifacts / key).unlink()
        else:
            place.delete_behind(key)

    def rows(self) -> dict[str, int]:
        """Return the number of rows of every table."""
        engine = create_engine(self.deployment.database)
        schema = self.deployment.schema
        try:
            with engine.connect() as connection:
                tables = inspect(connection).get_table_names(schema=schema)
                prefix = f'"{schema}".' if schema else ""
                return {
                    table: connection.execute(text(f'SELECT count(*) FROM {prefix}"{table}"')).scalar_one()
                    for table in tables
                }
        finally:
            engine.dispose()

    def content(self) -> tuple[dict[str, int], dict[str, bytes]]:
        """Return all that a failed call must leave as it was: rows and files."""
        return self.rows(), self.files()


@contextmanager
def deployment(
    kind: str, folder: Path, postgresql: str | None, store: StorePlace | None = None
) -> Iterator[Deployment]:
    """Give a place without repositories.

    Parameters
    ----------
    kind
        One of `DEPLOYMENTS`.
    folder
        An empty directory.
    postgresql
        SQLAlchemy URL of an empty database, for the kinds that need one.
    store
        Where the artifacts are to be; in the folder if `None`.
    """
    drop = folder / "drop"
    drop.mkdir()
    shape, _, database = kind.partition("-")
    schema = "butler_main" if database == "postgresql" else None
    if shape == "embedded":
        root = folder / "main"
        url = postgresql or f"sqlite:///{root}/main.sqlite3"
        options: dict[str, Any] = {"database": postgresql} if postgresql else {}
        if store is not None:
            options["stores"] = {"main": store.settings}
        yield Deployment(str(root), url, schema, root, drop, store, options)
        return
    artifacts, tables = folder / "artifacts", folder / "tables"
    tables.mkdir()
    settings = {"root": f"{artifacts}/{{repository}}"} if store is None else store.settings
    with _served(postgresql or f"sqlite:///{tables}", settings, drop) as address:
        url = postgresql or f"sqlite:///{tables}/main.sqlite3"
        yield Deployment(f"grpc://{address}/main", url, schema, artifacts / "main", drop, store)


@contextmanager
def _served(database: str, settings: dict[str, Any], drop: Path) -> Iterator[str]:
    """Run both services on free ports of this process; give the registry's address."""
    signer = TokenSigner([secrets.token_bytes(32)])
    where, placements = split_stores({"main": settings})
    with ExitStack() as stack:
        # Each is told where the other one is.
        registry_address = f"127.0.0.1:{free_ports(1)[0]}"
        ledgers = RemoteLedgers(registry_address, signer)
        stack.callback(ledgers.close)
        datastore = DatastoreApplication(
            store_configs(where), signer, ingest_roots=[str(drop)], ledgers=ledgers
        )
        stack.callback(datastore.close)
        datastore_server = build_server(datastore_services(datastore, Limits()), "127.0.0.1:0")
        stack.callback(datastore_server.stop, 0)
        datastore_server.start()
        registry = RegistryApplication(
            database, signer, stores=placements, datastore_endpoint=datastore_server.address
        )
        stack.callback(registry.close)
        registry_server = build_server(registry_services(registry, Limits()), registry_address)
        stack.callback(registry_server.stop, 0)
        registry_server.start()
        yield registry_server.address


@contextmanager
def new_repository(request: pytest.FixtureRequest, folder: Path) -> Iterator[Deployment]:
    """Give an empty repository for a fixture whose parameter is one of `DEPLOYMENTS`; it may be of any scope."""
    with ExitStack() as stack:
        database = None
        if request.param.endswith("postgresql"):
            server = request.getfixturevalue("postgres_server")
            database = server.create_database()
            stack.callback(server.drop_database, database)
        place = stack.enter_context(deployment(request.param, folder, database))
        Butler.makeRepo(place.root, **place.options)
        yield place
