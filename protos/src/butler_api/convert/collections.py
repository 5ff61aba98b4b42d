# SPDX-License-Identifier: BSD-3-Clause
"""Collections."""

from __future__ import annotations

__all__ = [
    "chain_edit_from_proto",
    "chain_edit_to_proto",
    "collection_from_proto",
    "collection_to_proto",
    "collection_type_from_proto",
    "collection_type_to_proto",
    "summary_from_proto",
    "summary_to_proto",
]

from butler_api.v1 import collection_service_pb2, models_pb2
from butler_model.collection import ChainEdit, Collection, CollectionSummary, CollectionType
from butler_model.errors import InvalidRequestError


def collection_type_to_proto(type_: CollectionType) -> models_pb2.CollectionType.ValueType:
    """Return the number of a collection type."""
    return models_pb2.CollectionType.Value(f"COLLECTION_TYPE_{type_.name}")


def collection_type_from_proto(number: models_pb2.CollectionType.ValueType) -> CollectionType:
    """Return a collection type; `InvalidRequestError` if none is given, or an unknown one."""
    known = _TYPES.get(number)
    if known is None:
        raise InvalidRequestError(
            f"There is no collection type {number}; give one of {', '.join(t.name for t in CollectionType)}."
        )
    return known


def collection_to_proto(collection: Collection) -> models_pb2.Collection:
    """Return the message for a collection."""
    return models_pb2.Collection(
        name=collection.name,
        type=collection_type_to_proto(collection.type),
        doc=collection.doc,
        children=collection.children,
        etag=collection.etag if collection.type is CollectionType.CHAINED else "",
    )


def collection_from_proto(message: models_pb2.Collection) -> Collection:
    """Return a collection; `InvalidNameError` if its name is malformed."""
    type_ = collection_type_from_proto(message.type)
    return Collection(message.name, type_, message.doc, tuple(message.children))


def chain_edit_to_proto(edit: ChainEdit) -> collection_service_pb2.ChainEdit.ValueType:
    """Return the number of an edit."""
    return collection_service_pb2.ChainEdit.Value(f"CHAIN_EDIT_{edit.name}")


def chain_edit_from_proto(number: collection_service_pb2.ChainEdit.ValueType) -> ChainEdit:
    """Return an edit; `InvalidRequestError` if none is given, or an unknown one."""
    known = _EDITS.get(number)
    if known is None:
        raise InvalidRequestError(
            f"There is no edit {number} of chains; give one of {', '.join(e.name for e in ChainEdit)}."
        )
    return known


def summary_to_proto(summary: CollectionSummary) -> models_pb2.CollectionSummary:
    """Return the message for a summary."""
    return models_pb2.CollectionSummary(
        dataset_types=summary.dataset_types,
        governors={
            name: models_pb2.GovernorValues(values=values) for name, values in summary.governors.items()
        },
    )


def summary_from_proto(message: models_pb2.CollectionSummary) -> CollectionSummary:
    """Return a summary."""
    governors = {name: tuple(message.governors[name].values) for name in sorted(message.governors)}
    return CollectionSummary(tuple(message.dataset_types), governors)


_EDITS = {chain_edit_to_proto(edit): edit for edit in ChainEdit}
_TYPES = {collection_type_to_proto(type_): type_ for type_ in CollectionType}
