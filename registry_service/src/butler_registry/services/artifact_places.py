# SPDX-License-Identifier: BSD-3-Clause
"""Where the artifacts of a put are: as the repository places them, or where its client found them."""

from __future__ import annotations

__all__ = ["ArtifactPlaces", "check_placing"]

from collections.abc import Sequence

from butler_model.artifact import DIRECT_STORE
from butler_model.dataset import DatasetRef
from butler_model.errors import InvalidRequestError
from butler_model.file_uri import path_of_file_uri
from butler_model.path_template import check_key
from butler_model.placement import Placement
from butler_model.ports import Placing, PutBatch
from butler_registry.storage.intent_store import IntendedArtifact


class ArtifactPlaces:
    """Decides what a put may write, or adopt."""

    def __init__(self, placement: Placement) -> None:
        self._placement = placement

    def place(self, batch: PutBatch, refs: Sequence[DatasetRef]) -> list[tuple[IntendedArtifact, ...]]:
        """Return the artifacts of each dataset of a batch; those of a group are placed as its first one's.

        Raises `InvalidNameError` if a key that the client gave is none, else as `Placement.place`.
        """
        placed: list[tuple[IntendedArtifact, ...]] = []
        for number, length in enumerate(batch.sharing or (1,) * len(refs)):
            artifacts = self._place_one(batch, number, refs[len(placed)], length)
            placed += [artifacts] * length
        return placed

    def _place_one(
        self, batch: PutBatch, number: int, first: DatasetRef, sharers: int
    ) -> tuple[IntendedArtifact, ...]:
        if batch.placing is Placing.TEMPLATE:
            places = [(self._placement.place(first, layout), layout) for layout in batch.artifacts]
            return tuple(
                IntendedArtifact(place.store, place.key, layout, place.members, sharers=sharers)
                for place, layout in places
            )
        key = batch.keys[number]
        if batch.placing is Placing.DIRECT:
            path_of_file_uri(key)
            store = DIRECT_STORE
        else:
            store = self._placement.place(first, batch.artifacts[0]).store
            check_key(key)
        return (IntendedArtifact(store, key, batch.artifacts[0], adopted=True, sharers=sharers),)


def check_placing(batch: PutBatch) -> None:
    """Raise `InvalidRequestError` if the groups or keys of a batch do not fit its datasets."""
    groups = len(batch.sharing) if batch.sharing else len(batch.data_ids)
    if batch.sharing and (min(batch.sharing) < 1 or sum(batch.sharing) != len(batch.data_ids)):
        raise InvalidRequestError(
            f"A batch of {batch.dataset_type!r} has groups of {sum(batch.sharing)} datasets, but "
            f"{len(batch.data_ids)} datasets; a group has 1 or more, and each dataset is in one."
        )
    adopts = batch.placing is not Placing.TEMPLATE
    if len(batch.keys) != (groups if adopts else 0) or (adopts and len(batch.artifacts) != 1):
        raise InvalidRequestError(
            f"A batch of {batch.dataset_type!r} has {len(batch.keys)} keys and {len(batch.artifacts)} layouts; "
            "give one layout, and one key for each group, for what is there already, and no keys for what is not."
        )
