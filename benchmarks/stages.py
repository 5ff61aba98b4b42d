# SPDX-License-Identifier: BSD-3-Clause
"""Where the time of put, get, list and ingest goes: client, wire, conversion, services, SQL, files.

Run it as ``make bench-stages``. Both services run in this process, on PostgreSQL. While one thing is done after the
other, a thread looks every millisecond who works: a thread of a service that is in a call, else the caller. The
innermost of our packages on its stack is the stage; a caller that waits while no service works, waits for the wire.
"""

from __future__ import annotations

__all__ = ["main"]

import argparse
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from butler import Butler, DatasetRef, FileDataset
from tests.support.butlers import deployment
from tools.servers.postgres import own_postgres_server

from .filling import PAYLOAD, RUN, TYPE, data_id, describe

STAGES = ("client", "wire", "convert", "service", "SQL", "file")
_TICK = 0.001
_LISTED, _INGESTED = 2_000, 500
_RECORDED = 20_000
# The first that fits a frame, from the innermost outward, says what is going on there.
_PLACES = (
    ("/psycopg", "SQL"),
    ("/sqlalchemy/", "SQL"),
    ("/butler_registry/storage/", "SQL"),
    ("/butler_registry/planning/", "SQL"),
    ("/butler_datastore/stores/", "file"),
    ("/butler_api/convert/", "convert"),
    ("_pb2", "convert"),
    ("/google/protobuf/", "convert"),
    ("/servicers/", "convert"),
    ("/butler_registry/", "service"),
    ("/butler_datastore/", "service"),
    ("/grpc/", "wire"),
    ("/client/src/butler/", "client"),
)


@dataclass(slots=True)
class Sampler:
    """Counts, for the thread that makes it, in which stage a call is.

    Attributes
    ----------
    seen
        Samples by stage.
    """

    seen: Counter[str] = field(default_factory=Counter)
    caller: int = field(default_factory=threading.get_ident)
    _stop: threading.Event = field(default_factory=threading.Event)

    def during(self, call: Callable[[int], object], seconds: float) -> float:
        """Repeat a call for some time; return the seconds that one takes."""
        thread = threading.Thread(target=self._sample, daemon=True)
        thread.start()
        began, number = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            call(number)
            number += 1
        passed = time.perf_counter() - began
        self._stop.set()
        thread.join()
        return passed / number

    def _sample(self) -> None:
        own = threading.get_ident()
        while not self._stop.wait(_TICK):
            frames = sys._current_frames()
            working = [
                stage
                for thread, frame in frames.items()
                if thread not in {own, self.caller} and (stage := _stage_of_service(frame))
            ]
            self.seen[working[0] if working else _stage(frames[self.caller]) or "client"] += 1


def _stage(frame: FrameType | None) -> str:
    while frame is not None:
        name = frame.f_code.co_filename
        for part, stage in _PLACES:
            if part in name:
                return stage
        frame = frame.f_back
    return ""


def _stage_of_service(frame: FrameType) -> str:
    """Return the stage of a thread that is in a call of a servicer; nothing for one that waits for work."""
    outer: FrameType | None = frame
    while outer is not None:
        if "/servicers/" in outer.f_code.co_filename:
            return _stage(frame)
        outer = outer.f_back
    return ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.stages", description="Measure where the time goes."
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="for each operation (5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here, too")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="butler-stages-") as name, own_postgres_server() as server:
        folder = Path(name)
        with deployment("grpc-postgresql", folder, server.create_database()) as place:
            Butler.makeRepo(place.root)
            with Butler(place.root, run=RUN) as butler:
                shares = _measured(butler, place.drop, options.seconds)
    Console(width=None if sys.stdout.isatty() else 120).print(_table(shares))
    if options.json:
        options.json.write_text(json.dumps(shares, indent=1) + "\n")
    return 0


def _measured(butler: Butler, drop: Path, seconds: float) -> dict[str, dict[str, float]]:
    """Return, for each operation, the milliseconds of a call and the share of each stage."""
    describe(butler, _RECORDED)
    butler.put_many((PAYLOAD, TYPE, data_id(i)) for i in range(_LISTED))
    of_type = butler.get_dataset_type(TYPE)
    for i in range(_INGESTED):
        (drop / f"{i}.bin").write_bytes(PAYLOAD)

    def ingest(number: int) -> None:
        run = f"ingest/{number}"
        butler.collections.register(run)
        files = [FileDataset(drop / f"{i}.bin", DatasetRef(of_type, data_id(i))) for i in range(_INGESTED)]
        butler.ingest(*files, transfer="direct", run=run)

    calls: dict[str, Callable[[int], object]] = {
        "get by data ID": lambda n: butler.get(TYPE, data_id(n * 7 % _LISTED)),
        "put": lambda n: butler.put(PAYLOAD, TYPE, data_id(_LISTED + n)),
        f"list {_LISTED:,}": lambda _: butler.query_datasets(TYPE, RUN, limit=_LISTED),
        f"ingest {_INGESTED}, direct": ingest,
    }
    shares = {}
    for name, call in calls.items():
        sampler = Sampler()
        each = sampler.during(call, seconds)
        total = sampler.seen.total()
        shares[name] = {
            "milliseconds": each * 1e3,
            **{stage: sampler.seen[stage] / total for stage in STAGES},
        }
    return shares


def _table(shares: dict[str, dict[str, float]]) -> Table:
    table = Table(title="Where the time goes", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("Operation", no_wrap=True)
    for heading in ("ms per call", *STAGES):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, share in shares.items():
        cells = (f"{share[stage]:.0%}" for stage in STAGES)
        table.add_row(name, f"{share['milliseconds']:.2f}", *cells)
    return table


if __name__ == "__main__":
    sys.exit(main())
