# SPDX-License-Identifier: BSD-3-Clause
"""Receipts, as proofs that what a put intended is there."""

from __future__ import annotations

__all__ = ["Proofs", "check_whole_groups"]

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from uuid import UUID

from butler_model.artifact import DIRECT_STORE, ArtifactRecord, Receipt
from butler_model.errors import IntentError
from butler_registry.storage.intent_store import IntendedArtifact, IntentRow


class Proofs:
    """The receipts that came with a commit."""

    def __init__(self, receipts: Iterable[Receipt]) -> None:
        self._receipts: dict[tuple[str, str, str], dict[UUID, Receipt]] = {}
        for receipt in receipts:
            place = (receipt.store, receipt.key, receipt.component)
            self._receipts.setdefault(place, {})[receipt.dataset_id] = receipt

    def records(self, intent: IntentRow) -> tuple[ArtifactRecord, ...]:
        """Return the records of the artifacts of an intent; `IntentError` if one has no receipt."""
        return tuple(self._record(intent, artifact) for artifact in intent.artifacts)

    def sizes(self, intents: Iterable[IntentRow], runs: Mapping[int, str]) -> dict[str, int]:
        """Return how many bytes were stored for some intents, by run; files outside of all stores do not count."""
        sizes: dict[str, int] = {}
        for intent in intents:
            stored = sum(a.size for a in self.records(intent) if a.store != DIRECT_STORE)
            sizes[runs[intent.run_id]] = sizes.get(runs[intent.run_id], 0) + stored
        return sizes

    def _record(self, intent: IntentRow, artifact: IntendedArtifact) -> ArtifactRecord:
        place = (artifact.store, artifact.key, artifact.layout.component)
        of_place = self._receipts.get(place, {})
        receipt = of_place.get(intent.dataset_id)
        if receipt is None and artifact.sharers > 1:
            # One is enough for all that share the artifact.
            receipt = next(iter(of_place.values()), None)
        if receipt is None:
            raise IntentError(
                f"There is no receipt for {artifact.key!r}; write the artifact, then commit with its receipt.",
                dataset_id=str(intent.dataset_id),
            )
        return ArtifactRecord(
            intent.dataset_id,
            artifact.store,
            artifact.key,
            artifact.layout,
            receipt.size,
            receipt.checksum,
        )


def check_whole_groups(intents: Collection[IntentRow]) -> None:
    """Raise `IntentError` if some of the datasets that share an artifact are not among those of a commit.

    So it may be discarded if one of them was given up: none of the others can be committed any more.
    """
    shared = [(i, a) for i in intents for a in i.artifacts if a.sharers > 1]
    present = Counter((a.store, a.key, a.sharers) for _, a in shared)
    for intent, artifact in shared:
        count = present[artifact.store, artifact.key, artifact.sharers]
        if count % artifact.sharers:
            raise IntentError(
                f"{artifact.sharers} datasets share the artifact {artifact.key!r}, of which {count} are to be "
                "committed; commit them together.",
                dataset_id=str(intent.dataset_id),
            )
