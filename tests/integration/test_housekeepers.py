# SPDX-License-Identifier: BSD-3-Clause
"""Several housekeepers at once need no leader: each claims its share, and nothing is deleted twice or forgotten."""

from __future__ import annotations

import json
import secrets
import time
from contextlib import ExitStack
from pathlib import Path

from butler import Butler, DatasetType
from tests.support.watched_services import served
from tools.servers.process import free_ports

_DATASETS = 300
_ARTIFACTS = "butler_purged_artifacts_total{outcome=%s,repository=r}"


def test_two_housekeepers_share_the_trash_and_delete_each_artifact_once(
    postgres_database: str, tmp_path: Path
) -> None:
    (tmp_path / "keys").write_text(secrets.token_hex(32))
    address = f"127.0.0.1:{free_ports(1)[0]}"
    stores = {"main": {"root": f"{tmp_path}/store/{{repository}}", "durable": False}}
    with ExitStack() as stack:
        keepers = []
        for name in ("first", "second"):
            folder = tmp_path / name
            folder.mkdir()
            keeper = served(
                "butler_datastore",
                folder,
                SIGNING_KEYS=str(tmp_path / "keys"),
                STORES=json.dumps(stores),
                REGISTRY=address,
                HOUSEKEEPING_SECONDS="0.1",
            )
            keepers.append(stack.enter_context(keeper))
        stack.enter_context(
            served(
                "butler_registry",
                tmp_path,
                ADDRESS=address,
                DATABASE=postgres_database,
                DATASTORE_ENDPOINT=keepers[0].address,
            )
        )
        Butler.makeRepo(f"grpc://{address}/r")
        with Butler(f"grpc://{address}/r", writeable=True) as butler:
            butler.registry.registerDatasetType(DatasetType("blob", (), "Bytes", universe=butler.dimensions))
            for number in range(_DATASETS):
                run = f"run/{number}"
                butler.registry.registerRun(run)
                ref = butler.put(b"content", "blob", run=run)
                # In the trash at once, to be deleted a little later: not by this client, which would do it now.
                butler.pruneDatasets([ref], unstore=True, purge=True, purge_after=1)
        files = tmp_path / "store" / "r"
        deadline = time.monotonic() + 120
        while any(path.is_file() for path in files.rglob("*")) and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(1)
        deleted = [keeper.figures().get(_ARTIFACTS % "deleted", 0.0) for keeper in keepers]
        others = [
            keeper.figures().get(_ARTIFACTS % outcome, 0.0)
            for keeper in keepers
            for outcome in ("failed", "kept")
        ]
    assert sum(deleted) == _DATASETS
    assert min(deleted) > 0
    assert others == [0, 0, 0, 0]
