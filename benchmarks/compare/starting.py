# SPDX-License-Identifier: BSD-3-Clause
"""How long programs take to start, and how much memory they take."""

from __future__ import annotations

__all__ = ["measure_services", "measure_starting"]

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tools.servers.process import ROOT

from .deployments import Deployments
from .plan import Extent
from .rows import MEBIBYTES, MILLISECONDS, Row
from .survey import RUN, TYPE

_LISTING = f"butler.query_datasets('{TYPE}', '{RUN}', limit=None)"
# What the system says of the process as a user of resources begins with the memory of the one that started it.
_PEAK = "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])"
_IMPORTS = {"ours": "from butler import Butler", "theirs": "from lsst.daf.butler import Butler"}
_OPENING = {
    "ours": "Butler({root!r}, writeable=True)",
    "theirs": "Butler.from_config({root!r}, writeable=True)",
}


def measure_starting(deployments: Deployments, extent: Extent, say: Callable[[str], None]) -> list[Row]:
    """Measure imports, the command line, opening a repository in a new process, and the memory of a client."""
    rows = [
        _timed(
            deployments,
            extent,
            say,
            "start",
            "import Butler",
            {side: ("-c", code) for side, code in _IMPORTS.items()},
            3.0,
        ),
        _timed(deployments, extent, say, "start", "butler --help", {"ours": (), "theirs": ()}, 3.0),
    ]
    pairs = (("grpc", "theirs-postgresql", "ours-grpc", 3.0), ("sqlite", "theirs-sqlite", "ours-sqlite", 4.0))
    for pair, theirs, ours, target in pairs:
        openings = {
            side: f"{_IMPORTS[side]}; butler = {_OPENING[side].format(root=deployments.places[name].root)}"
            for side, name in (("theirs", theirs), ("ours", ours))
        }
        commands = {side: ("-c", code) for side, code in openings.items()}
        rows.append(
            _timed(deployments, extent, say, pair, "new process, open a repository", commands, target)
        )
        say("Memory of a client …")
        memory = {
            side: _peak(deployments, side, f"{code}; print(len({_LISTING})); {_PEAK}")
            for side, code in openings.items()
        }
        title = f"memory of a client, {extent.filled:,} listed"
        rows.append(Row(pair, "memory", title, 1, MEBIBYTES, memory["theirs"], memory["ours"], target=2.0))
    return rows


def measure_services() -> list[Row]:
    """Measure the memory of the services after all that was done; of theirs, the remote server is one."""
    modules = {"registry service": "butler_registry", "datastore service": "butler_datastore"}
    theirs = max(_resident("uvicorn"), default=None)
    rows = []
    for title, module in modules.items():
        sizes = _resident(module)
        rows.append(
            Row("remote", "memory", f"memory of the {title}", 1, MEBIBYTES, theirs, max(sizes, default=None))
        )
    return rows


def _timed(
    deployments: Deployments,
    extent: Extent,
    say: Callable[[str], None],
    pair: str,
    title: str,
    arguments: Mapping[str, tuple[str, ...]],
    target: float,
) -> Row:
    """Time processes of both sides in turn; without arguments it is the command line that is asked for help."""
    seconds: dict[str, list[float]] = {"theirs": [], "ours": []}
    for turn in range(-1, extent.rounds):
        for side, found in seconds.items():
            say(f"{title}, round {turn + 1} of {extent.rounds}, {side} …")
            python = _python(deployments, side)
            program = (
                [str(python), *arguments[side]]
                if arguments[side]
                else [str(python.with_name("butler")), "--help"]
            )
            began = time.perf_counter()
            _run(deployments, program)
            if turn >= 0:
                found.append(time.perf_counter() - began)
    theirs, ours = (statistics.median(seconds[side]) * 1e3 for side in ("theirs", "ours"))
    return Row(pair, title.replace(" ", "_"), title, 1, MILLISECONDS, theirs, ours, target)


def _peak(deployments: Deployments, side: str, code: str) -> float:
    printed = _run(deployments, [str(_python(deployments, side)), "-c", code])
    return int(printed.split()[-1]) / 1024


def _run(deployments: Deployments, command: list[str]) -> str:
    environment = {**os.environ, **deployments.environment}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout


def _python(deployments: Deployments, side: str) -> Path:
    return deployments.older_python if side == "theirs" else Path(sys.executable)


def _resident(name: str) -> list[float]:
    """Return MiB of the processes that were started below this one with a module of that name."""
    sizes = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
        except OSError:
            continue
        # The keeper of a server has the same words after two hyphens.
        if command[1:3] == ["-m", name] and _is_below(int(status["PPid"]), os.getpid()):
            sizes.append(int(status["VmRSS"].split()[0]) / 1024)
    return sizes


def _is_below(parent: int, ancestor: int) -> bool:
    while parent > 1:
        if parent == ancestor:
            return True
        fields = Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()
        parent = int(fields[1])
    return False
