# SPDX-License-Identifier: BSD-3-Clause
"""Hundreds of jobs on a Dask cluster get and put datasets through one deployment.

``python -m examples.dask_jobs grpc://host:port/repository`` makes the repository, runs the jobs of `visit_jobs`, and
compares. The butler is sent to each worker once, and all of its jobs share it.
"""

from __future__ import annotations

__all__ = ["jobs", "main"]

import argparse
from collections.abc import Sequence

from distributed import Client, LocalCluster, as_completed
from rich.console import Console

from butler import Butler

from .journal import Journal
from .visit_jobs import Visit, compare, describe, measure, sum_up, visits_of

RUN = "dask/jobs"


def jobs(client: Client, butler: Butler, visits: Sequence[Visit], journal: Journal) -> None:
    """Run the jobs of some visits; an exception of one is raised here."""
    shared = client.scatter(butler, broadcast=True)
    submitted = []
    for visit in visits:
        values = [client.submit(measure, shared, data_id, pure=False) for data_id in visit.detectors]
        summed = client.submit(sum_up, shared, visit.data_id, visit.numbers, values, pure=False)
        submitted += [*values, summed]
    with journal.step("Run jobs", "jobs", len(submitted)) as step:
        for done in step.each(as_completed(submitted)):
            done.result()


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
        visits = visits_of(butler, given.visits)
        jobs(client, butler, visits, journal)
        compare(butler, visits, journal)
        journal.show()


if __name__ == "__main__":
    main()
