# SPDX-License-Identifier: BSD-3-Clause
"""Removing datasets, and the trash that their artifacts go to."""

from __future__ import annotations

__all__ = ["PruneDatasets", "RemovalSummary", "Removals", "RemoveRun", "Trash", "TrashPage"]

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from butler_model.trash import TrashedArtifact, TrashSelection


@dataclass(frozen=True, slots=True)
class PruneDatasets:
    """What to remove of some datasets, all or none of it.

    Attributes
    ----------
    dataset_ids
        Ids; those that no dataset has are ignored, since it may be gone already. At most ``Limits.batch_items``.
    unstore
        Whether their artifacts go to the trash.
    purge
        Whether the datasets themselves go; needs ``unstore``.
    tags
        TAGGED collections to take them out of.
    purge_after_seconds
        How long the artifacts stay in the trash at least.
    validate_only
        Whether only to check and to count.
    """

    request_id: UUID
    dataset_ids: tuple[UUID, ...]
    unstore: bool = False
    purge: bool = False
    tags: tuple[str, ...] = ()
    purge_after_seconds: int = 0
    validate_only: bool = False


@dataclass(frozen=True, slots=True)
class RemoveRun:
    """The removal of a RUN collection with all its datasets, a part at a time.

    Attributes
    ----------
    unstore
        Whether the artifacts go to the trash; else they stay where they are and are forgotten.
    unlink
        Chains to take the run out of when it goes; each must have it as a member.
    unlink_all
        Whether to take it out of every chain.
    """

    request_id: UUID
    run: str
    unstore: bool = True
    unlink: tuple[str, ...] = ()
    unlink_all: bool = False
    purge_after_seconds: int = 0
    validate_only: bool = False


@dataclass(frozen=True, slots=True)
class RemovalSummary:
    """What was removed, or would be.

    Attributes
    ----------
    trash_id
        Names what it moved to the trash: the request's id.
    datasets
        For each dataset type, how many datasets were removed, lost their artifacts or were in one of the tags.
    artifacts
        How many artifacts went to the trash, or were forgotten.
    size
        Their recorded bytes together.
    sample
        Ids of some of the datasets, at most ten.
    complete
        Whether nothing is left to do; else the same is to be asked again, with a new id.
    """

    trash_id: UUID
    datasets: Mapping[str, int] = field(default_factory=dict)
    artifacts: int = 0
    size: int = 0
    sample: tuple[UUID, ...] = ()
    complete: bool = True


@dataclass(frozen=True, slots=True)
class TrashPage:
    """Some of the trash; the token is that of the next page, empty if this is the last."""

    artifacts: tuple[TrashedArtifact, ...]
    next_page_token: bytes = b""


class Removals(Protocol):
    """What goes. Nothing is deleted here: artifacts go to the trash, and a datastore empties it."""

    def prune(self, request: PruneDatasets) -> RemovalSummary:
        """Remove datasets, their artifacts, or their tags.

        Raises
        ------
        MissingCollectionError, CollectionTypeError
            Raised if one of the tags is no TAGGED collection.
        InvalidRequestError
            Raised if nothing, or a purge without unstore, is asked for.
        """
        ...

    def remove_run(self, request: RemoveRun) -> RemovalSummary:
        """Remove a run, or as many of its datasets as one transaction is good for; the last call removes the run.

        A run that is not there any more is complete.

        Raises
        ------
        CollectionTypeError
            Raised if it is no RUN.
        OrphanedRecordError
            Raised if it is in a chain that it is not taken out of, or a put into it was begun and not ended.
        ChainMembershipError
            Raised if it is not in one of the chains to take it out of.
        """
        ...


class Trash(Protocol):
    """What is to be deleted."""

    def entries(self, selection: TrashSelection, *, page_size: int = 0, page_token: bytes = b"") -> TrashPage:
        """Return a page of the trash, in the order of dataset id and component."""
        ...

    def count(self, selection: TrashSelection) -> Mapping[str, int]:
        """Return how many artifacts there are in each state, by its name."""
        ...

    def undelete(self, selection: TrashSelection, *, request_id: UUID) -> int:
        """Restore datasets with their artifacts, all or none; return how many artifacts were restored.

        All artifacts of a dataset go back of which one is selected. A purged dataset is in its run again, which is
        registered if it is gone; it is not in the collections that had tagged or certified it.

        Raises
        ------
        ConflictingDefinitionError
            Raised if the run has another dataset of that type and data ID by now.
        TrashClaimedError
            Raised if the deletion of an artifact, or of one that shares it, was begun.
        MissingDatasetTypeError
            Raised if the dataset type is gone.
        """
        ...
