# SPDX-License-Identifier: BSD-3-Clause
"""The matrix of kills: at which step of which protocol which process ends, on what."""

from __future__ import annotations

__all__ = ["Cell", "cells", "kill_in"]

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import uuid4

from .deployments import KINDS, Deployment, DeploymentKind, Job
from .history import History
from .invariants import Violation, check_quiet

_LARGE = 2_500_000
"""Three chunks, so that it has a middle."""
_PARTS = 65 * 1024 * 1024
"""More than S3 takes in one request."""
_REACH_SECONDS = 20.0
_END_SECONDS = 90.0

Steps: TypeAlias = list[dict[str, Any]]
Scenario: TypeAlias = Callable[[Deployment, str], Steps]


def _single(deployment: Deployment, run: str) -> Steps:
    return [{"do": "put", "run": run, "detector": 1, "token": run, "size": 64}]


def _many(deployment: Deployment, run: str) -> Steps:
    return [{"do": "put_many", "run": run, "detectors": [1, 2, 3], "token": run, "size": 64}]


def _large(deployment: Deployment, run: str) -> Steps:
    return [{"do": "put", "run": run, "detector": 1, "token": run, "size": _LARGE}]


def _in_parts(deployment: Deployment, run: str) -> Steps:
    size = _PARTS if deployment.kind.store == "s3" else _LARGE
    return [{"do": "put", "run": run, "detector": 1, "token": run, "size": size}]


def _ingest(deployment: Deployment, run: str) -> Steps:
    files = [str(deployment.drop / f"{run}-{number}.bin") for number in range(2)]
    tokens = [f"{run}-{number}" for number in range(2)]
    # The first file is that of two datasets.
    detectors = [[1, 2], [3]]
    return [
        {
            "do": "ingest",
            "run": run,
            "files": files,
            "detectors": detectors,
            "transfer": "copy",
            "tokens": tokens,
        }
    ]


def _import(deployment: Deployment, run: str) -> Steps:
    folder = deployment.folder / f"{run}-export"
    folder.mkdir()
    contents = {f"{run}{part}": {"1": f"{run}{part}1", "2": f"{run}{part}2"} for part in "ab"}
    ids = {token: str(uuid4()) for tokens in contents.values() for token in tokens.values()}
    return [{"do": "import", "folder": str(folder), "contents": contents, "ids": ids}]


def _import_twice(deployment: Deployment, run: str) -> Steps:
    return _import(deployment, run) * 2


POINTS: Mapping[str, tuple[tuple[str, Scenario], ...]] = {
    "put.begin_before_commit": (("registry", _many),),
    "put.begin_after_commit_before_reply": (("registry", _single),),
    "put.upload_0": (("client", _many), ("datastore", _large)),
    "put.upload_half": (("client", _large), ("datastore", _large)),
    "put.upload_all_before_fsync": (("datastore", _single),),
    "put.after_fsync_before_rename": (("datastore", _in_parts),),
    "put.after_rename_before_dirsync": (("datastore", _many),),
    "put.datastore_ack_before_reply": (("datastore", _large),),
    "put.commit_before_txn": (("registry", _single),),
    "put.in_txn_after_dataset": (("registry", _many),),
    "put.in_txn_after_tags": (("registry", _many),),
    "put.in_txn_after_records": (("registry", _many),),
    "put.before_commit": (("registry", _many),),
    "put.after_commit_before_reply": (("registry", _single), ("registry", _many)),
    "ingest.before_copy": (("datastore", _ingest),),
    "ingest.between_files": (("datastore", _ingest),),
    "ingest.after_copy": (("datastore", _ingest),),
    "ingest.before_registration": (("client", _ingest),),
    "ingest.after_registration": (("client", _ingest),),
    "import.between_batches": (("client", _import),),
    "import.resume": (("client", _import_twice),),
}
"""For each step, in which process it is reached and by doing what."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One kill.

    Attributes
    ----------
    owner
        The process that reaches the step; ``client`` for all steps if the repository is embedded.
    victim
        The one that ends meanwhile.
    """

    kind: DeploymentKind
    point: str
    owner: str
    victim: str
    scenario: Scenario

    def __str__(self) -> str:
        return f"{self.kind}-{self.point}-in-{self.owner}{self.scenario.__name__}-kill-{self.victim}"


def cells() -> Iterator[Cell]:
    """Yield all kills, those of one deployment after each other."""
    for kind in KINDS:
        services = ["client"] if kind.shape == "embedded" else ["client", "registry", "datastore"]
        victims = [*services, "database"] if kind.database == "postgresql" else services
        for point, reached in POINTS.items():
            for owner, scenario in reached:
                for victim in victims:
                    place = owner if kind.shape == "services" else "client"
                    yield Cell(kind, point, place, victim, scenario)


def kill_in(deployment: Deployment, cell: Cell) -> list[Violation]:
    """Do what the cell says, start again what ended, and return what is wrong afterwards.

    Raises
    ------
    TimeoutError
        Raised if the step is not reached, or a call does not end.
    """
    run = f"case{deployment.new_case()}"
    marker = deployment.folder / f"{run}.reached"
    action = "kill" if cell.victim == cell.owner else f"wait:{marker}"
    failpoints = f"{cell.point}@1={action}"
    with deployment.butler() as butler:
        butler.registry.registerRun(run)
    if cell.owner != "client":
        deployment.start(cell.owner, failpoints)
    steps = cell.scenario(deployment, run)
    job = deployment.job(steps, run, failpoints=failpoints if cell.owner == "client" else "")
    if cell.victim == cell.owner:
        _wait_for_death(deployment, cell, job)
    else:
        _wait_until(marker.exists, f"{cell.point} is not reached", job)
        _kill(deployment, cell.victim, job)
        marker.unlink()
    deployment.restart_dead()
    job.process.wait(_END_SECONDS)
    history = History()
    history.add(steps, job.entries())
    if cell.victim != "client" and job.process.code != 0:
        raise AssertionError(f"The client ended with {job.process.code}; see {job.process.log}")
    return check_quiet(deployment, history)


def _kill(deployment: Deployment, victim: str, job: Job) -> None:
    if victim == "client":
        job.process.kill()
    elif victim == "database":
        deployment.kill_database_process()
    else:
        deployment.kill(victim)


def _wait_for_death(deployment: Deployment, cell: Cell, job: Job) -> None:
    process = job.process if cell.owner == "client" else deployment.processes[cell.owner]
    _wait_until(lambda: not process.running, f"{cell.point} is not reached", job)


def _wait_until(done: Callable[[], bool], otherwise: str, job: Job) -> None:
    deadline = time.monotonic() + _REACH_SECONDS
    while not done():
        if time.monotonic() > deadline or not (job.process.running or done()):
            raise TimeoutError(f"{otherwise}: {job.entries()}")
        time.sleep(0.002)
