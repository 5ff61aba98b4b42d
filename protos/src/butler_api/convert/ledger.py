# SPDX-License-Identifier: BSD-3-Clause
"""What registry and datastore tell each other about artifacts."""

from __future__ import annotations

__all__ = [
    "failure_from_proto",
    "failure_to_proto",
    "known_from_proto",
    "known_to_proto",
    "places_from_proto",
    "places_to_proto",
    "task_from_proto",
    "task_to_proto",
]

from butler_api.v1 import ledger_service_pb2 as pb
from butler_model.errors import InvalidRequestError
from butler_model.ports import IntendedPlace, KnownArtifact, Ownership
from butler_model.trash import PurgeFailure, PurgeTask

from .values import uuid_from_proto

_OWNERSHIPS = {
    Ownership.LIVE: pb.ARTIFACT_OWNERSHIP_LIVE,
    Ownership.TRASHED: pb.ARTIFACT_OWNERSHIP_TRASHED,
    Ownership.INTENDED: pb.ARTIFACT_OWNERSHIP_INTENDED,
}
_OWNERSHIPS_BACK = {number: ownership for ownership, number in _OWNERSHIPS.items()}


def task_to_proto(task: PurgeTask) -> pb.PurgeTask:
    """Return the message of a task."""
    return pb.PurgeTask(
        dataset_id=task.dataset_id.bytes,
        component=task.component,
        store=task.store,
        key=task.key,
        size=task.size,
        deletes=task.deletes,
    )


def task_from_proto(message: pb.PurgeTask) -> PurgeTask:
    """Return a task; `InvalidRequestError` for a malformed id."""
    return PurgeTask(
        uuid_from_proto(message.dataset_id, "dataset_id"),
        message.component,
        message.store,
        message.key,
        message.size,
        message.deletes,
    )


def failure_to_proto(failure: PurgeFailure) -> pb.PurgeFailure:
    """Return the message of a failure."""
    return pb.PurgeFailure(task=task_to_proto(failure.task), error=failure.error)


def failure_from_proto(message: pb.PurgeFailure) -> PurgeFailure:
    """Return a failure; raises as `task_from_proto`."""
    return PurgeFailure(task_from_proto(message.task), message.error)


def places_to_proto(intent: IntendedPlace) -> pb.IntendedPlaces:
    """Return the message of what a put may have written."""
    places = [pb.ArtifactPlace(store=store, key=key) for store, key in intent.places]
    return pb.IntendedPlaces(dataset_id=intent.dataset_id.bytes, places=places)


def places_from_proto(message: pb.IntendedPlaces) -> IntendedPlace:
    """Return what a put may have written; `InvalidRequestError` for a malformed id."""
    places = tuple((place.store, place.key) for place in message.places)
    return IntendedPlace(uuid_from_proto(message.dataset_id, "dataset_id"), places)


def known_to_proto(artifact: KnownArtifact) -> pb.KnownArtifact:
    """Return the message of an artifact that the registry knows of."""
    return pb.KnownArtifact(
        key=artifact.key,
        ownership=_OWNERSHIPS[artifact.ownership],
        dataset_id=artifact.dataset_id.bytes,
        component=artifact.component,
        size=artifact.size,
        checksum=artifact.checksum,
        members=artifact.members,
    )


def known_from_proto(message: pb.KnownArtifact) -> KnownArtifact:
    """Return an artifact that the registry knows of; `InvalidRequestError` for a malformed id or an unknown owner."""
    if message.ownership not in _OWNERSHIPS_BACK:
        raise InvalidRequestError(
            f"{message.ownership} is no owner of an artifact that this version knows; upgrade it."
        )
    return KnownArtifact(
        message.key,
        _OWNERSHIPS_BACK[message.ownership],
        uuid_from_proto(message.dataset_id, "dataset_id"),
        message.component,
        message.size,
        message.checksum,
        tuple(message.members),
    )
