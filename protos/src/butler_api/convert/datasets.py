# SPDX-License-Identifier: BSD-3-Clause
"""Datasets that exist, and datasets that are being put."""

from __future__ import annotations

__all__ = [
    "begin_from_proto",
    "begin_to_proto",
    "found_from_proto",
    "found_to_proto",
    "granted_from_proto",
    "granted_to_proto",
    "put_batch_from_proto",
    "put_batch_to_proto",
    "ref_from_proto",
    "ref_to_proto",
    "types_of",
]

from collections.abc import Iterable, Mapping, Sequence

from butler_api.v1 import dataset_service_pb2, models_pb2
from butler_model.data_id import DataCoordinate
from butler_model.dataset import DatasetRef, DatasetType
from butler_model.errors import InvalidRequestError
from butler_model.ports import BeginPut, FoundDataset, Placing, PutBatch, PutIntent, WriteGrant
from butler_model.universe import DimensionUniverse

from .artifacts import artifact_from_proto, artifact_to_proto, layout_from_proto, layout_to_proto
from .data_ids import data_ids_from_proto, data_ids_to_proto, expanded_from_proto, expanded_to_proto
from .values import uuid_from_proto, uuids_from_proto, value_from_proto, value_to_proto

_DEFAULT_LEASE_SECONDS = 3600
_PLACINGS = {
    Placing.TEMPLATE: dataset_service_pb2.PLACING_TEMPLATE,
    Placing.IN_STORE: dataset_service_pb2.PLACING_IN_STORE,
    Placing.DIRECT: dataset_service_pb2.PLACING_DIRECT,
}
_PLACINGS_BACK = {
    dataset_service_pb2.PLACING_UNSPECIFIED: Placing.TEMPLATE,
    **{number: placing for placing, number in _PLACINGS.items()},
}


def ref_to_proto(ref: DatasetRef) -> models_pb2.DatasetRef:
    """Return the message for a resolved ref; `AmbiguousDatasetError` if it is not resolved."""
    names = ref.dimensions.required
    return models_pb2.DatasetRef(
        id=ref.getCheckedId().bytes,
        dataset_type=ref.datasetType.nameAndComponent()[0],
        run=ref.run or "",
        data_id=[value_to_proto(ref.dataId[name], name) for name in names],
    )


def ref_from_proto(message: models_pb2.DatasetRef, types: Mapping[str, DatasetType]) -> DatasetRef:
    """Return a ref to a dataset of one of the types; `InvalidRequestError` if it does not fit them."""
    dataset_type = types.get(message.dataset_type)
    if dataset_type is None:
        raise InvalidRequestError(f"A dataset came without its type {message.dataset_type!r:.150}.")
    values = [value_from_proto(value) for value in message.data_id]
    if len(values) != len(dataset_type.dimensions.required):
        raise InvalidRequestError(
            f"A dataset of type {dataset_type.name!r} came with {len(values)} values for the dimensions "
            f"{', '.join(dataset_type.dimensions.required)}."
        )
    data_id = DataCoordinate.from_required_values(dataset_type.dimensions, values)
    return DatasetRef(dataset_type, data_id, message.run, id=uuid_from_proto(message.id, "id"))


def found_to_proto(found: FoundDataset | None) -> dataset_service_pb2.FoundDataset:
    """Return the message for what was looked for; an empty one if there is none."""
    if found is None:
        return dataset_service_pb2.FoundDataset()
    return dataset_service_pb2.FoundDataset(
        dataset=ref_to_proto(found.ref),
        artifacts=[artifact_to_proto(artifact) for artifact in found.artifacts],
    )


def found_from_proto(
    message: dataset_service_pb2.FoundDataset, types: Mapping[str, DatasetType]
) -> FoundDataset | None:
    """Return what was found, `None` if there is none."""
    if not message.HasField("dataset"):
        return None
    ref = ref_from_proto(message.dataset, types)
    dataset_id = ref.getCheckedId()
    return FoundDataset(
        ref, tuple(artifact_from_proto(artifact, dataset_id) for artifact in message.artifacts)
    )


