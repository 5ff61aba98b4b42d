# SPDX-License-Identifier: BSD-3-Clause
"""Whether datasets are pruned as fast out of a million as out of a hundred thousand.

Run it as ``make bench-pruning``; it takes some minutes, most of them to fill the registries. The registry runs in this
process, on a PostgreSQL server of its own, so what is measured is its time and that of the database.
"""

from __future__ import annotations

__all__ = ["main"]

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import UUID, uuid4

import psycopg

from butler import Butler
from butler_model.grants import TokenSigner
from butler_model.ports import PruneDatasets
from butler_registry.application import RegistryApplication
from tools.servers.postgres import own_postgres_server

from .filling import RUN, SERVER_SETTINGS, describe, register

SMALL, LARGE, PRUNED = 100_000, 1_000_000, 50_000
MOST_SECONDS, MOST_RATIO = 5.0, 1.5
_BATCH = 5_000
_STORE_ALL = """
    INSERT INTO butler_main.artifact_record
    SELECT id, '', 'main', 'bench/' || id, 'bytes', '.bin', 'Bytes', 1000, 'sha256:' || repeat('0', 64)
    FROM butler_main.dataset
"""


@dataclass(frozen=True, slots=True)
class Pruning:
    """How long it took to purge some datasets out of many."""

    datasets: int
    pruned: int
    seconds: float
    slowest_call_seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure both sizes and print them; return the exit code."""
    parser = argparse.ArgumentParser("python -m benchmarks.pruning", description="Measure pruning.")
    parser.add_argument(
        "--large", type=int, default=LARGE, metavar="N", help="datasets of the larger (1,000,000)"
    )
    parser.add_argument(
        "--small", type=int, default=SMALL, metavar="N", help="datasets of the smaller (100,000)"
    )
    parser.add_argument("--pruned", type=int, default=PRUNED, metavar="N", help="how many go (50,000)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here, too")
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        server = stack.enter_context(own_postgres_server(settings=SERVER_SETTINGS))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="butler-pruning-"))
        small, large = (
            _measured(server.create_database(), Path(folder) / name, size, options.pruned)
            for name, size in (("small", options.small), ("large", options.large))
        )
    for each in (small, large):
        print(
            f"{each.pruned:,} of {each.datasets:,} purged in {each.seconds:.2f} s, the slowest {_BATCH:,} of them in "
            f"{each.slowest_call_seconds:.2f} s."
        )
    ratio = large.seconds / small.seconds
    met = large.seconds <= MOST_SECONDS and ratio <= MOST_RATIO
    print(f"Ratio {ratio:.2f} ({'met' if met else 'MISSED'}: {MOST_SECONDS:g} s and {MOST_RATIO:g}).")
    if options.json:
        options.json.write_text(json.dumps([asdict(small), asdict(large)], indent=1) + "\n")
    return 0


def _measured(database: str, root: Path, datasets: int, pruned: int) -> Pruning:
    application = RegistryApplication(database, TokenSigner([b"a key of a benchmark, for nobody else"]))
    try:
        _fill(database, root, datasets)
        registry = application.open("main")
        seconds = []
        for ids in _chosen(database, pruned):
            request = PruneDatasets(uuid4(), tuple(ids), unstore=True, purge=True)
            began = time.perf_counter()
            summary = registry.removals.prune(request)
            seconds.append(time.perf_counter() - began)
            assert summary.artifacts == len(ids)
        return Pruning(datasets, pruned, sum(seconds), max(seconds))
    finally:
        application.close()


def _fill(database: str, root: Path, datasets: int) -> None:
    Butler.makeRepo(root, database=database)
    with Butler(root, run=RUN) as butler:
        describe(butler, datasets)
    register(str(root), datasets)


def _chosen(database: str, pruned: int) -> list[list[UUID]]:
    """Return datasets from all over the table, in batches."""
    with psycopg.connect(database.replace("+psycopg", "", 1), autocommit=True) as connection:
        connection.execute(_STORE_ALL)
        connection.execute("VACUUM ANALYZE")
        found = connection.execute(
            "SELECT id FROM butler_main.dataset ORDER BY hashtext(id::text) LIMIT %s", (pruned,)
        )
        ids = [row[0] for row in found]
    return [ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH)]


if __name__ == "__main__":
    sys.exit(main())
