# SPDX-License-Identifier: BSD-3-Clause
"""Several housekeepers at once need no leader: each claims its share, and nothing is deleted twice or forgotten."""

from __future__ import annotations

import json
import secrets
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from butler import Butler, DatasetType
from tests.support.watched_services import served
from tools.servers.process import free_ports

_DATASETS = 150
_ARTIFACTS = "butler_purged_artifacts_total{outcome=%s,repository=r}"


def fill_trash(address: str) -> None:
    """Make a repository, and put datasets that are in the trash at once and deleted a little later.

    What is deleted at once, the client has deleted.
    """
    Butler.makeRepo(address)
    with Butler(address, writeable=True) as butler:
        butler.registry.registerDatasetType(DatasetType("blob", (), "Bytes", universe=butler.dimensions))
        for number in range(_DATASETS):
            run = f"run/{number}"
            butler.registry.registerRun(run)
            ref = butler.put(b"content", "blob", run=run)
            butler.pruneDatasets([ref], unstore=True, purge=True, purge_after=1)


@pytest.mark.timeout(600)
def test_two_housekeepers_share_the_trash_and_delete_each_artifact_once(
    postgres_database: str, tmp_path: Path
) -> None:
    (tmp_path / "keys").write_text(secrets.token_hex(32))
    address = f"127.0.0.1:{free_ports(1)[0]}"
    datastore = {
        "SIGNING_KEYS": str(tmp_path / "keys"),
        "STORES": json.dumps({"main": {"root": f"{tmp_path}/store/{{repository}}", "durable": False}}),
        "REGISTRY": address,
        "HOUSEKEEPING_SECONDS": "0.1",
    }
    with ExitStack() as stack:
        keepers = []
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
            keepers.append(stack.enter_context(served("butler_datastore", tmp_path / name, **datastore)))
        registry = {"DATABASE": postgres_database, "DATASTORE_ENDPOINT": keepers[0].address}
        stack.enter_context(served("butler_registry", tmp_path, ADDRESS=address, **registry))
        fill_trash(f"grpc://{address}/r")
        deadline = time.monotonic() + 120
        files = tmp_path / "store" / "r"
        while any(path.is_file() for path in files.rglob("*")) and time.monotonic() < deadline:
            time.sleep(0.1)
        # The last deletion is confirmed after the file is gone.
        time.sleep(2)
        figures = [keeper.figures() for keeper in keepers]
    deleted = [each.get(_ARTIFACTS % "deleted", 0.0) for each in figures]
    assert sum(deleted) == _DATASETS
    assert min(deleted) > 0
    assert [each.get(_ARTIFACTS % name, 0.0) for each in figures for name in ("failed", "kept")] == [0] * 4
