# SPDX-License-Identifier: BSD-3-Clause
"""What a registry does for one caller while another changes what both use; over every implementation."""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from butler_model.errors import IntentError
from butler_model.ports import RegistryTransaction
from tests.support.registries import (  # noqa: F401 - fixtures
    RegistryHome,
    RegistrySetup,
    registry_home_of_module,
    registry_of_module,
)

NAMES = (f"races/{i}" for i in itertools.count())


@pytest.fixture
def run(shared: RegistrySetup) -> str:
    """Give the name of an empty run of one's own."""
    return shared.register_run(next(NAMES))


@pytest.fixture
def many_writers(home: RegistryHome) -> None:
    if not home.database.startswith("postgresql"):
        pytest.skip("SQLite has one writer.")


def note(detector: int) -> dict[str, Any]:
    return {"instrument": "Cam1", "detector": detector}


def begin(setup: RegistrySetup) -> tuple[RegistryTransaction, RegistrySetup]:
    """Begin a transaction; return it, and short ways to use it."""
    transaction = setup.registry.transactions.begin(uuid.uuid4())
    return transaction, replace(setup, registry=transaction)


def outcome_beside(end: Callable[[], Any], call: Callable[[], Any], seconds: float = 0.5) -> Any:
    """Return what a call returns, or what it raises, that waits for a transaction until ``end`` ends it."""
    outcomes: list[Any] = []

    def run() -> None:
        try:
            outcomes.append(call())
        except Exception as error:  # noqa: BLE001 - the test judges it
            outcomes.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(seconds)
    end()
    thread.join()
    return outcomes[0]


# ---- puts


@pytest.mark.usefixtures("many_writers")
def test_a_commit_that_waits_until_its_lease_is_over_is_not_said_to_be_done(
    shared: RegistrySetup, run: str
) -> None:
    transaction, within = begin(shared)
    within.put("note", run, note(1))
    intents = shared.begin("note", run, [note(2)], lease_seconds=1)
    outcome = outcome_beside(transaction.rollback, lambda: shared.commit(intents), 1.5)
    assert isinstance(outcome, IntentError), outcome
    assert "run out" in str(outcome)
    assert shared.find("note", note(2), run) is None
