# SPDX-License-Identifier: BSD-3-Clause
"""T10: a database that throws its clients out, waits, refuses, or has too many writers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.robustness.support.attempts import attempt, problems, wait_for
from tests.robustness.support.deployments import KINDS, Deployment, DeploymentKind, Deployments, Job
from tests.robustness.support.history import UNKNOWN_OUTCOMES, History
from tests.robustness.support.invariants import check
from tests.robustness.support.scenarios import POINTS, Plan, Scenario, empty_trash, many, prune, remove_run
from tests.robustness.support.sizes import SIZES

pytestmark = pytest.mark.timeout(180 * SIZES.repeats)

POSTGRESQL = [kind for kind in KINDS if kind.database == "postgresql" and kind.store == "posix"]
SQLITE = [kind for kind in KINDS if kind.database == "sqlite" and kind.store == "posix"]
IN_TRANSACTIONS = [
    point
    for point, reached in POINTS.items()
    if reached[0][0] == "registry" and not point.endswith(("before_txn", "before_reply", "after_commit"))
]
CHANGES = [many, prune, remove_run, empty_trash]
WRITERS = 16
TRANSIENT = UNKNOWN_OUTCOMES - {"InternalError"}


@pytest.mark.parametrize("point", IN_TRANSACTIONS)
@pytest.mark.parametrize("kind", POSTGRESQL, ids=str)
def test_a_connection_that_is_terminated_in_a_transaction_loses_nothing(
    deployments: Deployments, kind: DeploymentKind, point: str
) -> None:
    deployment = deployments[kind]
    ((owner, scenario), *_) = POINTS[point]
    for number in range(SIZES.repeats):
        marker = deployment.folder / f"{point}-{number}.reached"

        def terminate(job: Job, marker: Path = marker) -> None:
            assert wait_for(marker.exists, 20), job.entries()
            deployment.rows.throw_out()
            marker.unlink()

        tried = attempt(
            deployment, scenario, failpoints=f"{point}@1=wait:{marker}", owner=owner, meanwhile=terminate
        )
        assert problems(deployment, tried) == []
        # Of a transaction that was rolled back the outcome is known.
        assert set(tried.failures) <= (
            {"TransactionError"} if point == "transact.before_commit" else TRANSIENT
        )


@pytest.mark.parametrize("scenario", CHANGES, ids=lambda s: s.__name__)
@pytest.mark.parametrize("kind", POSTGRESQL, ids=str)
def test_a_deadlock_with_another_client_of_the_database_loses_nothing(
    deployments: Deployments, kind: DeploymentKind, scenario: Scenario
) -> None:
    deployment = deployments[kind]
    for _ in range(SIZES.repeats):

        def deadlock(job: Job) -> None:
            with deployment.rows.connected() as other:
                other.execute("LOCK TABLE artifact_record IN EXCLUSIVE MODE")
                # Whoever is in its transaction waits now, and holds rows of these.
                wait_for(lambda: waits_for_a_lock(deployment), 5)
                try:
                    other.execute(
                        "LOCK TABLE put_intent, dataset, artifact_trash, revision IN EXCLUSIVE MODE"
                    )
                except psycopg.errors.DeadlockDetected:
                    other.rollback()

        tried = attempt(deployment, scenario, meanwhile=deadlock)
        assert problems(deployment, tried) == []
        assert set(tried.failures) <= TRANSIENT


def waits_for_a_lock(deployment: Deployment) -> bool:
    """Return whether somebody waits in the database."""
    query = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(deployment.rows.select(query))


@pytest.fixture
def configured(deployments: Deployments, request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """Give a deployment whose database may be configured; the test's own settings go with it."""
    deployment = deployments[request.param]
    yield deployment
    deployment.rows.configure("RESET ALL")
    deployment.stop()


@pytest.mark.parametrize("scenario", CHANGES, ids=lambda s: s.__name__)
@pytest.mark.parametrize("configured", POSTGRESQL, ids=str, indirect=True)
def test_a_read_only_database_refuses_and_nothing_is_deleted(
    configured: Deployment, scenario: Scenario
) -> None:
    deployment = configured
    before: list[dict[str, int]] = []

    def prepared(deployment: Deployment, run: str) -> Plan:
        plan = scenario(deployment, run)
        deployment.rows.configure("SET default_transaction_read_only = on")
        deployment.rows.throw_out()
        before.append(dict(deployment.artifacts.sizes()))
        return plan

    tried = attempt(deployment, prepared)
    assert set(tried.failures) == {"ServiceUnavailableError"}
    assert dict(deployment.artifacts.sizes()) == before[0]
    deployment.rows.configure("RESET ALL")
    deployment.rows.throw_out()
    assert problems(deployment, tried) == []


@pytest.mark.parametrize("configured", POSTGRESQL, ids=str, indirect=True)
def test_a_lock_that_is_not_given_in_time_loses_nothing(configured: Deployment) -> None:
    deployment = configured

    def prepared(deployment: Deployment, run: str) -> Plan:
        plan = many(deployment, run)
        deployment.rows.configure("SET lock_timeout = '50ms'")
        deployment.rows.throw_out()
        return plan

    def hold(job: Job) -> None:
        with deployment.rows.connected() as other:
            other.execute("LOCK TABLE dataset IN EXCLUSIVE MODE")
            time.sleep(1.0)

    tried = attempt(deployment, prepared, meanwhile=hold)
    assert problems(deployment, tried) == []
    assert set(tried.failures) <= TRANSIENT


def test_when_all_connections_are_busy_calls_end_and_nothing_is_lost(deployments: Deployments) -> None:
    deployment = deployments[DeploymentKind("services", "postgresql", "posix")]

    def crowd(deployment: Deployment, run: str) -> Plan:
        step = {"do": "put_many", "run": run, "size": 64}
        return Plan(
            [{**step, "detectors": [n + 1], "token": f"{run}-{n}", "lane": n} for n in range(2 * WRITERS)]
        )

    def hold(job: Job) -> None:
        with deployment.rows.connected() as other:
            other.execute("LOCK TABLE put_intent IN EXCLUSIVE MODE")
            time.sleep(12.0)

    tried = attempt(deployment, crowd, meanwhile=hold)
    assert problems(deployment, tried) == []
    assert set(tried.failures) <= TRANSIENT
    assert tried.longest_seconds < 61


@pytest.mark.parametrize("kind", SQLITE, ids=str)
def test_sixteen_writers_of_one_sqlite_file_all_succeed(
    deployments: Deployments, kind: DeploymentKind
) -> None:
    deployment = deployments[kind]
    history = History()
    jobs = []
    for process in range(4):
        steps = []
        with deployment.butler() as butler:
            for lane in range(WRITERS // 4):
                run = f"busy{deployment.new_case()}"
                butler.registry.registerRun(run)
                step = {"do": "put_many", "run": run, "size": 64, "lane": lane}
                steps += [
                    {**step, "detectors": [3 * n + 1, 3 * n + 2], "token": f"{run}-{n}"} for n in range(5)
                ]
        jobs.append((deployment.job(steps, f"busy-{deployment.new_case()}-{process}"), steps))
    for job, steps in jobs:
        assert job.process.wait(120) == 0
        assert not [entry for entry in job.entries() if "failed" in entry]
        history.add(steps, job.entries())
    assert check(deployment, history) == []
