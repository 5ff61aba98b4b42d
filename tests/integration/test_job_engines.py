# SPDX-License-Identifier: BSD-3-Clause
"""Jobs of Dask and Parsl work through one deployment, which needs no more connections for more of them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from tools.servers.postgres import PostgresServer
from tools.servers.process import ROOT
from tools.servers.services import own_services

POOL = 10
"""The connections of one registry service, at most; and one that listens for events."""


@contextmanager
def counted_connections(server: PostgresServer, database: str) -> Iterator[list[int]]:
    """Count the connections to a database, ten times a second."""
    name, counts, stop = urlsplit(database).path.removeprefix("/"), [0], threading.Event()

    def count() -> None:
        with psycopg.connect(server.url, autocommit=True) as connection:
            while not stop.wait(0.1):
                query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
                (found,) = connection.execute(query, [name]).fetchone() or (0,)
                counts.append(int(found))

    thread = threading.Thread(target=count)
    thread.start()
    try:
        yield counts
    finally:
        stop.set()
        thread.join()


VISITS = 18
DATASETS = 17 * VISITS
"""Each job puts one: a few hundred."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("engine", ["dask", "parsl"])
def test_jobs_in_many_processes_lose_nothing_and_share_the_connections_of_the_service(
    engine: str, postgres_server: PostgresServer, postgres_database: str, tmp_path: Path
) -> None:
    with (
        own_services(postgres_database, tmp_path) as address,
        counted_connections(postgres_server, postgres_database) as counts,
    ):
        command = [sys.executable, "-m", f"examples.{engine}_jobs", f"grpc://{address}/jobs"]
        done = subprocess.run(
            [*command, "--workers", "3", "--visits", str(VISITS)],
            cwd=ROOT,
            env={**os.environ, "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
            timeout=500,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{DATASETS} datasets" in done.stdout, done.stdout
    assert 0 < max(counts) <= POOL + 1
