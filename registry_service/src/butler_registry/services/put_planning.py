# SPDX-License-Identifier: BSD-3-Clause
"""What a put is to write, and where: its data IDs, its keys, its intents."""

from __future__ import annotations

__all__ = ["PlannedPut", "PutPlanner", "check_ids", "conflict"]

from collections.abc import Iterable, Sequence
from typing import TypeAlias
from uuid import UUID

from butler_model.collection import CollectionType
from butler_model.data_id import DataCoordinate
from butler_model.dataset import DatasetRef
from butler_model.errors import (
    CollectionTypeError,
    ConflictingDefinitionError,
    DatasetTypeMismatchError,
    InvalidRequestError,
)
from butler_model.placement import Placement
from butler_model.ports import BeginPut, PutBatch
from butler_registry.storage.dataset_store import DatasetStore
from butler_registry.storage.dataset_type_store import DatasetTypeRow
from butler_registry.storage.intent_store import IntentRow

from .artifact_places import ArtifactPlaces, check_placing
from .data_id_expansion import expand
from .data_id_rewriting import required_values
from .definitions import Snapshot

PlannedPut: TypeAlias = tuple[IntentRow, DataCoordinate]
"""The intent of one dataset, and its expanded data ID."""


class PutPlanner:
    """Plans puts into the stores of a repository."""

    def __init__(self, datasets: DatasetStore, placement: Placement) -> None:
        self._datasets = datasets
        self._places = ArtifactPlaces(placement)

    def plan(self, snapshot: Snapshot, request: BeginPut) -> list[PlannedPut]:
        """Return the intents of a put, whatever datasets there are already."""
        run_id = self._run_id(snapshot, request.run)
        seen: set[tuple[str, DataCoordinate]] = set()
        return [
            planned
            for batch in request.batches
            for planned in self._plan(snapshot, batch, request, run_id, seen)
        ]

    def _run_id(self, snapshot: Snapshot, run: str) -> int:
        found = snapshot.collections([run])[0]
        if found.collection.type is not CollectionType.RUN:
            raise CollectionTypeError(
                f"{run!r} is a {found.collection.type.name} collection; datasets are put into RUN collections.",
                collection=run,
            )
        return found.id

    def _plan(
        self,
        snapshot: Snapshot,
        batch: PutBatch,
        request: BeginPut,
        run_id: int,
        seen: set[tuple[str, DataCoordinate]],
    ) -> Iterable[PlannedPut]:
        row = snapshot.dataset_type(batch.dataset_type)
        if batch.storage_class != row.dataset_type.storageClass_name:
            raise DatasetTypeMismatchError(
                f"Dataset type {batch.dataset_type!r} has the storage class {row.dataset_type.storageClass_name!r}, "
                f"not {batch.storage_class!r}.",
                dataset_type=batch.dataset_type,
            )
        group = row.dataset_type.dimensions
        data_ids = expand(snapshot, group, required_values(snapshot, group, batch.data_ids))
        for data_id in data_ids:
            if (batch.dataset_type, data_id) in seen:
                raise ConflictingDefinitionError(
                    f"{data_id} of dataset type {batch.dataset_type!r} is twice in one put.",
                    dataset_type=batch.dataset_type,
                )
            seen.add((batch.dataset_type, data_id))
        n_required = len(group.required)
        refs = [
            DatasetRef(row.dataset_type, data_id, request.run, id=dataset_id)
            for dataset_id, data_id in zip(batch.dataset_ids, data_ids, strict=True)
        ]
        placed = self._places.place(batch, refs)
        for dataset_id, data_id, artifacts in zip(batch.dataset_ids, data_ids, placed, strict=True):
            values = data_id.values_tuple[:n_required]
            yield IntentRow(dataset_id, request.request_id, row.id, run_id, values, artifacts), data_id

    def refuse_existing(
        self, snapshot: Snapshot, request: BeginPut, planned: Sequence[PlannedPut]
    ) -> set[UUID]:
        """Return the ids that are there already, from an earlier call of the same put.

        Raises `ConflictingDefinitionError` if the run has another dataset of one of the data IDs.
        """
        committed: set[UUID] = set()
        intents = [intent for intent, _ in planned]
        for type_id, row in snapshot.dataset_types_by_id(i.dataset_type_id for i in intents).items():
            wanted = {i.data_id: i for i in intents if i.dataset_type_id == type_id}
            run_ids = [intents[0].run_id]
            found = self._datasets.find(snapshot.connection, row, list(wanted), run_ids, want_artifacts=False)
            for existing in found:
                if existing.dataset_id != wanted[existing.data_id].dataset_id:
                    data_id = DataCoordinate.from_required_values(
                        row.dataset_type.dimensions, existing.data_id
                    )
                    raise conflict(row, data_id, request.run, existing.dataset_id)
                committed.add(existing.dataset_id)
        return committed


def check_ids(request: BeginPut) -> None:
    """Raise `InvalidRequestError` if ids are missing or used twice, or two artifacts are of one component."""
    seen: set[UUID] = set()
    for batch in request.batches:
        if len(batch.data_ids) != len(batch.dataset_ids):
            raise InvalidRequestError(
                f"A batch of {batch.dataset_type!r} has {len(batch.data_ids)} data IDs and "
                f"{len(batch.dataset_ids)} dataset ids; there must be one id for each."
            )
        check_placing(batch)
        components = [layout.component for layout in batch.artifacts]
        if len(set(components)) != len(components):
            raise InvalidRequestError(
                f"A batch of {batch.dataset_type!r} has two artifacts for one component."
            )
        for dataset_id in batch.dataset_ids:
            if dataset_id in seen:
                raise InvalidRequestError(f"Dataset id {dataset_id} is used twice in one put.")
            seen.add(dataset_id)


def conflict(
    row: DatasetTypeRow, data_id: DataCoordinate, run: str, existing: UUID
) -> ConflictingDefinitionError:
    """Return the error for a data ID that a dataset of the run has already."""
    return ConflictingDefinitionError(
        f"Run {run!r} has a dataset of type {row.dataset_type.name!r} with data ID {data_id} already ({existing}); "
        "use another run.",
        dataset_type=row.dataset_type.name,
        run=run,
        existing_id=str(existing),
    )
