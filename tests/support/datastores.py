# SPDX-License-Identifier: BSD-3-Clause
"""Every implementation of the datastore, ready to be tested."""

from __future__ import annotations

__all__ = ["DATASTORES", "DATASTORES_ON_FILES", "LIMITS", "DatastoreSetup", "datastore_setup"]

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from butler.remote import RemoteDatastore
from butler_api.server import build_server
from butler_datastore.application import DatastoreApplication
from butler_datastore.servicers import datastore_services
from butler_datastore.store_tables import store_config
from butler_model.artifact import Grant, Operation, Receipt, sha256
from butler_model.grants import TokenSigner
from butler_model.ports import Datastore
from butler_model.repository import Limits
from tests.support.s3 import S3Server
from tests.support.stores import files, objects, s3_settings

LIMITS = Limits(batch_items=50, inline_bytes=4_000, batch_bytes=20_000)
"""Small, so that tests can pass them."""


@dataclass(frozen=True, slots=True)
class DatastoreSetup:
    """A datastore with the stores ``main`` and ``second``, and the registry's part in using it.

    Attributes
    ----------
    folder
        Has a folder for each store, with one for each repository, in which the artifacts are files, if they are.
    listing
        Gives the paths of all artifacts, of whatever store and repository.
        Has a folder for each store, with one for each repository, in which the artifacts are files.
    drop
        The directory from which files may be taken.
    """

    datastore: Datastore
    signer: TokenSigner
    folder: Path
    listing: Callable[[], list[str]]
    drop: Path

    def grant(self, operation: Operation, key: str, size: int, checksum: str = "", **fields: Any) -> bytes:
        """Return a grant of ten minutes, in the store and the repository ``main`` if ``fields`` do not differ."""
        values = {
            "operation": operation,
            "repository": "main",
            "store": "main",
            "key": key,
            "dataset_id": uuid.uuid4(),
            "component": "",
            "size": size,
            "checksum": checksum,
            "expires": int(time.time()) + 600,
        }
        return self.signer.sign_grant(Grant(**{**values, **fields}))

    def write_grant(self, key: str, size: int = 2**40, **fields: Any) -> bytes:
        """Return a grant to write at most ``size`` bytes."""
        return self.grant(Operation.WRITE, key, size, **fields)

    def read_grant(self, receipt: Receipt, **fields: Any) -> bytes:
        """Return a grant to read what a receipt is for."""
        recorded = {
            name: getattr(receipt, name) for name in ("repository", "store", "dataset_id", "component")
        }
        return self.grant(
            Operation.READ, receipt.key, receipt.size, receipt.checksum, **{**recorded, **fields}
        )

    def adopt_grant(self, key: str, store: str = "main", **fields: Any) -> bytes:
        """Return a grant to adopt what is under a key."""
        return self.grant(Operation.ADOPT, key, 2**40, store=store, **fields)

    def grant_of_content(self, key: str, content: bytes, **fields: Any) -> bytes:
        """Return a grant to read an artifact that has, or should have, this content."""
        return self.grant(Operation.READ, key, len(content), sha256([content]), **fields)

    def discard_grant(self, key: str, **fields: Any) -> bytes:
        """Return a grant to discard what may be under a key."""
        return self.grant(Operation.DISCARD, key, 0, **fields)

    def file(self, key: str, store: str = "main", repository: str = "main") -> Path:
        """Return the path of an artifact."""
        return self.folder / store / repository / key

    def artifacts(self) -> list[str]:
        """Return the paths of all artifacts, and of what was left behind by accident."""
        return self.listing()


DATASTORES_ON_FILES = ("embedded", "grpc")
"""Implementations of `butler_model.ports.Datastore` whose artifacts are files only."""

DATASTORES = (*DATASTORES_ON_FILES, "embedded, s3", "embedded, memory + posix")
"""All implementations of it, and the kinds of stores that matter to it."""


@contextmanager
def datastore_setup(kind: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[DatastoreSetup]:
    """Give a datastore of a kind, in this process or, if ``grpc``, behind a server on a loopback port."""
    settings, listing = _stores(kind, folder, request)
    signer = TokenSigner([b"a key for the tests of datastores"])
    stores = {name: store_config(settings(name)) for name in ("main", "second")}
    drop = folder.parent / "drop"
    drop.mkdir()
    datastore = DatastoreApplication(stores, signer, limits=LIMITS, ingest_roots=[str(drop)])
    setup = DatastoreSetup(datastore, signer, folder, listing, drop)
    if kind == "grpc":
        with _served(setup) as remote:
            yield remote
    else:
        yield setup
    datastore.close()


def _stores(
    kind: str, folder: Path, request: pytest.FixtureRequest
) -> tuple[Callable[[str], dict[str, Any]], Callable[[], list[str]]]:
    """Return what an operator says of the store of a name, and what lists the artifacts of all."""
    if kind == "embedded, s3":
        server: S3Server = request.getfixturevalue("s3_server")
        bucket: str = request.getfixturevalue("s3_bucket")
        settings = s3_settings(server, bucket, folder.parent)
        return lambda name: {**settings, "prefix": f"{name}/{{repository}}"}, partial(objects, server, bucket)

    def posix(name: str) -> dict[str, Any]:
        return {"root": str(folder / name / "{repository}")}

    def chain(name: str) -> dict[str, Any]:
        return {"kind": "chain", "members": {"fast": {"kind": "memory"}, "lasting": posix(name)}}

    return chain if kind.endswith("memory + posix") else posix, partial(files, folder)


@contextmanager
def _served(setup: DatastoreSetup) -> Iterator[DatastoreSetup]:
    server = build_server(datastore_services(setup.datastore, LIMITS), "127.0.0.1:0")
    server.start()
    datastore = RemoteDatastore(server.address)
    try:
        yield replace(setup, datastore=datastore)
    finally:
        datastore.close()
        server.stop(grace=0)
