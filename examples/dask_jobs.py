# SPDX-License-Identifier: BSD-3-Clause
"""Hundreds of jobs on a Dask cluster get and put datasets through one deployment.

``python -m examples.dask_jobs grpc://host:port/repository`` makes the repository, measures each detector of each visit
in a job, sums up each visit in another, and compares. A butler is pickled to the workers: each opens the repository
anew, once, and all jobs of the worker share it. A job that Dask runs again, because a worker died, finds that its
dataset is there already.
"""

from __future__ import annotations

__all__ = ["jobs", "main"]

import argparse
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from distributed import Client, LocalCluster, as_completed
from rich.console import Console

from butler import Butler, DatasetType, errors

from .journal import Journal
from .survey import insert_survey

RUN = "dask/jobs"
MEASUREMENT = "measurement"
SUMMARY = "visit_summary"
DataId = Mapping[str, Any]


def measure(butler: Butler, data_id: DataId) -> int:
    """Put the measurement of a detector; return its value."""
    value = int(data_id["visit"]) + int(data_id["detector"])
    _put_once(butler, {"value": value}, MEASUREMENT, data_id)
    return value


def sum_up(butler: Butler, visit: DataId, detectors: Sequence[int], values: Sequence[int]) -> int:
    """Get the measurements of a visit, and put their sum; return it."""
    stored = [butler.get(MEASUREMENT, visit, detector=detector)["value"] for detector in detectors]
    if stored != list(values):
        raise RuntimeError(f"{visit}: {stored} was stored, not {list(values)}")
    _put_once(butler, {"sum": sum(stored)}, SUMMARY, visit)
    return sum(stored)


def _put_once(butler: Butler, value: object, dataset_type: str, data_id: DataId) -> None:
    """Put a dataset, unless a job that was run before has put the same."""
    try:
        butler.put(value, dataset_type, data_id)
    except errors.ConflictingDefinitionError:
        if butler.get(dataset_type, data_id) != value:
            raise


def describe(repository: str, run: str) -> None:
    """Make a repository with a survey and the dataset types of the jobs."""
    Butler.makeRepo(repository)
    with Butler(repository, run=run) as butler:
        insert_survey(butler)
        for name, dimensions in ((MEASUREMENT, ("visit", "detector")), (SUMMARY, ("visit",))):
            butler.registry.registerDatasetType(
                DatasetType(name, dimensions, "StructuredDataDict", universe=butler.dimensions)
            )


def jobs(client: Client, butler: Butler, visits: int, journal: Journal) -> int:
    """Run the jobs of some visits; return how many datasets they put.

    Raises
    ------
    RuntimeError
        If a dataset is lost, or has another content than was put.
    """
    found = butler.registry.queryDataIds(["visit", "detector"]).order_by("visit", "detector")
    grouped = groupby((dict(data_id.required) for data_id in found), key=lambda data_id: data_id["visit"])
    chosen = [list(group) for _, group in zip(range(visits), (list(g) for _, g in grouped), strict=False)]
    shared = client.scatter(butler, broadcast=True)
    sums, measured = [], []
    for group in chosen:
        values = [client.submit(measure, shared, data_id, pure=False) for data_id in group]
        visit = {"instrument": group[0]["instrument"], "visit": group[0]["visit"]}
        detectors = [data_id["detector"] for data_id in group]
        sums.append(client.submit(sum_up, shared, visit, detectors, values, pure=False))
        measured += values
    with journal.step("Run jobs", "jobs", len(measured) + len(sums)) as step:
        for done in step.each(as_completed([*measured, *sums])):
            done.result()
    with journal.step("Compare", "datasets") as step:
        expected = [
            sum(int(data_id["visit"]) + int(data_id["detector"]) for data_id in group) for group in chosen
        ]
        refs = list(butler.registry.queryDatasets(SUMMARY))
        stored = {
            ref.dataId["visit"]: value["sum"] for ref, value in zip(refs, butler.get_many(refs), strict=True)
        }
        if stored != {group[0]["visit"]: value for group, value in zip(chosen, expected, strict=True)}:
            raise RuntimeError(f"sums of {len(stored)} visits are there, and not as expected")
        count = butler.registry.queryDatasets(MEASUREMENT).count()
        if count != len(measured):
            raise RuntimeError(f"{count} measurements are there of {len(measured)}")
        step.add(count + len(stored))
    return count + len(stored)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m examples.dask_jobs", description=__doc__)
    parser.add_argument("repository", help="grpc://host:port/repository, which must not exist yet")
    parser.add_argument("--workers", type=int, default=4, help="processes; each has two threads")
    parser.add_argument("--visits", type=int, default=20, help="17 jobs each")
    given = parser.parse_args()
    describe(given.repository, RUN)
    with (
        LocalCluster(n_workers=given.workers, threads_per_worker=2, dashboard_address=None) as cluster,
        Client(cluster) as client,
        Butler(given.repository, run=RUN) as butler,
    ):
        journal = Journal(given.repository, Console())
        jobs(client, butler, given.visits, journal)
        journal.show()


if __name__ == "__main__":
    main()
