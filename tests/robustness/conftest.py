# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of robustness share: the servers, and deployments that live as long as the test process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.robustness.support.deployments import Deployments
from tests.robustness.support.figures import FIGURES, Figures, add_figures
from tests.robustness.support.processes import Nursery, nursery_of
from tests.robustness.support.sizes import PART, SEED, SIZES, drawn
from tests.robustness.support.warming import warm
from tests.support.s3 import S3Server
from tools.servers.postgres import PostgresServer, own_postgres_server


def pytest_report_header() -> str:
    """Tell what repeats this run."""
    return f"robustness: BUTLER_ROBUSTNESS_SEED={SEED}, part {PART}, {SIZES}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Add the figures of a part to those of the others."""
    if PART.of > 1 and not hasattr(config, "workerinput"):
        add_figures(FIGURES, Figures.of_run(terminalreporter))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Draw faults of storage; begin with the tests that take longest, so that the workers end together."""
    faults = [item for item in items if item.path.stem == "test_storage_faults"]
    kept = {item.nodeid for item in drawn(faults, SIZES.storage_faults, "storage")}
    items[:] = [item for item in items if item.nodeid in kept or item.path.stem != "test_storage_faults"]
    items[:] = PART.chosen(items)
    longest = ("test_state_machine", "test_shared_removal", "test_network", "test_database_faults")
    items.sort(key=lambda item: not item.path.stem.startswith(longest))


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Give what starts processes."""
    warm()
    with nursery_of("tests.robustness.support.jobs") as made:
        yield made


@pytest.fixture(scope="session")
def fragile_postgres() -> Iterator[PostgresServer]:
    """Give a PostgreSQL server of one's own, of which processes may be killed."""
    with own_postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def deployments(
    tmp_path_factory: pytest.TempPathFactory,
    nursery: Nursery,
    fragile_postgres: PostgresServer,
    s3_server: S3Server,
) -> Iterator[Deployments]:
    """Give all kinds of deployments, each made when it is first asked for."""
    made = Deployments(tmp_path_factory.mktemp("deployments"), nursery, fragile_postgres, s3_server)
    yield made
    made.close()
