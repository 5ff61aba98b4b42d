# SPDX-License-Identifier: BSD-3-Clause
"""Events."""

from __future__ import annotations

__all__ = ["event_from_proto", "event_to_proto"]

from butler_api.v1 import event_service_pb2 as pb
from butler_model.errors import InvalidRequestError
from butler_model.ports import DatasetEvent, DatasetEventKind

from .values import packed_uuids_from_proto

_KINDS = {
    DatasetEventKind.APPEARED: pb.DATASET_EVENT_KIND_APPEARED,
    DatasetEventKind.REMOVED: pb.DATASET_EVENT_KIND_REMOVED,
}
_KINDS_BACK = {number: kind for kind, number in _KINDS.items()}


def event_to_proto(event: DatasetEvent) -> pb.WatchDatasetsResponse:
    """Return the message of an event."""
    return pb.WatchDatasetsResponse(
        event=pb.DatasetEvent(
            kind=_KINDS[event.kind],
            dataset_type=event.dataset_type,
            run=event.run,
            dataset_ids=b"".join(dataset_id.bytes for dataset_id in event.dataset_ids),
            time_nsec=event.time_nsec,
        ),
        position=event.position,
    )


def event_from_proto(message: pb.WatchDatasetsResponse) -> DatasetEvent | None:
    """Return an event, `None` if the message holds none; `InvalidRequestError` for an unknown kind."""
    if not message.HasField("event"):
        return None
    event = message.event
    if event.kind not in _KINDS_BACK:
        raise InvalidRequestError(f"{event.kind} is no kind of event that this version knows; upgrade it.")
    return DatasetEvent(
        _KINDS_BACK[event.kind],
        event.dataset_type,
        event.run,
        tuple(packed_uuids_from_proto(event.dataset_ids, "dataset_ids")),
        message.position,
        event.time_nsec,
    )
