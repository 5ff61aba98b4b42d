# SPDX-License-Identifier: BSD-3-Clause
"""Doing something while something fails, and what is wrong afterwards."""

from __future__ import annotations

__all__ = ["Attempt", "attempt", "problems", "wait_for"]

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .deployments import Deployment, Job
from .history import History
from .invariants import Violation, check_quiet, check_settled, settle
from .scenarios import Scenario

END_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was tried, and what its client wrote down."""

    history: History
    entries: list[dict[str, Any]]

    @property
    def failures(self) -> list[str]:
        """Classes of the errors that the client met."""
        return [entry["failed"] for entry in self.entries if "failed" in entry]

    @property
    def longest_seconds(self) -> float:
        """How long the longest step took."""
        begun = {entry["step"]: entry["time"] for entry in self.entries if "begun" in entry}
        ended = {entry["step"]: entry["time"] for entry in self.entries if "begun" not in entry}
        return max((ended[step] - begun[step] for step in ended), default=0.0)


def attempt(
    deployment: Deployment,
    scenario: Scenario,
    *,
    failpoints: str = "",
    owner: str = "client",
    meanwhile: Callable[[Job], None] | None = None,
) -> Attempt:
    """Do something, with failpoints in one of the processes, and with something that happens meanwhile.

    Raises
    ------
    TimeoutError
        Raised if a call does not end.
    """
    run = f"case{deployment.new_case()}"
    with deployment.one_butler() as butler:
        butler.registry.registerRun(run)
        plan = scenario(deployment, run)
    service = owner in deployment.settings
    try:
        if service and failpoints:
            deployment.start(owner, failpoints)
        job = deployment.job(plan.steps, run, failpoints="" if service else failpoints)
        if meanwhile is not None:
            meanwhile(job)
        deployment.restart_dead()
        code = job.process.wait(END_SECONDS)
        if service and failpoints:
            deployment.start(owner)
    except BaseException:
        # What waits somewhere must not meet the next case.
        deployment.stop()
        raise
    assert code == 0, job.process.log.read_text()[-4000:]
    plan.history.add(plan.steps, job.entries())
    return Attempt(plan.history, job.entries())


def problems(deployment: Deployment, tried: Attempt) -> list[Violation]:
    """Return what is wrong after something was tried, and once more when all leases have ended."""
    deployment.restart_dead()
    with deployment.one_butler():
        found = check_quiet(deployment, tried.history)
        settle(deployment)
        return found + check_settled(deployment, tried.history)


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until something is so; return whether it is."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
