# SPDX-License-Identifier: BSD-3-Clause
"""How long the operations of a butler take: through services on PostgreSQL, and embedded on SQLite.

Run it as ``make bench-quick``. What is written is durable: PostgreSQL, SQLite and files with their default settings.
"""

from __future__ import annotations

__all__ = ["main"]

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from butler import Butler
from tools.servers.postgres import own_postgres_server
from tools.servers.services import own_services

from .filling import PAYLOAD, RUN, TYPE, data_id, describe
from .floors import FIND, GET, PUT, measure_floors
from .measuring import WARM_UP, Measurement, as_json, as_table, measure

LISTED = 5_000
PUT_AT_ONCE = 4_000
PUT_AT_ONCE_TIMES = 3
PUT_MANY = "put_many 1 kB"
TARGETS = {GET: 0.002, PUT: 0.006, PUT_MANY: 1 / 2000}
"""Seconds per item that the project wants at most, through the services on two cores."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure everything and print it; return the exit code."""
    parser = argparse.ArgumentParser("python -m benchmarks.latency", description="Measure latency and rates.")
    parser.add_argument("--repetitions", type=int, default=300, metavar="N", help="of each call (300)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here, too")
    options = parser.parse_args(arguments)
    # In a pipe nobody knows the width; columns that are cut would say nothing.
    console = Console() if sys.stdout.isatty() else Console(width=120)
    with tempfile.TemporaryDirectory(prefix="butler-bench-") as folder:
        measurements = _all(console, Path(folder), options.repetitions)
    console.print(as_table(measurements))
    if options.json:
        options.json.write_text(json.dumps(as_json(measurements), indent=1) + "\n")
    return 0


def _all(console: Console, folder: Path, repetitions: int) -> list[Measurement]:
    services, seen, files = folder / "services", folder / "seen", folder / "files"
    for each in (services, seen, files):
        each.mkdir()
    with (
        console.status("Starting PostgreSQL and both services …") as status,
        own_postgres_server() as postgres,
    ):
        database = postgres.create_database()
        with own_services(database, services) as address:
            status.update("Measuring floors …")
            floors = measure_floors(address, database, files, repetitions)
            status.update("Measuring through the services …")
            remote = _operations("gRPC, PostgreSQL", f"grpc://{address}/bench", repetitions)
        # As where services and clients have one file system: what is small is read where it is.
        stores = {"main": {"root": f"{seen}/artifacts/{{repository}}", "durable": True, "shared_path": True}}
        with own_services(postgres.create_database(), seen, stores=stores) as address:
            here = _gets("gRPC, PostgreSQL, files seen", f"grpc://{address}/bench", repetitions)
    with console.status("Measuring embedded …"):
        embedded = _operations("embedded, SQLite", str(folder / "repository"), repetitions)
    bounds = floors.of_operations()
    remote = [
        replace(each, floor=bounds.get(each.operation), target=TARGETS.get(each.operation)) for each in remote
    ]
    one_call = floors.call.median + floors.file_read.median
    here = replace(here, floor=one_call, target=TARGETS[GET])
    return [floors.call, floors.file_write, floors.file_read, floors.commit, *remote, here, *embedded]


def _gets(subject: str, repository: str, repetitions: int) -> Measurement:
    """Fill a new repository and measure how long a dataset takes to come."""
    calls = repetitions + WARM_UP
    Butler.makeRepo(repository)
    with Butler(repository, run=RUN) as butler:
        describe(butler, calls)
        _put_many(butler, 0, calls)
        return measure(subject, GET, lambda n: butler.get(TYPE, data_id(n * 7 % calls)), repetitions)


def _operations(subject: str, repository: str, repetitions: int) -> list[Measurement]:
    """Fill a new repository and measure what one does with it."""
    calls = repetitions + WARM_UP
    filled = max(LISTED, calls)
    many = filled + calls
    Butler.makeRepo(repository)
    with Butler(repository, run=RUN) as butler:
        describe(butler, many + PUT_AT_ONCE * PUT_AT_ONCE_TIMES)
        _put_many(butler, 0, filled)
        # Not in order, so that what was asked for is not beside what is asked for next.
        some = [data_id(n * 7 % filled) for n in range(calls)]
        return [
            measure(subject, FIND, lambda n: butler.find_dataset(TYPE, some[n]), repetitions),
            measure(subject, GET, lambda n: butler.get(TYPE, some[n]), repetitions),
            measure(subject, PUT, lambda n: butler.put(PAYLOAD, TYPE, data_id(filled + n)), repetitions),
            measure(
                subject,
                PUT_MANY,
                lambda n: _put_many(butler, many + n * PUT_AT_ONCE, PUT_AT_ONCE),
                PUT_AT_ONCE_TIMES,
                warm_up=0,
                items=PUT_AT_ONCE,
            ),
            *_bulk_reading(butler, subject),
        ]


def _bulk_reading(butler: Butler, subject: str) -> list[Measurement]:
    datasets = butler.registry.queryDatasets(TYPE, collections=RUN)
    refs = list(datasets)
    some = refs[:LISTED]
    return [
        measure(subject, "list datasets", lambda _: list(datasets), 5, warm_up=1, items=len(refs)),
        measure(subject, "get_many 1 kB by ref", lambda _: butler.get_many(some), 3, warm_up=1, items=LISTED),
    ]


def _put_many(butler: Butler, first: int, count: int) -> None:
    butler.put_many((PAYLOAD, TYPE, data_id(number)) for number in range(first, first + count))


if __name__ == "__main__":
    sys.exit(main())
