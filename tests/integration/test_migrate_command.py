# SPDX-License-Identifier: BSD-3-Clause
"""``python -m butler_registry migrate``: repositories of older software become those of this one while services run."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from alembic import command
from sqlalchemy import Connection, create_engine, text

from butler_model.errors import IncompatibleVersionError
from butler_model.grants import TokenSigner
from butler_model.universe import DimensionUniverse
from butler_registry.application import RegistryApplication
from butler_registry.migrations import alembic_config
from butler_registry.storage.schema import SCHEMA_REVISION

SIGNER = TokenSigner([b"k" * 32])
OLDER = "0002"
NEWER = "9999"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of a database for repositories."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}"
    url: str = request.getfixturevalue("postgres_database")
    return url


@pytest.fixture
def repositories(database: str) -> Iterator[RegistryApplication]:
    """Give the repositories ``a`` and ``b``."""
    with closing(RegistryApplication(database, SIGNER)) as made:
        for name in ("a", "b"):
            made.create(name, DimensionUniverse(), request_id=uuid4())
        yield made


@contextmanager
def tables_of(database: str, name: str) -> Iterator[tuple[Connection, str | None]]:
    """Give a transaction in the tables of a repository, and their schema."""
    sqlite = database.startswith("sqlite")
    engine = create_engine(f"{database}/{name}.sqlite3" if sqlite else database)
    with engine.begin() as connection:
        yield connection, None if sqlite else f"butler_{name}"
    engine.dispose()


def make_older(database: str, name: str) -> None:
    """Give a repository the tables of older software."""
    with tables_of(database, name) as (connection, schema):
        command.downgrade(alembic_config(connection, schema), OLDER)
    say_revision(database, name, OLDER)


def say_revision(database: str, name: str, revision: str) -> None:
    with tables_of(database, name) as (connection, schema):
        prefix = f"{schema}." if schema else ""
        statement = f"UPDATE {prefix}attribute SET value = '{revision}' WHERE name = 'schema_revision'"
        connection.execute(text(statement))


def migrate(database: str, folder: Path) -> str:
    """Run the command; return what it prints."""
    keys = folder / "keys"
    keys.write_text(secrets.token_hex(32))
    settings = {"BUTLER_REGISTRY_DATABASE": database, "BUTLER_REGISTRY_SIGNING_KEYS": str(keys)}
    program = [sys.executable, "-m", "butler_registry", "migrate"]
    done = subprocess.run(
        program, env={**os.environ, **settings}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_older_repositories_are_migrated_and_others_left_alone(
    database: str, repositories: RegistryApplication, tmp_path: Path
) -> None:
    make_older(database, "a")
    with (
        closing(RegistryApplication(database, SIGNER)) as fresh,
        pytest.raises(IncompatibleVersionError, match="migrate"),
    ):
        fresh.open("a")
    printed = migrate(database, tmp_path)
    assert printed.splitlines() == [f"a: {OLDER} -> {SCHEMA_REVISION}", f"b: {SCHEMA_REVISION}, as it was"]
    with closing(RegistryApplication(database, SIGNER)) as fresh:
        fresh.check()
        assert fresh.open("a").info.name == "a"
    assert "->" not in migrate(database, tmp_path)


def test_of_several_that_migrate_at_once_one_does_it(postgres_database: str) -> None:
    with closing(RegistryApplication(postgres_database, SIGNER)) as made:
        made.create("c", DimensionUniverse(), request_id=uuid4())
        make_older(postgres_database, "c")
        with ThreadPoolExecutor(4) as pool:
            done = list(pool.map(lambda _: made.migrate("c"), range(4)))
    assert sorted(each.before for each in done) == [OLDER, *[SCHEMA_REVISION] * 3]


def test_a_repository_of_newer_software_is_not_touched(
    database: str, repositories: RegistryApplication
) -> None:
    say_revision(database, "a", NEWER)
    with pytest.raises(IncompatibleVersionError, match=NEWER):
        repositories.migrate("a")


def test_a_service_is_not_ready_before_the_migration_and_stays_ready_after_the_next_one(
    database: str, repositories: RegistryApplication
) -> None:
    make_older(database, "a")
    with pytest.raises(IncompatibleVersionError, match=f"'a' has schema {OLDER}"):
        repositories.check()
    repositories.migrate("a")
    repositories.check()
    say_revision(database, "a", NEWER)
    repositories.check()
