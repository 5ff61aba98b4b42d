# SPDX-License-Identifier: BSD-3-Clause
"""How fast large artifacts move: through the datastore service, and straight between client and store.

Part of ``make bench`` and ``make bench-quick``. The floors are what the same bytes cost without a butler: a durable
file, and plain boto3 against the same S3 server, in turn with what is compared with them.
"""

from __future__ import annotations

__all__ = ["main"]

import argparse
import itertools
import json
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from rich.console import Console

from butler.artifact_source import joined
from butler.remote import RemoteDatastore
from butler_api.process import read_signing_keys
from butler_model.artifact import Grant, Operation, Receipt
from butler_model.grants import TokenSigner
from tests.support.s3 import S3Server, s3_server_for_tests
from tests.support.stores import s3_settings
from tools.servers.services import new_keys, own_datastore

from .measuring import Measurement, as_json, as_rates, measure_in_turn

MEBIBYTE = 2**20
SIZE = 64 * MEBIBYTE
PUT, GET = "put 64 MiB", "get 64 MiB"
GRPC_TARGET = SIZE / 300e6
"""Seconds that the project wants at most through the service: 300 MB/s."""
DIRECT_SHARE = 0.8
"""Part of the speed of plain boto3 that the project wants at least straight to S3."""


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes in pieces, from the first on each time."""

    content: bytes

    def __iter__(self) -> Iterator[bytes]:
        return (self.content[start : start + MEBIBYTE] for start in range(0, len(self.content), MEBIBYTE))


@dataclass(frozen=True, slots=True)
class Transfers:
    """A datastore, and the registry's part in using it."""

    datastore: RemoteDatastore
    signer: TokenSigner

    def put(self, store: str, content: bytes) -> Receipt:
        """Store an artifact under a new key."""
        grant = self._grant(Operation.WRITE, store, f"bench/{uuid.uuid4().hex}", len(content), "")
        return self.datastore.write(grant, Content(content), size=len(content)).receipt

    def get(self, receipt: Receipt) -> bytes:
        """Return the bytes of an artifact."""
        grant = self._grant(Operation.READ, receipt.store, receipt.key, receipt.size, receipt.checksum)
        return joined(self.datastore.read(grant))

    def _grant(self, operation: Operation, store: str, key: str, size: int, checksum: str) -> bytes:
        expires = int(time.time()) + 600
        grant = Grant(operation, "bench", store, key, uuid.uuid4(), "", size, checksum, expires)
        return self.signer.sign_grant(grant)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure everything and print it; return the exit code."""
    parser = argparse.ArgumentParser("python -m benchmarks.bytes", description="Measure large artifacts.")
    parser.add_argument("--repetitions", type=int, default=7, metavar="N", help="of each transfer (7)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here, too")
    options = parser.parse_args(arguments)
    console = Console() if sys.stdout.isatty() else Console(width=120)
    with tempfile.TemporaryDirectory(prefix="butler-bench-") as folder:
        measurements = _all(Path(folder), options.repetitions)
    console.print(as_rates(measurements, SIZE))
    if options.json:
        options.json.write_text(json.dumps(as_json(measurements), indent=1) + "\n")
    return 0


def _all(folder: Path, repetitions: int) -> list[Measurement]:
    content = os.urandom(SIZE)
    with ExitStack() as stack:
        s3 = stack.enter_context(s3_server_for_tests())
        bucket = s3.create_bucket()
        stores: dict[str, dict[str, object]] = {
            "posix": {"root": f"{folder}/through/{{repository}}"},
            "shared": {"root": f"{folder}/shared/{{repository}}", "shared_path": True},
            "s3": s3_settings(s3, bucket, folder),
        }
        keys = new_keys(folder)
        address = stack.enter_context(own_datastore(stores, keys, folder))
        datastore = RemoteDatastore(address)
        stack.callback(datastore.close)
        transfers = Transfers(datastore, TokenSigner(read_signing_keys(keys)))
        on_disk = {
            "a durable file": _file(folder, content),
            "gRPC, POSIX": _transfers(transfers, "posix", content),
            "gRPC and shared path": _transfers(transfers, "shared", content),
        }
        in_bucket = {
            "plain boto3": _boto3(s3, bucket, content),
            "straight to S3": _transfers(transfers, "s3", content),
        }
        on_disk["a durable file"][0](0)  # to get it
        written = _Written(folder)
        (disk_put, grpc_put, shared_put), (disk_get, grpc_get, shared_get) = _in_turn(
            on_disk, repetitions, written.remove_new
        )
        (s3_put, direct_put), (s3_get, direct_get) = _in_turn(in_bucket, repetitions)
        return [
            *(disk_put, disk_get, s3_put, s3_get),
            replace(grpc_put, floor=disk_put.median, target=GRPC_TARGET),
            replace(grpc_get, floor=disk_get.median, target=GRPC_TARGET),
            replace(shared_put, floor=disk_put.median, target=GRPC_TARGET),
            replace(shared_get, floor=disk_get.median),
            replace(direct_put, floor=s3_put.median, target=s3_put.median / DIRECT_SHARE),
            replace(direct_get, floor=s3_get.median, target=s3_get.median / DIRECT_SHARE),
        ]


_Moves: TypeAlias = tuple[Callable[[int], object], Callable[[int], object]]
"""A put, and a get of what was put before."""


class _Written:
    """The files of a folder, of which those that are new can be removed.

    So the next one is written to memory that the machine has had before, as where it has run for long. The host of a
    virtual machine gives new memory page by page, when it is first touched, which can take six times as long as all
    that is measured here.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept = self._large()

    def remove_new(self) -> None:
        """Remove the large files that were not there at first."""
        for path in self._large() - self._kept:
            path.unlink()

    def _large(self) -> set[Path]:
        return {path for path in self._folder.rglob("*") if path.is_file() and path.stat().st_size == SIZE}


def _in_turn(
    subjects: Mapping[str, _Moves], repetitions: int, between: Callable[[], None] | None = None
) -> Iterator[tuple[Measurement, ...]]:
    for name, at in ((PUT, 0), (GET, 1)):
        calls = {subject: moves[at] for subject, moves in subjects.items()}
        yield measure_in_turn(name, calls, repetitions, warm_up=1, between=between)


def _transfers(transfers: Transfers, store: str, content: bytes) -> _Moves:
    receipt = transfers.put(store, content)
    return lambda _: transfers.put(store, content), lambda _: transfers.get(receipt)


def _file(folder: Path, content: bytes) -> _Moves:
    paths = (folder / f"file-{number}" for number in itertools.count())
    first = folder / "file-0"

    def put(_: int) -> None:
        with next(paths).open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    return put, lambda _: first.read_bytes()


def _boto3(s3: S3Server, bucket: str, content: bytes) -> _Moves:
    client = s3.client()

    def put(number: int) -> None:
        client.put_object(Bucket=bucket, Key=f"plain/{number}", Body=content)

    return put, lambda _: client.get_object(Bucket=bucket, Key="plain/0")["Body"].read()


if __name__ == "__main__":
    sys.exit(main())
