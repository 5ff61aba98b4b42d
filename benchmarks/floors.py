# SPDX-License-Identifier: BSD-3-Clause
"""What the parts cost of which everything else is made: a call, a file, a commit."""

from __future__ import annotations

__all__ = ["FIND", "GET", "PUT", "Floors", "floors_of_comparison", "measure_floors"]

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
import psycopg
from grpc_health.v1 import health_pb2, health_pb2_grpc

from .filling import PAYLOAD
from .measuring import Measurement, measure

FIND = "find by data ID"
GET = "get 1 kB by data ID"
PUT = "put 1 kB"

_SUBJECT = "floors"


@dataclass(frozen=True, slots=True)
class Floors:
    """The parts, each measured."""

    call: Measurement
    file_write: Measurement
    file_read: Measurement
    commit: Measurement

    def of_operations(self) -> dict[str, float]:
        """Return the seconds that an operation takes at least: it is so many calls, files and commits."""
        call = self.call.median
        return {
            FIND: call,
            GET: 2 * call + self.file_read.median,
            PUT: 3 * call + self.file_write.median + 2 * self.commit.median,
        }


def measure_floors(address: str, database: str, folder: Path, repetitions: int) -> Floors:
    """Measure a unary RPC that does nothing, a durable file, and a durable commit of one row.

    Parameters
    ----------
    address
        Of the registry service.
    database
        SQLAlchemy URL of a PostgreSQL database.
    folder
        Where files may be written, on the disk that the datastore uses.
    """

    def write(number: int) -> None:
        temporary, final = folder / f"{number}.part", folder / f"{number}"
        with temporary.open("wb") as file:
            file.write(PAYLOAD)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(final)
        directory = os.open(folder, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)

    request = health_pb2.HealthCheckRequest()
    with (
        grpc.insecure_channel(address) as channel,
        psycopg.connect(database.replace("+psycopg", "", 1)) as connection,
    ):
        stub = health_pb2_grpc.HealthStub(channel)
        connection.execute("CREATE TABLE bench_floor (n int)")
        connection.commit()

        def commit(number: int) -> None:
            connection.execute("INSERT INTO bench_floor VALUES (%s)", [number])
            connection.commit()

        return Floors(
            measure(_SUBJECT, "unary RPC", lambda _: stub.Check(request), repetitions),
            measure(_SUBJECT, "1 kB file, fsync, rename, fsync", write, repetitions),
            measure(_SUBJECT, "1 kB file read", lambda n: (folder / f"{n}").read_bytes(), repetitions),
            measure(_SUBJECT, "PostgreSQL commit of a row", commit, repetitions),
        )


@dataclass(frozen=True, slots=True)
class _Parts:
    """Of what an operation is made at least, per item."""

    calls: float = 0
    selects: float = 0
    commits: float = 0
    reads: float = 0
    writes: float = 0
    unlinks: float = 0
    copied: float = 0
    fetched: float = 0


_BATCH = 5_000
_COMPARED = {
    "get": _Parts(calls=2, selects=1, reads=1),
    "get_by_ref": _Parts(calls=2, selects=1, reads=1),
    "get_deferred": _Parts(calls=2, selects=1, reads=1),
    "exists": _Parts(calls=2, selects=1),
    "find": _Parts(calls=1, selects=1),
    "select": _Parts(calls=1, selects=1, fetched=10),
    "count": _Parts(calls=1, selects=1),
    "put": _Parts(calls=3, commits=2, writes=1),
}
"""One by one."""
_BULK = {
    "get_many": _Parts(fetched=1, reads=1),
    "stored_many": _Parts(fetched=1),
    **dict.fromkeys(("list_all", "list_run", "list_chain", "list_data_ids"), _Parts(fetched=1)),
    "insert_records": _Parts(copied=1),
    **dict.fromkeys(("associate", "certify", "decertify"), _Parts(copied=1)),
    "register": _Parts(copied=2),
    "put_many": _Parts(copied=4, writes=1),
    "ingest_direct": _Parts(copied=4, reads=1),
    "ingest_copy": _Parts(copied=4, reads=1, writes=1),
    **dict.fromkeys(("prune", "remove_runs"), _Parts(copied=2, unlinks=1)),
    "prune_and_return": _Parts(copied=2),
    "empty_trash": _Parts(unlinks=1),
}
"""Many in a call: a call and a commit for each batch, and rows instead of statements."""


def floors_of_comparison(address: str, database: str, folder: Path) -> dict[tuple[str, int], float]:
    """Return the least seconds per item over gRPC, by operation of the comparison and number of items.

    Rows that are written count as rows of a COPY into an indexed table, rows that are read as rows of one SELECT.
    """
    files = folder / "floor"
    files.mkdir()
    bare = measure_floors(address, database, files, 100)
    unlink = measure(_SUBJECT, "unlink", lambda n: (files / f"{n}").unlink(), 100)
    with psycopg.connect(database.replace("+psycopg", "", 1)) as connection:
        select, copied, fetched = _statements(connection)
    seconds = {
        "calls": bare.call.median,
        "selects": select,
        "commits": bare.commit.median,
        "reads": bare.file_read.median,
        "writes": bare.file_write.median,
        "unlinks": unlink.median,
        "copied": copied,
        "fetched": fetched,
    }

    def least(parts: _Parts) -> float:
        return sum(float(getattr(parts, name)) * each for name, each in seconds.items())

    floors = {(name, n): least(parts) for name, parts in _COMPARED.items() for n in (20, 100)}
    per_batch = bare.call.median + bare.commit.median
    for name, parts in _BULK.items():
        for n in (100, 1_000, 10_000):
            floors[name, n] = least(parts) + -(-n // _BATCH) * per_batch / n
    return floors


def _statements(connection: psycopg.Connection[Any]) -> tuple[float, float, float]:
    """Return the seconds of a SELECT of a row by its key, and of each row of a COPY and of a large SELECT."""
    rows, times = 10_000, 5
    connection.execute("CREATE TABLE bench_rows (id uuid PRIMARY KEY, a int, b int, c text)")

    def copy(number: int) -> None:
        with connection.cursor().copy("COPY bench_rows FROM STDIN") as writer:
            for i in range(number * rows, (number + 1) * rows):
                writer.write_row((str(UUID(int=i)), i, i, "BenchCam"))
        connection.commit()

    def select(_: int) -> None:
        connection.execute("SELECT * FROM bench_rows WHERE id = %s", [UUID(int=rows // 2)]).fetchall()

    def fetch(_: int) -> None:
        connection.execute("SELECT * FROM bench_rows LIMIT %s", [rows]).fetchall()

    copied = measure(_SUBJECT, "COPY", copy, times, warm_up=0, items=rows)
    connection.execute("ANALYZE bench_rows")
    return (
        measure(_SUBJECT, "SELECT", select, 100).median,
        copied.median,
        measure(_SUBJECT, "fetch", fetch, times, warm_up=1, items=rows).median,
    )
