# SPDX-License-Identifier: BSD-3-Clause
"""T2: a process is killed at a random instant while eight writers put, ingest and import."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.robustness.support.deployments import KINDS, Deployment, DeploymentKind, Deployments
from tests.robustness.support.history import History
from tests.robustness.support.invariants import check_quiet
from tests.robustness.support.sizes import SIZES, seeded

PROCESSES = 2
WRITERS = 4
STEPS = 3
END_SECONDS = 120.0
LATEST_SECONDS = 0.3
PARTS = 4
"""So that the test processes share the work."""


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_nothing_is_lost_when_a_process_is_killed_at_any_instant(
    deployments: Deployments, kind: DeploymentKind, part: int
) -> None:
    deployment = deployments[kind]
    for number in range(-(-SIZES.random_kills // (len(KINDS) * PARTS))):
        kill_at_random(deployment, f"{part}-{number}")


def kill_at_random(deployment: Deployment, name: str) -> None:
    """Let writers write, kill a process, start it again, and look whether all is well."""
    chance = seeded("random kill", deployment.kind, name)
    case = f"random{deployment.new_case()}"
    jobs = []
    with deployment.butler() as butler:
        for process in range(PROCESSES):
            steps: list[dict[str, Any]] = []
            for lane in range(WRITERS):
                run = f"{case}-{process}-{lane}"
                butler.registry.registerRun(run)
                steps += [{**step, "lane": lane} for step in writing(deployment, run, chance.random())]
            jobs.append((deployment.job(steps, f"{case}-{process}"), steps))
    victims = ["client", *deployment.settings] + ["database"] * (deployment.kind.database == "postgresql")
    victim = chance.choice(victims)
    while not all(job.entries() for job, _ in jobs):
        time.sleep(0.01)
    time.sleep(chance.uniform(0, LATEST_SECONDS))
    if victim == "client":
        jobs[0][0].process.kill()
    elif victim == "database":
        deployment.kill_database_process()
    else:
        deployment.kill(victim)
        time.sleep(chance.uniform(0, LATEST_SECONDS))
    deployment.restart_dead()
    history = History()
    for job, steps in jobs:
        code = job.process.wait(END_SECONDS)
        assert code == 0 or victim == "client", job.process.log.read_text()[-4000:]
        history.add(steps, job.entries())
    assert check_quiet(deployment, history) == [], f"{victim} was killed"


def writing(deployment: Deployment, run: str, chance: float) -> list[dict[str, Any]]:
    """Return what one writer does."""
    steps: list[dict[str, Any]] = []
    for number in range(STEPS):
        first = 10 * number + 1
        token = f"{run}-{number}"
        kind = int(chance * 1_000 + number) % 4
        if kind == 0:
            steps.append({"do": "put", "run": run, "detector": first, "token": token, "size": 64})
        elif kind == 1:
            steps.append({"do": "put", "run": run, "detector": first, "token": token, "size": 1_500_000})
        elif kind == 2:
            detectors = list(range(first, first + 5))
            steps.append(
                {"do": "put_many", "run": run, "detectors": detectors, "token": token, "size": 1_000}
            )
        else:
            file = str(deployment.drop / f"{token}.bin")
            detectors = [first, first + 1]
            steps.append(
                {
                    "do": "ingest",
                    "run": run,
                    "files": [file],
                    "detectors": [detectors],
                    "transfer": "copy",
                    "tokens": [token],
                }
            )
    return steps
