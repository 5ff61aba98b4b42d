# SPDX-License-Identifier: BSD-3-Clause
"""Hundreds of jobs on workers of Parsl get and put datasets through one deployment.

``python -m examples.parsl_jobs grpc://host:port/repository`` makes the repository, runs the jobs of `visit_jobs`, and
compares. Here the workers are on this machine; on a cluster, a provider for its batch system (``SlurmProvider``) stands
where `LocalProvider` does. A butler travels with each job.
"""

from __future__ import annotations

__all__ = ["configuration", "jobs", "main"]

import argparse
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import as_completed
from pathlib import Path

import parsl
from parsl.config import Config
from parsl.dataflow.dependency_resolvers import DEEP_DEPENDENCY_RESOLVER
from parsl.executors import HighThroughputExecutor
from parsl.providers import LocalProvider
from rich.console import Console

from butler import Butler

from .journal import Journal
from .visit_jobs import Visit, compare, describe, measure, sum_up, visits_of

RUN = "parsl/jobs"
_ROOT = Path(__file__).resolve().parent.parent


def configuration(workers: int, folder: str) -> Config:
    """Return how Parsl is to run: worker processes on this machine, which talk over the loopback address.

    Parameters
    ----------
    folder
        For its logs.
    """
    binaries = Path(sys.executable).parent
    provider = LocalProvider(
        init_blocks=1,
        min_blocks=1,
        max_blocks=1,
        # Workers find the programs of Parsl, and the modules that jobs are of.
        worker_init=f'export PATH="{binaries}:$PATH" PYTHONPATH="{_ROOT}"',
    )
    executor = HighThroughputExecutor(
        label="workers",
        address="127.0.0.1",
        max_workers_per_node=workers,
        cores_per_worker=0.01,
        interchange_launch_cmd=[str(binaries / "interchange.py")],
        provider=provider,
    )
    return Config(
        executors=[executor],
        # The values that a sum is of come in a list.
        dependency_resolver=DEEP_DEPENDENCY_RESOLVER,
        # A job whose worker died is run again.
        retries=2,
        strategy="none",
        run_dir=folder,
        usage_tracking=0,
    )


def jobs(butler: Butler, visits: Sequence[Visit], journal: Journal) -> None:
    """Run the jobs of some visits; an exception of one is raised here."""
    measuring, summing = parsl.python_app(measure), parsl.python_app(sum_up)
    submitted = []
    for visit in visits:
        values = [measuring(butler, data_id) for data_id in visit.detectors]
        submitted += [*values, summing(butler, visit.data_id, visit.numbers, values)]
    with journal.step("Run jobs", "jobs", len(submitted)) as step:
        for done in step.each(as_completed(submitted)):
            done.result()


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m examples.parsl_jobs", description=__doc__)
    parser.add_argument("repository", help="grpc://host:port/repository, which must not exist yet")
    parser.add_argument("--workers", type=int, default=4, help="processes")
    parser.add_argument("--visits", type=int, default=20, help="17 jobs each")
    given = parser.parse_args()
    describe(given.repository, RUN)
    with (
        tempfile.TemporaryDirectory(prefix="butler-parsl-") as folder,
        parsl.load(configuration(given.workers, folder)),
        Butler(given.repository, run=RUN) as butler,
    ):
        journal = Journal(given.repository, Console())
        visits = visits_of(butler, given.visits)
        jobs(butler, visits, journal)
        compare(butler, visits, journal)
        journal.show()


if __name__ == "__main__":
    main()
