# SPDX-License-Identifier: BSD-3-Clause
"""T6: eight empty the trash, eight prune and eight put, all on files that several datasets share."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock
from uuid import UUID, uuid4

import pytest

from butler import Butler, DatasetRef, FileDataset
from butler_model.errors import OverloadedError
from butler_model.ports import PruneDatasets
from tests.robustness.support.deployments import Deployment, DeploymentKind, Deployments
from tests.robustness.support.history import History, Outcome, Put
from tests.robustness.support.invariants import check, check_settled, settle
from tests.robustness.support.jobs import payload
from tests.robustness.support.sizes import SIZES, seeded

WORKERS = 8
SHARERS = 4
KINDS = [
    DeploymentKind("services", "postgresql", "posix"),
    DeploymentKind("services", "postgresql", "s3"),
]


class Shared:
    """Datasets that are there, by four of one file, and what became of those that are not.

    Attributes
    ----------
    live
        For each dataset its run and detector.
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self.live: dict[UUID, tuple[str, int]] = {}
        self.purged: set[UUID] = set()
        self.emptied = 0
        self.done = Event()

    def take(self, chance: float) -> list[UUID]:
        """Take some datasets that somebody else put, out of different files."""
        with self.lock:
            ids = list(self.live)
            some = ids[int(chance * len(ids)) :: 7][:SHARERS]
            for dataset_id in some:
                del self.live[dataset_id]
            return some


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_shared_file_goes_exactly_with_its_last_reference(
    deployments: Deployments, kind: DeploymentKind
) -> None:
    # D29
    deployment = deployments[kind]
    case = f"shared{deployment.new_case()}"
    shared = Shared()
    with deployment.butler() as butler:
        runs = [f"{case}-{number}" for number in range(WORKERS)]
        for run in runs:
            butler.registry.registerRun(run)
        with ThreadPoolExecutor(3 * WORKERS) as pool:
            work = [pool.submit(put, butler, deployment, run, shared) for run in runs]
            work += [pool.submit(prune, butler, f"{case}-{n}", shared) for n in range(WORKERS)]
            work += [pool.submit(empty, butler, shared) for _ in range(WORKERS)]
            time.sleep(SIZES.shared_seconds / len(KINDS))
            shared.done.set()
            for each in work:
                each.result()
    assert shared.purged
    assert shared.emptied
    history = History(purged=shared.purged)
    for run, detector in shared.live.values():
        group = (detector - 1) // SHARERS
        history.puts.append(Put(run, {detector: payload(f"{run}-{group}")}, Outcome.DONE))
    assert check(deployment, history) == []
    settle(deployment)
    assert check_settled(deployment, history) == []


def put(butler: Butler, deployment: Deployment, run: str, shared: Shared) -> None:
    """Ingest files of four datasets each, as long as there are detectors."""
    blob = butler.registry.getDatasetType("blob")
    for group in range(64 // SHARERS):
        if shared.done.is_set():
            return
        file = deployment.drop / f"{run}-{group}.bin"
        file.write_bytes(payload(f"{run}-{group}"))
        detectors = range(group * SHARERS + 1, (group + 1) * SHARERS + 1)
        data_ids = [butler.registry.expandDataId(instrument="Cam1", detector=d) for d in detectors]
        dataset = FileDataset(str(file), [DatasetRef(blob, data_id) for data_id in data_ids])
        butler.ingest(dataset, transfer="copy", run=run)
        with shared.lock:
            for ref, detector in zip(dataset.refs, detectors, strict=True):
                shared.live[ref.getCheckedId()] = (run, detector)
        # So that there is something to put until the end.
        shared.done.wait(SIZES.shared_seconds / len(KINDS) / (64 // SHARERS) / 2)


def prune(butler: Butler, name: str, shared: Shared) -> None:
    """Purge datasets, one of a file here, one there."""
    chance = seeded("shared removal", name)
    while not shared.done.is_set():
        some = shared.take(chance.random())
        found = butler._connection.registry.datasets.get(some)
        assert all(found)
        refs = [each.ref for each in found if each is not None]
        if chance.random() < 0.5:
            butler.pruneDatasets(refs, purge=True, unstore=True)
        else:
            butler._connection.registry.removals.prune(_request(refs))
        with shared.lock:
            shared.purged.update(some)
        shared.done.wait(0.05)


def empty(butler: Butler, shared: Shared) -> None:
    """Empty the trash over and over; a service has eight such calls at once, those of the prunes included."""
    while not shared.done.is_set():
        try:
            progress = butler.trash.empty()
        except OverloadedError:
            shared.done.wait(0.1)
            continue
        assert not progress.failed, progress.last_error
        with shared.lock:
            shared.emptied += progress.deleted + progress.kept
        shared.done.wait(0.02)


def _request(refs: list[DatasetRef]) -> PruneDatasets:
    return PruneDatasets(uuid4(), tuple(ref.getCheckedId() for ref in refs), unstore=True, purge=True)
