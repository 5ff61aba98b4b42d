# SPDX-License-Identifier: BSD-3-Clause
"""The real components that tests run on, one of each per test process."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.data import shared_data_folder
from tests.support.memory import work_in_memory
from tests.support.postgres import postgres_server_for_tests
from tests.support.s3 import S3Server, s3_server_for_tests
from tools.servers.postgres import PostgresServer

# What a test reads comes from its repository, and nothing stays behind in the home of who runs the tests; the tests of
# the cache switch it on.
os.environ["BUTLER_CACHE_EXPIRATION"] = "disabled"

# Of hundreds of processes that tests start, only the first is to compile what all import.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A machine that is busy with something else is no reason for a property to fail.
settings.register_profile("butler", deadline=None)
settings.load_profile("butler")


def pytest_configure() -> None:
    """Work in memory, but for the nightly tests of robustness: what they break is to be as slow as it is."""
    if os.environ.get("BUTLER_ROBUSTNESS") != "nightly":
        work_in_memory()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # As a shell has it for what runs in the background; programs under test would inherit it.
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Take what was imported and collected out of the search for garbage cycles, which took a quarter of the time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Give a PostgreSQL server."""
    with postgres_server_for_tests() as server:
        yield server


@pytest.fixture
def postgres_database(postgres_server: PostgresServer) -> Iterator[str]:
    """Give the SQLAlchemy URL of an empty PostgreSQL database."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """Give an S3 server."""
    with s3_server_for_tests() as server:
        yield server


@pytest.fixture
def s3_bucket(s3_server: S3Server) -> Iterator[str]:
    """Give the name of an empty bucket."""
    name = s3_server.create_bucket()
    yield name
    s3_server.delete_bucket(name)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Give the folder of real exports."""
    return shared_data_folder()
