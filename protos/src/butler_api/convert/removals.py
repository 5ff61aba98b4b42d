# SPDX-License-Identifier: BSD-3-Clause
"""What is removed, and what lies in the trash."""

from __future__ import annotations

__all__ = [
    "prune_from_proto",
    "prune_to_proto",
    "remove_run_from_proto",
    "remove_run_to_proto",
    "summary_from_proto",
    "summary_to_proto",
    "trashed_from_proto",
    "trashed_to_proto",
]

from butler_api.v1 import removal_service_pb2 as pb
from butler_model.ports import PruneDatasets, RemovalSummary, RemoveRun
from butler_model.trash import TrashedArtifact

from .artifacts import record_from_proto, record_to_proto
from .trash import trash_state_from_proto, trash_state_to_proto
from .values import packed_uuids_from_proto, uuid_from_proto


def prune_to_proto(repository: str, request: PruneDatasets) -> pb.PruneDatasetsRequest:
    """Return the request to prune datasets of a repository."""
    return pb.PruneDatasetsRequest(
        repository=repository,
        request_id=request.request_id.bytes,
        dataset_ids=b"".join(dataset_id.bytes for dataset_id in request.dataset_ids),
        unstore=request.unstore,
        purge=request.purge,
        tags=request.tags,
        purge_after_seconds=request.purge_after_seconds,
        validate_only=request.validate_only,
    )


def prune_from_proto(message: pb.PruneDatasetsRequest) -> PruneDatasets:
    """Return what is to be pruned; `InvalidRequestError` for a malformed id."""
    return PruneDatasets(
        uuid_from_proto(message.request_id, "request_id"),
        tuple(packed_uuids_from_proto(message.dataset_ids, "dataset_ids")),
        message.unstore,
        message.purge,
        tuple(message.tags),
        message.purge_after_seconds,
        message.validate_only,
    )


def remove_run_to_proto(repository: str, request: RemoveRun) -> pb.RemoveRunRequest:
    """Return the request to remove a run of a repository."""
    return pb.RemoveRunRequest(
        repository=repository,
        request_id=request.request_id.bytes,
        run=request.run,
        keep_artifacts=not request.unstore,
        unlink=request.unlink,
        unlink_all=request.unlink_all,
        purge_after_seconds=request.purge_after_seconds,
        validate_only=request.validate_only,
    )


def remove_run_from_proto(message: pb.RemoveRunRequest) -> RemoveRun:
    """Return which run is to be removed; `InvalidRequestError` for a malformed id."""
    return RemoveRun(
        uuid_from_proto(message.request_id, "request_id"),
        message.run,
        not message.keep_artifacts,
        tuple(message.unlink),
        message.unlink_all,
        message.purge_after_seconds,
        message.validate_only,
    )


def summary_to_proto(summary: RemovalSummary) -> pb.RemovalSummary:
    """Return the message for what was removed."""
    return pb.RemovalSummary(
        trash_id=summary.trash_id.bytes,
        datasets=summary.datasets,
        artifacts=summary.artifacts,
        size=summary.size,
        sample=b"".join(dataset_id.bytes for dataset_id in summary.sample),
        complete=summary.complete,
    )


def summary_from_proto(message: pb.RemovalSummary) -> RemovalSummary:
    """Return what was removed; `InvalidRequestError` for a malformed id."""
    return RemovalSummary(
        uuid_from_proto(message.trash_id, "trash_id"),
        {name: message.datasets[name] for name in sorted(message.datasets)},
        message.artifacts,
        message.size,
        tuple(packed_uuids_from_proto(message.sample, "sample")),
        message.complete,
    )


def trashed_to_proto(trashed: TrashedArtifact) -> pb.TrashedArtifact:
    """Return the message of an artifact in the trash."""
    return pb.TrashedArtifact(
        record=record_to_proto(trashed.record),
        dataset_id=trashed.record.dataset_id.bytes,
        dataset_type=trashed.dataset_type,
        run=trashed.run,
        purged=trashed.purged,
        trash_id=trashed.trash_id.bytes,
        trashed_by=trashed.trashed_by,
        trashed_nsec=trashed.trashed_nsec,
        state=trash_state_to_proto(trashed.state),
        due_nsec=trashed.due_nsec,
        attempts=trashed.attempts,
        last_error=trashed.last_error,
    )


def trashed_from_proto(message: pb.TrashedArtifact) -> TrashedArtifact:
    """Return an artifact in the trash; `InvalidRequestError` for a malformed id or an unknown state."""
    return TrashedArtifact(
        record_from_proto(message.record, uuid_from_proto(message.dataset_id, "dataset_id")),
        message.dataset_type,
        message.run,
        message.purged,
        uuid_from_proto(message.trash_id, "trash_id"),
        message.trashed_by,
        message.trashed_nsec,
        trash_state_from_proto(message.state),
        message.due_nsec,
        message.attempts,
        message.last_error if message.HasField("last_error") else None,
    )
