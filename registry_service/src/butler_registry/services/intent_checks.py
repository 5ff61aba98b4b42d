# SPDX-License-Identifier: BSD-3-Clause
"""What has to be true of intents before they are committed or given up."""

from __future__ import annotations

__all__ = ["check_committable", "check_writable", "lease_over", "not_begun", "refuse_others"]

from collections.abc import Collection, Iterable
from dataclasses import replace
from uuid import UUID

from butler_model.access import Verb
from butler_model.errors import IntentError
from butler_registry.storage.intent_store import IntentRow
from butler_registry.storage.schema import IntentState

from .definitions import Snapshot


def check_committable(intent: IntentRow) -> None:
    """Raise `IntentError` if a put was given up, or its lease has run out."""
    if intent.state is not IntentState.ACTIVE:
        raise IntentError(
            f"The put of dataset {intent.dataset_id} was given up; begin it again with a new id.",
            dataset_id=str(intent.dataset_id),
        )
    if intent.expired:
        raise lease_over(intent)


def check_writable(snapshot: Snapshot, intents: Collection[IntentRow]) -> None:
    """Refuse intents of runs that the caller may not write to, as if nobody had begun them."""
    if snapshot.access.is_unrestricted or not intents:
        return
    runs = snapshot.run_names(intent.run_id for intent in intents)
    for intent in intents:
        if not snapshot.access.may(Verb.WRITE, runs[intent.run_id]):
            raise not_begun(intent.dataset_id)


def lease_over(intent: IntentRow) -> IntentError:
    """Return the error for a put whose lease has run out before it was committed."""
    return IntentError(
        f"The lease for the put of dataset {intent.dataset_id} has run out; begin it again.",
        dataset_id=str(intent.dataset_id),
    )


def not_begun(dataset_id: UUID) -> IntentError:
    """Return the error for a dataset that nobody is putting."""
    return IntentError(
        f"No put of dataset {dataset_id} was begun, or it was given up; begin it again.",
        dataset_id=str(dataset_id),
    )


def refuse_others(held: Iterable[IntentRow], rows: Iterable[IntentRow]) -> None:
    """Raise `IntentError` if an intent that there is has the id of one of some rows, and is another."""
    # What this transaction has just written is its own, down to the last field.
    mine = {row.dataset_id: row for row in rows}
    for other in held:
        if replace(other, expired=False) != mine[other.dataset_id]:
            raise IntentError(
                f"Dataset {other.dataset_id} is being put by another request, or was given up; use a new id.",
                dataset_id=str(other.dataset_id),
            )
