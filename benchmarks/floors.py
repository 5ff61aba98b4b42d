# SPDX-License-Identifier: BSD-3-Clause
"""What the parts cost of which everything else is made: a call, a file, a commit."""

from __future__ import annotations

__all__ = ["FIND", "GET", "PUT", "Floors", "measure_floors"]

import os
from dataclasses import dataclass
from pathlib import Path

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
