# SPDX-License-Identifier: BSD-3-Clause
"""What a put may not touch because it is in the trash."""

from __future__ import annotations

__all__ = ["TrashGuard"]

from collections.abc import Sequence

from butler_model.artifact import DIRECT_STORE
from butler_model.errors import ConflictingDefinitionError, TrashClaimedError
from butler_registry.storage.database import Connection
from butler_registry.storage.intent_store import IntentRow
from butler_registry.storage.ownership_lock import lock_ownership
from butler_registry.storage.purge_store import PurgeStore


class TrashGuard:
    """Keeps puts and deletions apart."""

    def __init__(self, purges: PurgeStore, schema: str | None) -> None:
        self._purges = purges
        self._schema = schema

    def check_adopted(self, connection: Connection, rows: Sequence[IntentRow]) -> None:
        """Raise `TrashClaimedError` if the deletion of what is to be adopted was begun; keep it from being begun."""
        places = {
            (a.store, a.key) for row in rows for a in row.artifacts if a.adopted and a.store != DIRECT_STORE
        }
        if not places:
            return
        lock_ownership(connection, self._schema)
        for store, key in self._purges.claimed_places(connection, places):
            raise TrashClaimedError(
                f"The artifact {key!r:.300} of store {store!r} is being deleted; ingest the file when that is done.",
                key=key[:300],
                store=store,
            )

    def refuse_trashed_ids(self, connection: Connection, rows: Sequence[IntentRow]) -> None:
        """Raise `ConflictingDefinitionError` if a dataset has artifacts in the trash: it may need their keys."""
        for trashed in self._purges.trashed_ids(connection, [row.dataset_id for row in rows]):
            raise ConflictingDefinitionError(
                f"Dataset {trashed} has artifacts in the trash; restore it, empty the trash first, or use a new id.",
                dataset_id=str(trashed),
            )
