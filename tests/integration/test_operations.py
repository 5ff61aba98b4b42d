# SPDX-License-Identifier: BSD-3-Clause
"""The operators' manual leads from nothing to a served repository: its commands are run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.s3 import S3Server
from tools.deployment import ROOT
from tools.servers.process import free_ports

_BLOCK = re.compile(r"<!-- run -->\n```sh\n(.*?)```", re.DOTALL)
_PORTS = ("50051", "50052", "9464", "9465")


def test_the_commands_of_the_manual_lead_to_a_served_repository(
    postgres_database: str, s3_server: S3Server, s3_bucket: str, tmp_path: Path
) -> None:
    blocks = _BLOCK.findall((ROOT / "docs/operations.md").read_text())
    assert len(blocks) == 6
    script = "set -eu\n" + "\n".join(blocks)
    # Whatever else runs on this machine may have the usual ones.
    for usual, free in zip(_PORTS, free_ports(len(_PORTS)), strict=True):
        script = script.replace(usual, str(free))
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DATABASE": postgres_database,
        "S3_ENDPOINT": s3_server.endpoint,
        "BUCKET": s3_bucket,
        "AWS_ACCESS_KEY_ID": s3_server.access_key,
        "AWS_SECRET_ACCESS_KEY": s3_server.secret_key,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    try:
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=150,
        )
    except subprocess.TimeoutExpired:
        pytest.fail("\n".join(file.read_text() for file in tmp_path.glob("*.log")))
    finally:
        for file in tmp_path.glob("*.pid"):
            subprocess.run(["kill", "-KILL", file.read_text().strip()], check=False, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "{'it': 'works'}" in done.stdout
    assert "butler_calls_total{" in done.stdout
    assert re.search(r"^main: \d+, as it was$", done.stdout, re.MULTILINE)
