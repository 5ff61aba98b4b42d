# SPDX-License-Identifier: BSD-3-Clause
"""A PostgreSQL server of the tests' own, or one that was pointed out."""

from __future__ import annotations

__all__ = ["postgres_server_for_tests"]

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import psycopg

from tests.support.requirement import unavailable
from tools.servers.postgres import PACKAGE, PostgresServer, own_postgres_server


@contextmanager
def postgres_server_for_tests() -> Iterator[PostgresServer]:
    """Give the server of ``BUTLER_TEST_POSTGRES`` (a URL), or start one and stop it afterwards.

    The test is skipped, or fails where ``postgres`` is required, when there is neither.
    """
    outside = os.environ.get("BUTLER_TEST_POSTGRES")
    if outside:
        server = PostgresServer(outside.replace("postgresql+psycopg://", "postgresql://", 1))
        try:
            psycopg.connect(server.url, connect_timeout=10).close()
        except psycopg.OperationalError as error:
            unavailable("postgres", f"BUTLER_TEST_POSTGRES does not answer: {error}")
        yield server
        return
    if find_spec(PACKAGE) is None:
        unavailable("postgres", f"neither the package {PACKAGE} nor BUTLER_TEST_POSTGRES is there")
    with own_postgres_server() as server:
        yield server
