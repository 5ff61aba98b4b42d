# SPDX-License-Identifier: BSD-3-Clause
"""What a put may not touch because it is in the trash, or somebody else's."""

from __future__ import annotations

__all__ = ["TrashGuard"]

from collections.abc import Iterable, Sequence
from uuid import UUID

from butler_model.artifact import DIRECT_STORE
from butler_model.errors import ConflictingDefinitionError, TrashClaimedError
from butler_registry.storage.database import Connection
from butler_registry.storage.intent_claims import IntentClaims
from butler_registry.storage.intent_store import IntendedArtifact, IntentRow
from butler_registry.storage.ownership_lock import has_locked_ownership, lock_ownership
from butler_registry.storage.purge_store import PurgeStore


class TrashGuard:
    """Keeps puts and deletions apart."""

    def __init__(self, purges: PurgeStore, claims: IntentClaims, schema: str | None) -> None:
        self._purges = purges
        self._claims = claims
        self._schema = schema

    def check(self, transaction: Connection, apart: Connection, rows: Sequence[IntentRow]) -> None:
        """Check intents that are written on a connection apart from a transaction, or within it, where both are one.

        Raises as `check_adopted`; apart also as `refuse_trashed_ids`, for what the transaction has moved to the trash
        itself: to write the intent would wait until the transaction is over.
        """
        if apart is not transaction:
            self.refuse_trashed_ids(transaction, rows)
            if _adopted_places(rows) and has_locked_ownership(transaction, self._schema):
                apart = transaction
        self.check_adopted(apart, rows)

    def check_adopted(self, connection: Connection, rows: Sequence[IntentRow]) -> None:
        """Keep the deletion of what is to be adopted from being begun.

        Raises
        ------
        TrashClaimedError
            Raised if it was begun already.
        ConflictingDefinitionError
            Raised if it is what a put of another dataset writes, and may discard.
        """
        places = _adopted_places(rows)
        if not places:
            return
        lock_ownership(connection, self._schema)
        for store, key in self._purges.claimed_places(connection, places):
            raise TrashClaimedError(
                f"The artifact {key!r:.300} of store {store!r} is being deleted; ingest the file when that is done.",
                key=key[:300],
                store=store,
            )

        written = self._claims.written_by_others(connection, places, {row.dataset_id for row in rows})
        for (store, key), dataset_id in written.items():
            raise ConflictingDefinitionError(
                f"The artifact {key!r:.300} of store {store!r} is being written by the put of dataset {dataset_id}; "
                "ingest the file when that is done.",
                key=key[:300],
                store=store,
            )

    def to_discard(
        self, connection: Connection, apart: Connection, rows: Iterable[IntentRow]
    ) -> list[tuple[IntendedArtifact, UUID]]:
        """Return what puts that were given up may have written, with their datasets, but for what others own.

        Parameters
        ----------
        apart
            Sees the intents.
        """
        written = [(a, row.dataset_id) for row in rows for a in row.artifacts if not a.adopted]
        owned = self._claims.owned(connection, {(a.store, a.key) for a, _ in written})
        owned |= self._claims.adopted_places(apart)
        return [(a, dataset_id) for a, dataset_id in written if (a.store, a.key) not in owned]

    def refuse_trashed_ids(self, connection: Connection, rows: Sequence[IntentRow]) -> None:
        """Raise `ConflictingDefinitionError` if a dataset has artifacts in the trash: it may need their keys."""
        for trashed in self._purges.trashed_ids(connection, [row.dataset_id for row in rows]):
            raise ConflictingDefinitionError(
                f"Dataset {trashed} has artifacts in the trash; restore it, empty the trash first, or use a new id.",
                dataset_id=str(trashed),
            )


def _adopted_places(rows: Sequence[IntentRow]) -> set[tuple[str, str]]:
    """Return store and key of what is to be adopted from stores."""
    return {(a.store, a.key) for row in rows for a in row.artifacts if a.adopted and a.store != DIRECT_STORE}
