# SPDX-License-Identifier: BSD-3-Clause
"""Datasets of type ``note``, runs for them, and transactions, as the tests of registries need them."""

from __future__ import annotations

__all__ = ["NEW_NAMES", "begin_transaction", "note", "run_of_test"]

import itertools
import uuid
from dataclasses import replace
from typing import Any

import pytest

from butler_model.ports import RegistryTransaction

from .registries import RegistrySetup

NEW_NAMES = (f"notes/{i}" for i in itertools.count())
"""Names of collections that nobody has."""


@pytest.fixture(name="run")
def run_of_test(shared: RegistrySetup) -> str:
    """Give the name of an empty run of one's own."""
    return shared.register_run(next(NEW_NAMES))


def note(detector: int) -> dict[str, Any]:
    """Return the data ID of a note."""
    return {"instrument": "Cam1", "detector": detector}


def begin_transaction(
    setup: RegistrySetup, transaction_id: uuid.UUID | None = None
) -> tuple[RegistryTransaction, RegistrySetup]:
    """Begin a transaction; return it, and short ways to use it."""
    transaction = setup.registry.transactions.begin(transaction_id or uuid.uuid4())
    return transaction, replace(setup, registry=transaction)