def types_of(found: Iterable[FoundDataset | None]) -> list[DatasetType]:
    """Return the types of the datasets that were found, each once."""
    return list({each.ref.datasetType.name: each.ref.datasetType for each in found if each}.values())


def put_batch_to_proto(batch: PutBatch) -> dataset_service_pb2.PutBatch:
    """Return the message for datasets to be put."""
    return dataset_service_pb2.PutBatch(
        dataset_type=batch.dataset_type,
        storage_class=batch.storage_class,
        data_ids=data_ids_to_proto(batch.data_ids),
        dataset_ids=[dataset_id.bytes for dataset_id in batch.dataset_ids],
        artifacts=[layout_to_proto(layout) for layout in batch.artifacts],
        sharing=batch.sharing,
        placing=_PLACINGS[batch.placing],
        keys=batch.keys,
    )


def begin_to_proto(repository: str, begin: BeginPut) -> dataset_service_pb2.BeginPutRequest:
    """Return the request to put datasets into a repository."""
    return dataset_service_pb2.BeginPutRequest(
        repository=repository,
        request_id=begin.request_id.bytes,
        run=begin.run,
        batches=[put_batch_to_proto(batch) for batch in begin.batches],
        lease_seconds=begin.lease_seconds,
        validate_only=begin.validate_only,
    )


def begin_from_proto(message: dataset_service_pb2.BeginPutRequest, limit: int) -> BeginPut:
    """Return what is to be put, its data IDs unchecked; errors as of `data_ids_from_proto`."""
    return BeginPut(
        uuid_from_proto(message.request_id, "request_id"),
        message.run,
        tuple(put_batch_from_proto(batch, limit) for batch in message.batches),
        message.lease_seconds or _DEFAULT_LEASE_SECONDS,
        message.validate_only,
    )


def put_batch_from_proto(message: dataset_service_pb2.PutBatch, limit: int) -> PutBatch:
    """Return datasets to be put, their data IDs unchecked; errors as of `data_ids_from_proto`."""
    placing = _PLACINGS_BACK.get(message.placing)
    if placing is None:
        raise InvalidRequestError(f"There is no way {message.placing} to say where artifacts are.")
    return PutBatch(
        message.dataset_type,
        message.storage_class,
        data_ids_from_proto(message.data_ids, limit),
        uuids_from_proto(message.dataset_ids, "dataset_ids"),
        tuple(layout_from_proto(layout) for layout in message.artifacts),
        tuple(message.sharing),
        placing,
        tuple(message.keys),
    )


def granted_to_proto(intents: Sequence[PutIntent]) -> dataset_service_pb2.GrantedBatch:
    """Return the message for what may be written of one batch."""
    grants = [
        dataset_service_pb2.WriteGrant(key=grant.key, token=grant.token, store=grant.store)
        for intent in intents
        for grant in intent.grants
    ]
    expanded = expanded_to_proto([intent.data_id for intent in intents])
    return dataset_service_pb2.GrantedBatch(expanded=expanded, grants=grants)


def granted_from_proto(
    universe: DimensionUniverse, message: dataset_service_pb2.GrantedBatch, batch: PutBatch
) -> list[PutIntent]:
    """Return what may be written of the batch that was asked for.

    Raises `InvalidRequestError` if the answer is not as long as the batch.
    """
    data_ids = expanded_from_proto(universe, message.expanded)
    per_dataset = len(batch.artifacts)
    if len(data_ids) != len(batch.dataset_ids) or len(message.grants) != len(data_ids) * per_dataset:
        raise InvalidRequestError(
            f"The answer to a put of {len(batch.dataset_ids)} datasets has {len(data_ids)} data IDs and "
            f"{len(message.grants)} grants."
        )
    components = [layout.component for layout in batch.artifacts] * len(data_ids)
    grants = [
        WriteGrant(component, grant.store, grant.key, grant.token)
        for component, grant in zip(components, message.grants, strict=True)
    ]
    return [
        PutIntent(dataset_id, data_id, tuple(grants[i * per_dataset : (i + 1) * per_dataset]))
        for i, (dataset_id, data_id) in enumerate(zip(batch.dataset_ids, data_ids, strict=True))
    ]
