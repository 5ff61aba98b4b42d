# SPDX-License-Identifier: BSD-3-Clause
"""T9: disks that are full or fail, and an S3 that refuses, stalls, and does what it denies."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.robustness.support.attempts import attempt, problems
from tests.robustness.support.deployments import KINDS, Deployment, DeploymentKind, Deployments
from tests.robustness.support.scenarios import Scenario, empty_trash, ingest, large, many, prune, single
from tests.robustness.support.sizes import SIZES
from tests.robustness.support.snapshot import Snapshot
from tests.support.faulty_http import CUT, LOST, FaultyServer, faulty_server_before
from tests.support.requirement import unavailable
from tests.support.s3 import S3Server

pytestmark = pytest.mark.timeout(180 * SIZES.repeats)

ON_SQLITE = [kind for kind in KINDS if kind.database == "sqlite"]
POSIX = [kind for kind in ON_SQLITE if kind.store == "posix"]
S3 = [kind for kind in ON_SQLITE if kind.store == "s3"]
STEPS_OF_A_WRITE = (
    "put.upload_0",
    "put.upload_all_before_fsync",
    "put.after_fsync_before_rename",
    "put.after_rename_before_dirsync",
)
ERRORS_OF_A_DELETE = {
    "empty_trash.delete_error_permission": "EACCES",
    "empty_trash.delete_error_503": "EIO",
    "empty_trash.delete_error_timeout_but_deleted": "ETIMEDOUT",
}
STALL_SECONDS = 4.0
SMALL_DISK = 3_000_000
"""Bytes; one large artifact fits, and not two."""


@pytest.mark.parametrize(
    ("scenario", "error"),
    [(single, "EIO"), (many, "ENOSPC"), (large, "EIO"), (ingest, "ENOSPC")],
    ids=lambda each: each if isinstance(each, str) else each.__name__,
)
@pytest.mark.parametrize("point", STEPS_OF_A_WRITE)
@pytest.mark.parametrize("kind", POSIX, ids=str)
def test_a_disk_that_fails_in_a_write_loses_nothing(
    deployments: Deployments, kind: DeploymentKind, point: str, scenario: Scenario, error: str
) -> None:
    deployment = deployments[kind]
    for _ in range(SIZES.repeats):
        failed = attempt(deployment, scenario, failpoints=f"{point}@1=error:{error}", owner="datastore")
        assert problems(deployment, failed) == []
    again = attempt(deployment, scenario)
    assert again.failures == []
    assert problems(deployment, again) == []


@pytest.mark.parametrize("point", ERRORS_OF_A_DELETE)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_what_cannot_be_deleted_stays_in_the_trash_and_says_why(
    deployments: Deployments, kind: DeploymentKind, point: str
) -> None:
    # D28
    deployment = deployments[kind]
    error = ERRORS_OF_A_DELETE[point]
    for _ in range(SIZES.repeats):
        tried = attempt(deployment, empty_trash, failpoints=f"{point}=error:{error}", owner="datastore")
        left = deployment.rows.select("SELECT state, attempts, last_error FROM artifact_trash")
        # The shared file stays for the other dataset, so its row may leave.
        assert {row[:2] for row in left} == {(3, 1)}
        assert len(left) == 3
        assert all(point in row[2] for row in left)
        assert problems(deployment, tried) == []


@pytest.fixture(params=POSIX, ids=str)
def on_a_small_disk(
    request: pytest.FixtureRequest, deployments: Deployments, tmp_path: Path
) -> Iterator[Deployment]:
    """Give a deployment whose store is on a file system of three megabytes."""
    if os.geteuid() != 0:
        unavailable("tmpfs", "only root may mount one")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        unavailable("tmpfs", "mounting one is not allowed here")
    try:
        made = deployments.make(request.param, tmp_path / "deployment", root=str(disk / "artifacts"))
        yield made
        made.stop()
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_refuses_and_keeps_what_is_there(on_a_small_disk: Deployment) -> None:
    deployment = on_a_small_disk
    for _ in range(SIZES.repeats):
        before = Snapshot.take(deployment).sizes
        first = attempt(deployment, large)
        assert first.failures == []
        for scenario in (large, large):
            refused = attempt(deployment, scenario)
            assert refused.failures == ["StoreFullError"]
            refused.history.puts += first.history.puts
            assert problems(deployment, refused) == []
        with deployment.butler() as butler:
            found = butler._connection.registry.datasets.get(first.history.puts[0].ids)
            butler.pruneDatasets([each.ref for each in found if each], purge=True, unstore=True)
        assert Snapshot.take(deployment).sizes == before
        assert attempt(deployment, single).failures == []


@pytest.fixture(scope="module", params=S3, ids=str)
def behind_faults(
    request: pytest.FixtureRequest,
    deployments: Deployments,
    s3_server: S3Server,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Deployment, FaultyServer]]:
    """Give a deployment whose S3 is reached through a server that fails when it is told to."""
    with faulty_server_before(s3_server.endpoint) as faulty:
        folder = tmp_path_factory.mktemp("faulty")
        made = deployments.make(
            request.param, folder, endpoint=faulty.endpoint, attempts=2, read_seconds=2.0, connect_seconds=2.0
        )
        yield made, faulty
        made.stop()


FAULTS = {"500": 500, "503": 503, "403": 403, "409": 409, "412": 412, "lost": LOST, "truncated": CUT}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    ("method", "scenario"),
    [
        ("PUT", many),
        ("PUT", large),
        ("HEAD", large),
        ("POST", empty_trash),
        ("DELETE", empty_trash),
        ("POST", prune),
    ],
    ids=lambda each: each if isinstance(each, str) else each.__name__,
)
def test_whatever_s3_answers_nothing_is_lost(
    behind_faults: tuple[Deployment, FaultyServer], method: str, scenario: Scenario, fault: str
) -> None:
    deployment, faulty = behind_faults
    # Once, so that a repeat succeeds, or for good.
    times = 100 if deployment.kind.shape == "services" else 1
    for _ in range(SIZES.repeats):
        tried = attempt(
            deployment,
            scenario,
            meanwhile=lambda job: faulty.faults.update({method: [FAULTS[fault]] * times}),
        )
        faulty.faults.clear()
        assert problems(deployment, tried) == []


def test_an_s3_that_does_not_answer_in_time_loses_nothing(
    behind_faults: tuple[Deployment, FaultyServer],
) -> None:
    deployment, faulty = behind_faults
    for scenario in (many, empty_trash):
        faulty.seconds = 0.0

        def stall(job: object) -> None:
            faulty.seconds = STALL_SECONDS

        tried = attempt(deployment, scenario, meanwhile=stall)
        faulty.seconds = 0.0
        assert tried.longest_seconds < 30
        # What was given up arrives nevertheless. That it does not arrive after the lease is what the guard is for.
        time.sleep(STALL_SECONDS + 1)
        assert problems(deployment, tried) == []
