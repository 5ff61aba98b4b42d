# SPDX-License-Identifier: BSD-3-Clause
"""T3: whatever is done in whatever order, over real gRPC, the repository does what a model in memory says."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.robustness.support.deployments import SERVICES, DeploymentKind, Deployments
from tests.robustness.support.invariants import settle
from tests.robustness.support.machine import RepositoryMachine
from tests.robustness.support.sizes import SEED, SIZES

SHARES = 10
"""So that the test processes, and the parts of a run, share the work."""


@pytest.mark.timeout(10_800)
@pytest.mark.parametrize("share", range(SHARES))
@pytest.mark.parametrize("kind", SERVICES, ids=str)
def test_the_repository_does_what_the_model_says(
    deployments: Deployments, kind: DeploymentKind, share: int
) -> None:
    deployment = deployments[kind]
    # Tests of broken writers leave intents; the model knows only of its own.
    settle(deployment)
    machine = type("Machine", (RepositoryMachine,), {"deployment": deployment})
    seed(SEED * SHARES + share)(machine)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=-(-SIZES.state_examples // (len(SERVICES) * SHARES)),
            stateful_step_count=SIZES.state_steps,
            # To make an example smaller would take longer than to read it.
            phases=[Phase.generate],
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
