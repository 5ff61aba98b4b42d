# SPDX-License-Identifier: BSD-3-Clause
"""32 racers in four processes put the same data ID: one wins, 31 are told so, nothing of theirs is left."""

from __future__ import annotations

import time

import pytest

from tests.robustness.support.deployments import KINDS, DeploymentKind, Deployments
from tests.robustness.support.history import History, Outcome
from tests.robustness.support.invariants import check
from tests.robustness.support.sizes import SIZES
from tests.robustness.support.snapshot import Snapshot

PROCESSES = 4
THREADS = 8
END_SECONDS = 120.0
LOOK_SECONDS = 0.01


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_of_32_puts_of_one_data_id_one_wins(deployments: Deployments, kind: DeploymentKind) -> None:
    # D77
    deployment = deployments[kind]
    for _ in range(SIZES.contested_rounds):
        run = f"race{deployment.new_case()}"
        with deployment.butler() as butler:
            butler.registry.registerRun(run)
        begin = deployment.folder / f"{run}.begin"
        history = History()
        racers = []
        for process in range(PROCESSES):
            steps = [
                step
                for lane in range(THREADS)
                for step in (
                    {"do": "meet", "file": str(begin), "lane": lane},
                    {
                        "do": "put",
                        "run": run,
                        "detector": 1,
                        "token": f"{process}-{lane}",
                        "size": 64,
                        "lane": lane,
                    },
                )
            ]
            racers.append((deployment.job(steps, f"{run}-{process}"), steps))
        for job, _ in racers:
            while len(job.entries()) < THREADS and job.process.running:
                time.sleep(LOOK_SECONDS)
        begin.touch()
        failures = []
        for job, steps in racers:
            assert job.process.wait(END_SECONDS) == 0
            history.add(steps, job.entries())
            failures += [entry["failed"] for entry in job.entries() if "failed" in entry]
        (winner,) = [put for put in history.puts if put.outcome is Outcome.DONE]
        assert failures == ["ConflictingDefinitionError"] * (PROCESSES * THREADS - 1)
        assert check(deployment, history) == []
        assert Snapshot.take(deployment).intents == {}
        mine = [key for key in deployment.artifacts.sizes() if key.startswith(f"{run}/")]
        assert [deployment.artifacts.content(key) for key in mine] == [winner.contents[1]]
