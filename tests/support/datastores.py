# SPDX-License-Identifier: BSD-3-Clause
"""Every implementation of the datastore, ready to be tested."""

from __future__ import annotations

__all__ = ["DATASTORES", "LIMITS", "DatastoreSetup", "embedded_datastore", "remote_datastore"]

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from butler.remote import RemoteDatastore
from butler_api.server import build_server
from butler_datastore.application import DatastoreApplication
from butler_datastore.config import PosixStoreConfig
from butler_datastore.servicers import datastore_services
from butler_model.artifact import Grant, Operation, Receipt, sha256
from butler_model.grants import TokenSigner
from butler_model.ports import Datastore
from butler_model.repository import Limits

LIMITS = Limits(batch_items=50, inline_bytes=4_000, batch_bytes=20_000)
"""Small, so that tests can pass them."""


@dataclass(frozen=True, slots=True)
class DatastoreSetup:
    """A datastore with the stores ``main`` and ``second``, and the registry's part in using it.

    Attributes
    ----------
    folder
        Has a folder for each store, with one for each repository, in which the artifacts are files.
    """

    datastore: Datastore
    signer: TokenSigner
    folder: Path

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
        """Return the paths of all artifacts, and of what was left behind by accident, in the folder."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())


@contextmanager
def embedded_datastore(folder: Path) -> Iterator[DatastoreSetup]:
    """Give the datastore service in this process."""
    signer = TokenSigner([b"a key for the tests of datastores"])
    stores = {name: PosixStoreConfig(str(folder / name / "{repository}")) for name in ("main", "second")}
    datastore = DatastoreApplication(stores, signer, limits=LIMITS)
    yield DatastoreSetup(datastore, signer, folder)
    datastore.close()


@contextmanager
def remote_datastore(folder: Path) -> Iterator[DatastoreSetup]:
    """Give the datastore service behind a server on a loopback port."""
    with embedded_datastore(folder) as setup:
        server = build_server(datastore_services(setup.datastore, LIMITS), "127.0.0.1:0")
        server.start()
        datastore = RemoteDatastore(server.address)
        try:
            yield replace(setup, datastore=datastore)
        finally:
            datastore.close()
            server.stop(grace=0)


DATASTORES: dict[str, Callable[[Path], AbstractContextManager[DatastoreSetup]]] = {
    "embedded": embedded_datastore,
    "grpc": remote_datastore,
}
"""Gives each implementation of `butler_model.ports.Datastore`, with its files in a folder."""
