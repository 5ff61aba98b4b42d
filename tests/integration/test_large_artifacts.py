# SPDX-License-Identifier: BSD-3-Clause
"""What moves, and what stays in memory, when artifacts are large."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from butler import Butler
from butler.remote import RemoteDatastore
from butler_api.process import read_signing_keys
from butler_api.server import build_server
from butler_datastore.application import DatastoreApplication
from butler_datastore.servicers import datastore_services
from butler_datastore.store_tables import store_config
from butler_model.artifact import Grant, Operation, sha256
from butler_model.grants import TokenSigner
from butler_model.repository import Limits
from butler_registry.application import RegistryApplication
from butler_registry.servicers import registry_services
from tests.support.proxy import Proxy, proxy_to
from tests.support.s3 import S3Server
from tests.support.stores import s3_settings
from tests.support.survey import insert_survey, register_types
from tools.servers.services import new_keys, own_datastore

MEBIBYTE = 2**20
ROWS, COLUMNS = 131_072, 100


@dataclass(frozen=True)
class Wired:
    """A butler behind proxies that see every byte of its artifacts."""

    butler: Butler
    wires: tuple[Proxy, ...]

    def passed(self) -> int:
        """Return how many bytes passed until now."""
        return sum(wire.up + wire.down for wire in self.wires)


@pytest.fixture(params=["gRPC", "S3"])
def wired(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Wired]:
    settings: dict[str, Any] = {"root": str(tmp_path / "artifacts" / "{repository}")}
    with ExitStack() as stack:
        wires = []
        if request.param == "S3":
            server: S3Server = request.getfixturevalue("s3_server")
            wires.append(stack.enter_context(proxy_to(server.endpoint.removeprefix("http://"))))
            bucket: str = request.getfixturevalue("s3_bucket")
            settings = s3_settings(server, bucket, tmp_path, endpoint=f"http://{wires[0].address}")
        signer = TokenSigner([b"a key for tests of large artifacts"])
        datastore = DatastoreApplication({"main": store_config(settings)}, signer)
        stack.callback(datastore.close)
        datastore_server = build_server(datastore_services(datastore, Limits()), "127.0.0.1:0")
        datastore_server.start()
        stack.callback(datastore_server.stop, 0)
        wires.append(stack.enter_context(proxy_to(datastore_server.address)))
        registry = RegistryApplication(f"sqlite:///{tmp_path}", signer, datastore_endpoint=wires[-1].address)
        stack.callback(registry.close)
        registry_server = build_server(registry_services(registry, Limits()), "127.0.0.1:0")
        registry_server.start()
        stack.callback(registry_server.stop, 0)
        root = f"grpc://{registry_server.address}/main"
        Butler.makeRepo(root)
        butler = stack.enter_context(Butler(root, run="run1"))
        insert_survey(butler)
        register_types(butler)
        yield Wired(butler, tuple(wires))


def test_two_columns_of_a_hundred_move_two_columns(wired: Wired) -> None:
    """Issue C: less than 5 MB of a table of 100 MB."""
    random = np.random.default_rng(3)
    frame = pd.DataFrame({f"c{number}": random.random(ROWS) for number in range(COLUMNS)})
    ref = wired.butler.put(frame, "frame", instrument="Cam1", detector=1)
    assert wired.passed() > 100_000_000
    before = wired.passed()
    part = wired.butler.get(ref, parameters={"columns": ["c7", "c93"]})
    moved = wired.passed() - before
    pd.testing.assert_frame_equal(part, frame[["c7", "c93"]])
    assert moved < 5_000_000
    before = wired.passed()
    assert wired.butler.get("frame.rowcount", instrument="Cam1", detector=1) == ROWS
    assert wired.passed() - before < 500_000


@dataclass(frozen=True)
class Zeros:
    """Pieces of zeros, made as they are wanted."""

    size: int

    def __iter__(self) -> Iterator[bytes]:
        return (bytes(MEBIBYTE) for _ in range(self.size // MEBIBYTE))


def test_a_large_artifact_is_nowhere_whole_in_memory(tmp_path: Path) -> None:
    """Issue C: client and service grow by less than 100 MB."""
    size = 300 * MEBIBYTE
    keys = new_keys(tmp_path)
    signer = TokenSigner(read_signing_keys(keys))
    checksum = sha256(Zeros(size))

    def grant(operation: Operation) -> bytes:
        recorded = checksum if operation is Operation.READ else ""
        expires = int(time.time()) + 600
        return signer.sign_grant(
            Grant(operation, "main", "main", "run/a", uuid.uuid4(), "", size, recorded, expires)
        )

    stores = {"main": {"root": f"{tmp_path}/{{repository}}", "durable": False}}
    with own_datastore(stores, keys, tmp_path) as address:
        datastore = RemoteDatastore(address)
        processes = [Path("/proc/self"), service_process(keys)]
        datastore.exists([grant(Operation.READ)])
        idle = [memory(process, "VmRSS") for process in processes]
        for process in processes:
            # Forgets the highest value so far.
            (process / "clear_refs").write_text("5")
        assert datastore.write(grant(Operation.WRITE), Zeros(size), size=size).receipt.checksum == checksum
        assert sum(len(piece) for piece in datastore.read(grant(Operation.READ))) == size
        most = [memory(process, "VmHWM") for process in processes]
        datastore.close()
    assert all(high - low < 100_000_000 for high, low in zip(most, idle, strict=True)), (idle, most)


def service_process(keys: Path) -> Path:
    """Return the directory in /proc of the service that was told of these keys."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command, environment = (
                (process / name).read_bytes().split(b"\0") for name in ("cmdline", "environ")
            )
        except OSError:
            continue
        told = f"BUTLER_DATASTORE_SIGNING_KEYS={keys}".encode() in environment
        if told and command[1:4] == [b"-m", b"butler_datastore", b"serve"]:
            return process
    raise AssertionError("the service does not run")


def memory(process: Path, name: str) -> int:
    """Return a value of /proc/<pid>/status in bytes."""
    for line in (process / "status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(name)
