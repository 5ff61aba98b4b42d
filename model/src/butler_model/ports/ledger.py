# SPDX-License-Identifier: BSD-3-Clause
"""What a datastore needs of a registry: what to delete, what was begun and not ended, and what there should be."""

from __future__ import annotations

__all__ = ["ArtifactLedger", "GuardedLedgers", "IntendedPlace", "KnownArtifact", "Ledgers", "Ownership"]

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol
from uuid import UUID

from butler_model.access import Verb
from butler_model.api_token import ApiToken
from butler_model.principal import Principal
from butler_model.trash import PurgeClaim, PurgeFailure, PurgeTask, TrashSelection


class Ownership(Enum):
    """Who answers for an artifact."""

    LIVE = "live"
    """A dataset has it."""
    TRASHED = "trashed"
    """It is in the trash."""
    INTENDED = "intended"
    """A put that was begun may write it."""


@dataclass(frozen=True, slots=True)
class KnownArtifact:
    """An artifact that the registry knows of.

    Attributes
    ----------
    size, checksum
        As recorded; 0 and empty for one that is intended.
    members
        Members of a chain of stores that take it, if the registry knows; empty for all.
    """

    key: str
    ownership: Ownership
    dataset_id: UUID
    component: str
    size: int
    checksum: str
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IntendedPlace:
    """Where a put that did not come to its end may have written.

    Attributes
    ----------
    dataset_id
        Names the intent.
    places
        (store, key) of what it may have written; empty if there is nothing to discard.
    """

    dataset_id: UUID
    places: tuple[tuple[str, str], ...]


class ArtifactLedger(Protocol):
    """The artifacts of one repository, for the datastore that deletes and checks them.

    All times are those of the database. What is claimed belongs to the claim until its lease ends; then another one
    may claim it.
    """

    def count_due(self, selection: TrashSelection) -> int:
        """Return how many artifacts in the trash could be claimed now."""
        ...

    def claim_trash(
        self, selection: TrashSelection, *, claim_id: UUID, limit: int, lease_seconds: int
    ) -> PurgeClaim:
        """Claim artifacts of the trash that are due, at most ``limit``, in the order in which they are due.

        The claim is known by a new id; a repeat of the call gives what it has, and claims nothing more.
        An artifact that a dataset, a put that adopts it, or other trash shares is not to be deleted; the task says so.
        """
        ...

    def confirm_purge(
        self, claim_id: UUID, done: Sequence[PurgeTask], failed: Sequence[PurgeFailure]
    ) -> None:
        """Take out of the trash what was done, with a line in the log of deletions; note what failed.

        It ends the claim: what is told neither as done nor as failed can be claimed at once.

        What failed is due again after a delay that doubles with each attempt, from 1 minute up to 1 day. Tasks that
        are no longer of this claim are ignored, so a repeat is harmless.
        """
        ...

    def claim_intents(self, *, limit: int, lease_seconds: int, guard_seconds: int) -> list[IntendedPlace]:
        """Claim puts whose lease ended at least ``guard_seconds`` ago; from then on they cannot be committed.

        Places that a dataset has, or that the put was to adopt, are not among those to discard.
        """
        ...

    def finish_intents(self, dataset_ids: Sequence[UUID]) -> None:
        """Forget claimed intents whose places were discarded, with a line each in the log of deletions."""
        ...

    def known(self, store: str, *, after: str = "", limit: int = 10_000) -> list[KnownArtifact]:
        """Return the artifacts of a store whose keys follow ``after``, by key (code points).

        A key that several own comes several times, all of them in one answer.
        """
        ...

    def age_out(self, *, request_seconds: int, log_seconds: int) -> Mapping[str, int]:
        """Delete what nobody asks for any more; return how many rows of each table.

        Parameters
        ----------
        request_seconds
            How long answers to mutations are kept for repeats; at least 86,400.
        log_seconds
            How long the log of deletions and events are kept.
        """
        ...


class GuardedLedgers(Protocol):
    """The ledgers, for those only who have a pass; see `butler_model.grants.TokenSigner.sign_pass`."""

    def ledger(self, service_pass: bytes, repository: str) -> ArtifactLedger:
        """Return the ledger of a repository; `GrantError` without a valid pass."""
        ...

    def token(self, service_pass: bytes, repository: str, token_id: UUID, digest: bytes) -> ApiToken:
        """Return an API token that is good now; `AuthenticationError` if there is none with that digest."""
        ...

    def check_housekeeping(
        self,
        service_pass: bytes,
        repository: str,
        principal: Principal,
        verb: Verb,
        trash_ids: Collection[UUID],
    ) -> None:
        """Raise `AccessDeniedError` unless a caller of the datastore service may have housekeeping done.

        ``verb`` is DELETE to empty the trash, of the removals that are named or all, and ADMINISTER for all else.
        """
        ...


class Ledgers(Protocol):
    """The ledgers of all repositories of a deployment."""

    def names(self) -> list[str]:
        """Return the names of all repositories, ascending."""
        ...

    def ledger(self, repository: str) -> ArtifactLedger:
        """Return the ledger of a repository; `RepositoryNotFoundError` if there is none."""
        ...
