# SPDX-License-Identifier: BSD-3-Clause
"""Where a dataset will be that nobody has put yet."""

from __future__ import annotations

__all__ = ["PredictedIds", "checked", "predict"]

from collections import OrderedDict, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

from butler_model.artifact import ArtifactLayout
from butler_model.data_id import DataCoordinate
from butler_model.dataset import DatasetType, new_dataset_id
from butler_model.ports import BeginPut, PutBatch, PutIntent, Registry

_MAX_PREDICTED = 10_000


class PredictedIds:
    """The ids of datasets whose place was predicted.

    A key ends in a part of the id, so the put that follows must use the id that the prediction used. Only the process
    that predicted knows it, and only of the latest 10,000 for one dataset type in one run.
    """

    def __init__(self) -> None:
        self._ids: defaultdict[tuple[str, str], OrderedDict[DataCoordinate, UUID]] = defaultdict(OrderedDict)

    def reserve(self, run: str, dataset_type: str, data_id: DataCoordinate, new: UUID) -> UUID:
        """Return the id of an earlier prediction, or note a new one."""
        ids = self._ids[run, dataset_type]
        reserved = ids.setdefault(data_id, new)
        if len(ids) > _MAX_PREDICTED:
            ids.popitem(last=False)
        return reserved

    def has(self, run: str, dataset_type: str) -> bool:
        """Return whether anything is predicted for that type in that run."""
        return bool(self._ids.get((run, dataset_type)))

    def take(self, run: str, dataset_type: str, data_id: DataCoordinate) -> UUID | None:
        """Return a predicted id, once: a dataset that is put again after it was removed must not have it."""
        return self._ids[run, dataset_type].pop(data_id, None)


def predict(
    registry: Registry,
    ids: PredictedIds,
    run: str,
    dataset_type: DatasetType,
    data_id: Mapping[str, Any],
    layouts: Sequence[ArtifactLayout],
) -> PutIntent:
    """Return where a put would write, without beginning one; raises as the put would."""
    new = new_dataset_id()
    intent = checked(registry, run, dataset_type, data_id, new, layouts)
    reserved = ids.reserve(run, dataset_type.name, intent.data_id, new)
    return intent if reserved == new else checked(registry, run, dataset_type, data_id, reserved, layouts)


def checked(
    registry: Registry,
    run: str,
    dataset_type: DatasetType,
    data_id: Mapping[str, Any],
    dataset_id: UUID,
    layouts: Sequence[ArtifactLayout],
) -> PutIntent:
    """Have the registry check a put and expand its data ID, without beginning it."""
    batch = PutBatch(
        dataset_type.name, dataset_type.storageClass_name, [data_id], [dataset_id], tuple(layouts)
    )
    return registry.puts.begin(BeginPut(uuid4(), run, (batch,), validate_only=True))[0]
