# SPDX-License-Identifier: BSD-3-Clause
"""The matrix of kills: at which step of which protocol which process ends, on what."""

from __future__ import annotations

__all__ = ["Cell", "cells", "kill_in"]

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .deployments import KINDS, Deployment, DeploymentKind, Job
from .invariants import Violation, check_quiet, check_settled, settle
from .jobs import STEPS
from .scenarios import POINTS, Plan, Scenario, transact

_REACH_SECONDS = 20.0
_GONE_SECONDS = 2.0
_END_SECONDS = 90.0
# Clients of a service that has S3 send what is large to S3 themselves.
_NOT_THERE = {
    ("services", "s3", "put.upload_half", "datastore"),
    ("services", "s3", "put.after_fsync_before_rename", "datastore"),
}


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
        return f"{self.kind}-{self.point}-in-{self.owner}-{self.scenario.__name__}-kill-{self.victim}"


def cells() -> Iterator[Cell]:
    """Yield all kills, those of one deployment after each other."""
    for kind in KINDS:
        services = ["client"] if kind.shape == "embedded" else ["client", "registry", "datastore"]
        victims = [*services, "database"] if kind.database == "postgresql" else services
        for point, reached in POINTS.items():
            for owner, scenario in reached:
                if (kind.shape, kind.store, point, owner) in _NOT_THERE:
                    continue
                for victim in victims:
                    if (
                        scenario is transact
                        and kind.database == "sqlite"
                        and (len(services), victim) != (3, "client")
                    ):
                        # SQLite keeps intents in the transaction: if that process dies, fsck finds what they said.
                        continue
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
    with deployment.one_butler() as butler:
        butler.registry.registerRun(run)
        plan = cell.scenario(deployment, run)
    try:
        _do_and_kill(deployment, cell, plan, run)
    except BaseException:
        # What waits somewhere must not meet the next case.
        deployment.stop()
        raise
    deployment.restart_dead()
    with deployment.one_butler():
        found = check_quiet(deployment, plan.history)
        found += _half_exports(deployment, plan)
        settle(deployment)
        return found + check_settled(deployment, plan.history)


def _half_exports(deployment: Deployment, plan: Plan) -> list[Violation]:
    """Export again; return whether the file that was there before is another."""
    if plan.exported is None:
        return []
    before = plan.exported.read_bytes() if plan.exported.exists() else None
    with deployment.butler() as butler:
        STEPS[plan.steps[0]["do"]](butler, **{k: v for k, v in plan.steps[0].items() if k != "do"})
    now = plan.exported.read_bytes()
    return [] if before in (None, now) else [Violation("I4", f"{plan.exported} was not whole")]


def _do_and_kill(deployment: Deployment, cell: Cell, plan: Plan, run: str) -> None:
    marker = deployment.folder / f"{run}.reached"
    action = "kill" if cell.victim == cell.owner else f"wait:{marker}"
    failpoints = f"{cell.point}@1={action}"
    if cell.owner != "client":
        deployment.start(cell.owner, failpoints)
    job = deployment.job(plan.steps, run, failpoints=failpoints if cell.owner == "client" else "")
    if cell.victim == cell.owner:
        _wait_for_death(deployment, cell, job)
    else:
        _wait_until(marker.exists, f"{cell.point} is not reached", job)
        _kill(deployment, cell.victim, job)
        marker.unlink()
    deployment.restart_dead()
    job.process.wait(_END_SECONDS)
    asked = cell.victim == "client" and cell.owner != "client"
    if asked or (cell.victim in ("client", "datastore") and deployment.kind.store == "s3"):
        # A service goes on with what the dead client asked for, and S3 with what it was sent. The guard, which keeps
        # out what is written after the lease, is not waited for by `settle`.
        deployment.wait_for_late_writes()
    plan.history.add(plan.steps, job.entries())
    if cell.victim != "client" and job.process.code != 0:
        raise AssertionError(f"The client ended with {job.process.code}; see {job.process.log}")


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
    deadline, gone = time.monotonic() + _REACH_SECONDS, 0.0
    while not done():
        if not job.process.running:
            # Whoever is killed hangs up a moment before it is gone.
            gone = gone or time.monotonic() + _GONE_SECONDS
            deadline = min(deadline, gone)
        if time.monotonic() > deadline:
            raise TimeoutError(f"{otherwise}: {job.entries()}")
        time.sleep(0.01)
