# SPDX-License-Identifier: BSD-3-Clause
"""Whether a registry of a million datasets answers as fast as one of ten or a hundred thousand.

Run it as ``make bench-scale``; it takes some minutes, most of them to fill the registries. The datasets are registered
without bytes, all in one PostgreSQL server, and asked for through the services; some more are put, and pruned again.
"""

from __future__ import annotations

__all__ = ["main"]

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from butler import Butler
from butler.connect import connect
from butler_model.dataset import DatasetRef
from butler_model.paging import PageRequest
from butler_model.query.spec import QuerySpec, ResultKind
from tools.servers.postgres import own_postgres_server
from tools.servers.services import own_services

from .filling import DETECTORS, PAYLOAD, RUN, SERVER_SETTINGS, TYPE, data_id, describe, register
from .measuring import Measurement, measure_in_turn

SMALL, MIDDLE, LARGE = 10_000, 100_000, 1_000_000
MOST_RATIO = 1.5
MOST_CLIENT_BYTES = 200_000_000
PAGE = 2_000
LISTED = 10_000
LARGE_TABLE_ROWS = 100_000
SELECTED_VISITS = 50
_STATISTICS_SECONDS = 2.0
"""After how long all that the server's processes did is counted."""
_FIND = "find_dataset"
_PAGE = f"one page of {PAGE:,}"
_COUNT = f"count of {SELECTED_VISITS * DETECTORS:,}"
_SELECT = "selective query"
_LISTED = f"list {LISTED:,}, each"
_PUT = "put 1 kB"
_PRUNE = "prune one, until its file is gone"
_TARGETS = {_FIND: None, _PAGE: None, _COUNT: None, _SELECT: 0.004, _LISTED: 5e-6, _PUT: None, _PRUNE: None}
"""Seconds, in the order in which they are measured: what is pruned was put."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What reading all datasets in a process of its own took."""

    rows: int
    seconds: float
    peak_bytes: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure all sizes and print them side by side; return the exit code."""
    parser = argparse.ArgumentParser("python -m benchmarks.scale", description="Measure a million datasets.")
    parser.add_argument(
        "--large", type=int, default=LARGE, metavar="N", help="datasets of the largest (1,000,000)"
    )
    parser.add_argument("--repetitions", type=int, default=100, metavar="N", help="of each call (100)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here, too")
    parser.add_argument("--list", metavar="ADDRESS", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.list:
        return _list_all(options.list)
    console = Console() if sys.stdout.isatty() else Console(width=120)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="butler-scale-"))
        server = stack.enter_context(own_postgres_server(settings=SERVER_SETTINGS))
        database = server.create_database()
        address = stack.enter_context(own_services(database, Path(folder)))
        # The last of them is looked at more closely, by its name.
        smaller = (size for size in (SMALL, MIDDLE) if size < options.large)
        addresses = {size: f"grpc://{address}/n{size}" for size in smaller}
        addresses[options.large] = f"grpc://{address}/large"
        for datasets, each in addresses.items():
            _fill(console, each, datasets, more=2 * options.repetitions)
        _vacuum(database)
        sizes = _bytes_per_dataset(database, options.large)
        scanned = _whole_scans(database)
        with console.status("Asking …"):
            measured = _asked(addresses, options.repetitions)
        listing = _listing(addresses[options.large])
        scanned = {table: scans - scanned.get(table, 0) for table, scans in _whole_scans(database).items()}
    console.print(_comparison(measured))
    console.print(
        f"Listing all {listing.rows:,} took {listing.seconds:.1f} s "
        f"({listing.seconds / listing.rows * 1e6:.1f} us each), and its process {listing.peak_bytes / 1e6:.0f} MB at "
        f"most ({'met' if listing.peak_bytes <= MOST_CLIENT_BYTES else 'MISSED'}: {MOST_CLIENT_BYTES / 1e6:.0f} MB)."
    )
    console.print(
        "Bytes on disk for each dataset, with indexes: "
        + ", ".join(f"{table} {size:,.0f}" for table, size in sizes.items())
        + f"; {sum(sizes.values()):,.0f} in all."
    )
    console.print(
        f"Scans of whole tables with {LARGE_TABLE_ROWS:,} rows or more while these were asked: "
        f"{', '.join(f'{table} {scans}' for table, scans in scanned.items() if scans) or 'none'}."
    )
    if options.json:
        options.json.write_text(json.dumps(_as_json(measured, listing, sizes), indent=1) + "\n")
    return 0


def _fill(console: Console, address: str, datasets: int, *, more: int) -> None:
    """Register datasets, and describe some more."""
    Butler.makeRepo(address)
    with Butler(address, run=RUN) as butler, console.status(f"Registering {datasets:,} datasets …"):
        describe(butler, datasets + more)
        began = time.perf_counter()
        register(address, datasets)
        rate = datasets / (time.perf_counter() - began)
    console.print(f"Registered {datasets:,} datasets without bytes, {rate:,.0f}/s.")


def _asked(addresses: Mapping[int, str], repetitions: int) -> list[tuple[Measurement, ...]]:
    """Ask all in turn, by their numbers of datasets; return for each question how long each of them took."""
    with ExitStack() as stack:
        asked = {
            f"{datasets:,}": stack.enter_context(_questions(address, datasets))
            for datasets, address in addresses.items()
        }
        # Which connection the service takes is chance, and each is slow until it has seen the tables a few times.
        return [
            measure_in_turn(
                name,
                {datasets: calls[name] for datasets, calls in asked.items()},
                repetitions,
                warm_up=repetitions,
                items=LISTED if name == _LISTED else 1,
            )
            for name in _TARGETS
        ]


def _vacuum(database: str) -> None:
    """Do now what the server would do beside the questions, after that many rows came at once."""
    with psycopg.connect(database.replace("+psycopg", "", 1), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def _bytes_per_dataset(database: str, datasets: int) -> dict[str, float]:
    """Return what each large table takes, its indexes included, divided by the number of datasets."""
    with psycopg.connect(database.replace("+psycopg", "", 1)) as connection:
        rows = connection.execute(
            "SELECT relname, pg_total_relation_size(relid) FROM pg_stat_user_tables WHERE schemaname = 'butler_large' "
            "ORDER BY 2 DESC"
        ).fetchall()
    return {str(table): size / datasets for table, size in rows if size / datasets >= 1}


def _whole_scans(database: str) -> dict[str, int]:
    """Return how many times its rows each large table was read in their order, by what PostgreSQL counts.

    A search that begins so and ends with the first row it meets is none.
    """
    time.sleep(_STATISTICS_SECONDS)
    with psycopg.connect(database.replace("+psycopg", "", 1)) as connection:
        rows = connection.execute(
            "SELECT relname, seq_tup_read / n_live_tup FROM pg_stat_user_tables "
            "WHERE schemaname = 'butler_large' AND n_live_tup >= %s",
            (LARGE_TABLE_ROWS,),
        )
        return {str(table): int(scans) for table, scans in rows}


@contextmanager
def _questions(address: str, datasets: int) -> Iterator[dict[str, Callable[[int], object]]]:
    """Give for each question what asks it."""
    visits = datasets // DETECTORS
    everything = QuerySpec(ResultKind.DATASETS, dataset_type=TYPE, collections=(RUN,))
    selected = tuple(range(0, visits, max(1, visits // SELECTED_VISITS)))[:SELECTED_VISITS]
    with Butler(address, run=RUN) as butler:
        query = butler.registry.queryDatasets
        put: list[DatasetRef] = []
        counted = query(
            TYPE, where="instrument = 'BenchCam' AND visit IN (:visits)", bind={"visits": selected}
        )

        def select(number: int) -> object:
            where = "instrument = 'BenchCam' AND visit = :v AND detector < 10"
            return list(query(TYPE, where=where, bind={"v": number * 31 % visits}))

        def prune(number: int) -> None:
            butler.pruneDatasets([put[number]], disassociate=True, unstore=True, purge=True)

        connection = connect(address)
        try:
            yield {
                _FIND: lambda number: butler.find_dataset(TYPE, data_id(number * 7919 % datasets)),
                _PAGE: lambda _: connection.registry.queries.page(everything, PageRequest(PAGE)),
                _COUNT: lambda _: counted.count(),
                _SELECT: select,
                _LISTED: lambda _: list(query(TYPE).limit(LISTED)),
                _PUT: lambda number: put.append(butler.put(PAYLOAD, TYPE, data_id(datasets + number))),
                _PRUNE: prune,
            }
        finally:
            connection.release()


def _listing(address: str) -> Listing:
    """List everything in a process of its own, whose memory nothing else used."""
    command = [sys.executable, "-m", "benchmarks.scale", "--list", address]
    finished = subprocess.run(command, check=True, capture_output=True, text=True)
    rows, seconds, peak = json.loads(finished.stdout)
    return Listing(rows, seconds, peak)


def _list_all(address: str) -> int:
    with Butler(address, collections=RUN) as butler:
        began = time.perf_counter()
        rows = sum(1 for _ in butler.registry.queryDatasets(TYPE))
        seconds = time.perf_counter() - began
    print(json.dumps([rows, seconds, _peak_bytes()]))
    return 0


def _peak_bytes() -> int:
    # `getrusage` would begin with the memory of the process that started this one.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def _comparison(measured: Sequence[tuple[Measurement, ...]]) -> Table:
    table = Table(title="Milliseconds", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("Operation", no_wrap=True)
    sizes = [f"of {each.subject}" for each in measured[0]]
    for heading in (*sizes, "Ratio", f"<= {MOST_RATIO}", "Target", ""):
        table.add_column(heading, justify="right")
    for sizes_in_turn in measured:
        smallest, largest = sizes_in_turn[0], sizes_in_turn[-1]
        ratio, target = largest.median / smallest.median, _TARGETS[smallest.operation]
        table.add_row(
            smallest.operation,
            *(f"{each.median * 1e3:.4f}" for each in sizes_in_turn),
            f"{ratio:.2f}",
            "met" if ratio <= MOST_RATIO else "MISSED",
            "" if target is None else f"{target * 1e3:.4f}",
            "" if target is None else "met" if largest.median <= target else "MISSED",
        )
    return table


def _as_json(
    measured: Sequence[tuple[Measurement, ...]], listing: Listing, sizes: dict[str, float]
) -> dict[str, object]:
    rows = {each[0].operation: {f"{one.subject} ms": one.median * 1e3 for one in each} for each in measured}
    return {
        "operations": rows,
        "bytes_per_dataset": sizes,
        "listing": {"rows": listing.rows, "seconds": listing.seconds, "peak_bytes": listing.peak_bytes},
    }


if __name__ == "__main__":
    sys.exit(main())
