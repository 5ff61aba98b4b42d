# SPDX-License-Identifier: BSD-3-Clause
"""The components that other tests stand on do what those tests rely on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from botocore.exceptions import ClientError
from sqlalchemy import create_engine, text

from tests.support.s3 import S3Server
from tools.servers.postgres import PostgresServer
from tools.servers.process import running

ROOT = Path(__file__).resolve().parents[2]


def test_a_postgres_database_is_empty_durable_and_speaks_utf8(postgres_database: str) -> None:
    engine = create_engine(postgres_database)
    with engine.begin() as connection:
        tables = connection.execute(text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"))
        assert tables.scalar_one() == 0
        assert connection.execute(text("SHOW fsync")).scalar_one() == "on"
        assert connection.execute(text("SHOW server_encoding")).scalar_one() == "UTF8"
        connection.execute(text("CREATE TABLE star (name text PRIMARY KEY)"))
        connection.execute(text("INSERT INTO star VALUES ('Čapek ★')"))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT name FROM star")).scalar_one() == "Čapek ★"
    engine.dispose()


def test_postgres_databases_do_not_see_each_other(postgres_server: PostgresServer) -> None:
    urls = [postgres_server.create_database() for _ in range(2)]
    first, second = (create_engine(url) for url in urls)
    try:
        with first.begin() as connection:
            connection.execute(text("CREATE TABLE only_here (n int)"))
        with second.connect() as connection:
            assert connection.execute(text("SELECT to_regclass('only_here')")).scalar_one() is None
    finally:
        for engine, url in zip((first, second), urls, strict=True):
            engine.dispose()
            postgres_server.drop_database(url)


def test_a_postgres_database_is_dropped_under_an_open_connection(postgres_server: PostgresServer) -> None:
    url = postgres_server.create_database()
    engine = create_engine(url)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        postgres_server.drop_database(url)
        connection.invalidate()
    engine.dispose()


def test_s3_gives_back_the_bytes_and_the_ranges_that_were_put(s3_server: S3Server, s3_bucket: str) -> None:
    client = s3_server.client()
    body = bytes(range(256)) * 4096
    client.put_object(Bucket=s3_bucket, Key="run/type/a%20b=1.bin", Body=body)
    assert client.get_object(Bucket=s3_bucket, Key="run/type/a%20b=1.bin")["Body"].read() == body
    part = client.get_object(Bucket=s3_bucket, Key="run/type/a%20b=1.bin", Range="bytes=255-257")
    assert part["Body"].read() == b"\xff\x00\x01"


def test_s3_never_replaces_an_object_on_a_conditional_put(s3_server: S3Server, s3_bucket: str) -> None:
    client = s3_server.client()
    client.put_object(Bucket=s3_bucket, Key="key", Body=b"first", IfNoneMatch="*")
    with pytest.raises(ClientError) as caught:
        client.put_object(Bucket=s3_bucket, Key="key", Body=b"second", IfNoneMatch="*")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    assert client.get_object(Bucket=s3_bucket, Key="key")["Body"].read() == b"first"


def test_s3_refuses_an_identity_that_it_does_not_know(s3_server: S3Server, s3_bucket: str) -> None:
    stranger = S3Server(s3_server.endpoint, s3_server.access_key, "not-the-secret", s3_server.region)
    with pytest.raises(ClientError) as caught:
        stranger.client().list_objects_v2(Bucket=s3_bucket)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_the_shared_exports_are_exports(shared_data: Path) -> None:
    export = yaml.load((shared_data / "base.yaml").read_text(), Loader=yaml.CSafeLoader)
    assert export["description"]


def test_a_server_ends_and_its_folder_vanishes_when_its_test_process_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from tools.servers.process import running\n"
        "server = 'import os, time; print(os.getpid(), flush=True); time.sleep(600)'\n"
        f"folder = Path({str(folder)!r})\n"
        "with running([sys.executable, '-c', server], log=folder / 'log', remove=folder):\n"
        "    time.sleep(600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    log = folder / "log"
    deadline = time.monotonic() + 20
    while not (log.exists() and log.read_text().endswith("\n")) and time.monotonic() < deadline:
        time.sleep(0.02)
    server = int(log.read_text())
    process.send_signal(signal.SIGKILL)
    process.wait()
    while _alive(server) or folder.exists():
        assert time.monotonic() < deadline, f"server {server} outlived its test process"
        time.sleep(0.02)


def test_a_server_that_ends_at_once_is_reported_with_what_it_said(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no such luck')"]
    with running(command, log=tmp_path / "log") as server:
        server.keeper.wait()
        with pytest.raises(RuntimeError, match="no such luck"):
            server.check()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
