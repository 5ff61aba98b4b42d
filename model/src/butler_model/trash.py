# SPDX-License-Identifier: BSD-3-Clause
"""The trash: artifacts that no dataset has any more, until they are deleted."""

from __future__ import annotations

__all__ = [
    "PurgeClaim",
    "PurgeFailure",
    "PurgeProgress",
    "PurgeTask",
    "TrashSelection",
    "TrashState",
    "TrashedArtifact",
]

from dataclasses import dataclass
from enum import Enum
from uuid import UUID

from .artifact import ArtifactRecord


class TrashState(Enum):
    """How far the deletion of an artifact is."""

    TRASHED = "trashed"
    """Nothing was done yet; it can be restored."""
    PURGING = "purging"
    """A datastore has claimed it and may have deleted it."""
    FAILED = "failed"
    """Its deletion was tried and failed, and will be tried again; whether it is still there, nobody knows."""


@dataclass(frozen=True, slots=True)
class TrashedArtifact:
    """An artifact in the trash.

    Attributes
    ----------
    dataset_type, run
        Names of what the dataset belonged to when it was trashed.
    purged
        Whether the dataset itself is gone, too; else only its artifact was given up.
    trash_id
        Id of the request that trashed it.
    trashed_by
        Principal that trashed it; empty where nobody authenticates.
    trashed_nsec
        When it was trashed, in Unix nanoseconds, by the clock of the database.
    due_nsec
        When a datastore may delete it: after the delay that was asked for, the next try after a failure, or the lease
        of the one that has claimed it. Unix nanoseconds.
    attempts
        How often it was claimed.
    last_error
        Why the last attempt failed; `None` if none has.
    """

    record: ArtifactRecord
    dataset_type: str
    run: str
    purged: bool
    trash_id: UUID
    trashed_by: str
    trashed_nsec: int
    state: TrashState
    due_nsec: int
    attempts: int
    last_error: str | None


@dataclass(frozen=True, slots=True)
class TrashSelection:
    """Which of the trash is meant; what is empty does not restrict it.

    Attributes
    ----------
    trash_ids
        Ids of the requests that trashed it.
    dataset_ids
        Ids of its datasets.
    stores
        Names of stores.
    states
        How far its deletion is.
    """

    trash_ids: tuple[UUID, ...] = ()
    dataset_ids: tuple[UUID, ...] = ()
    stores: tuple[str, ...] = ()
    states: frozenset[TrashState] = frozenset()


@dataclass(frozen=True, slots=True)
class PurgeTask:
    """One artifact that a datastore is to delete.

    Attributes
    ----------
    deletes
        Whether there is something to delete: not if other datasets share the artifact, or if it was never the
        datastore's (``direct``); then it is only to be confirmed.
    size
        Recorded length in bytes.
    """

    dataset_id: UUID
    component: str
    store: str
    key: str
    size: int
    deletes: bool


@dataclass(frozen=True, slots=True)
class PurgeClaim:
    """Tasks that were claimed together; empty if there is nothing to do now.

    Attributes
    ----------
    claim_id
        Names the claim where its outcome is told.
    """

    claim_id: UUID
    tasks: tuple[PurgeTask, ...]


@dataclass(frozen=True, slots=True)
class PurgeFailure:
    """A task that could not be done, and why, in one line."""

    task: PurgeTask
    error: str


@dataclass(frozen=True, slots=True)
class PurgeProgress:
    """How far the emptying of the trash is; all numbers count from its begin.

    Attributes
    ----------
    deleted
        Artifacts that are gone.
    kept
        Artifacts that left the trash and stay: others share them, or they were never the datastore's.
    failed
        Artifacts whose deletion failed; they stay in the trash.
    size
        Bytes of what was deleted.
    remaining
        Artifacts in the trash that are due and were not tried yet.
    last_error
        Of the latest failure; `None` if there was none.
    """

    deleted: int = 0
    kept: int = 0
    failed: int = 0
    size: int = 0
    remaining: int = 0
    last_error: str | None = None
