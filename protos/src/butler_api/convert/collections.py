# SPDX-License-Identifier: BSD-3-Clause
"""Collections."""

from __future__ import annotations

__all__ = [
    "collection_from_proto",
    "collection_to_proto",
    "collection_type_from_proto",
    "collection_type_to_proto",
]

from butler_api.v1 import models_pb2
from butler_model.collection import Collection, CollectionType
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
    )


def collection_from_proto(message: models_pb2.Collection) -> Collection:
    """Return a collection; `InvalidNameError` if its name is malformed."""
    type_ = collection_type_from_proto(message.type)
    return Collection(message.name, type_, message.doc, tuple(message.children))


_TYPES = {collection_type_to_proto(type_): type_ for type_ in CollectionType}
