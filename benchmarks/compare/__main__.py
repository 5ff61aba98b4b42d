# SPDX-License-Identifier: BSD-3-Clause
"""Ours against the older library, in one run: ``make bench``. See docs/performance.md."""

from __future__ import annotations

__all__ = ["main"]

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from benchmarks.floors import floors_of_comparison
from tools.older_library import SERVER_PACKAGES, python_with_older_library
from tools.servers.process import ROOT

from .clients import measure_clients
from .deployments import Deployments, deployed
from .plan import SIZES, Extent
from .report import as_markdown, as_tables, plot, write_into_readme
from .rows import Row, rows_of_turns
from .sides import Side, started
from .starting import measure_services, measure_starting
from .turns import Turns

_OUTPUT = ROOT / "build" / "bench"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure everything, print and write the table; return the exit code."""
    options = _options(arguments)
    console = Console() if sys.stdout.isatty() else Console(width=150)
    options.output.mkdir(parents=True, exist_ok=True)
    extent = SIZES[options.size]
    began = time.monotonic()
    with console.status("Installing the older library …") as status:
        older = python_with_older_library(options.output / "older", SERVER_PACKAGES)

        def say(what: str) -> None:
            status.update(what)
            if options.verbose:
                print(f"{time.monotonic() - began:7.1f} s  {what}", file=sys.stderr, flush=True)

        with tempfile.TemporaryDirectory(prefix="butler-compare-") as folder:
            rows = _measured(Path(folder), older, extent, options.only, say)
    for table in as_tables(rows):
        console.print(table)
    for row in rows:
        if row.note:
            console.print(f"{row.pair}, {row.title} ({row.n:,}): {row.note}", markup=False, highlight=False)
    about = _about(older, options.size, time.monotonic() - began)
    console.print(", ".join(f"{name} {value}" for name, value in about.items()))
    report = {"about": about, "rows": [row.as_json() for row in rows]}
    (options.output / "comparison.json").write_text(json.dumps(report, indent=1) + "\n")
    (options.output / "comparison.md").write_text(as_markdown(rows))
    plot(rows, options.output / "comparison.png")
    if options.readme:
        write_into_readme(ROOT, rows, about)
    console.print(
        f"Also in {os.path.relpath(options.output)}: comparison.json, comparison.md, comparison.png."
    )
    return int(any(row.note for row in rows))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.compare", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="medium", help="how much is measured (medium)")
    parser.add_argument("--readme", action="store_true", help="write table and plot into the README, too")
    parser.add_argument(
        "--only", nargs="*", default=(), metavar="OPERATION", help="measure only these operations"
    )
    parser.add_argument("--output", type=Path, default=_OUTPUT, metavar="DIR", help="where results go")
    parser.add_argument(
        "--verbose", action="store_true", help="tell on standard error what is being measured"
    )
    return parser.parse_args(arguments)


def _measured(
    folder: Path, older: Path, extent: Extent, only: Sequence[str], say: Callable[[str], None]
) -> list[Row]:
    say("Starting PostgreSQL, S3 and services …")
    with ExitStack() as stack:
        deployments = stack.enter_context(deployed(folder, older))
        sides = _prepared(stack, deployments, extent, say)
        turns = Turns(extent, sides, say)
        say("Measuring floors …")
        floors = floors_of_comparison(deployments.address, deployments.ours, folder)
        turns.take(only)
        rows = rows_of_turns(turns.results, floors)
        if not only:
            rows += measure_starting(deployments, extent, say)
            rows += measure_clients(deployments, extent, say)
            rows += measure_services()
        return rows


def _prepared(
    stack: ExitStack, deployments: Deployments, extent: Extent, say: Callable[[str], None]
) -> dict[str, Side]:
    """Start one process for each side, which makes and fills its repository."""
    sides = {}
    for name in [*deployments.places, "theirs-remote"]:
        say(f"Filling the repository of {name} …")
        remote = name == "theirs-remote"
        if remote:
            deployments.start_remote()
        folder = deployments.folder / f"files-{name}"
        folder.mkdir(exist_ok=True)
        side = stack.enter_context(
            started(name, deployments.older_python, deployments.folder, deployments.environment)
        )
        filled = extent.filled_s3 if name.endswith("s3") or remote else extent.filled
        place = asdict(deployments.places[name])
        side.ask("attach" if remote else "prepare", place=place, filled=filled, files=str(folder / "content"))
        sides[name] = side
    deployments.analyze()
    return sides


def _about(older: Path, size: str, seconds: float) -> dict[str, str]:
    command = [str(older), "-c", "import importlib.metadata as m; print(m.version('lsst-daf-butler'))"]
    theirs = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "lsst-daf-butler": theirs,
        "butler-grpc-client": version("butler-grpc-client"),
        "python": platform.python_version(),
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "command": f"make bench SIZE={size}",
        "took": f"{seconds / 60:.1f} min",
    }


if __name__ == "__main__":
    sys.exit(main())
