# SPDX-License-Identifier: BSD-3-Clause
"""How far the housekeeping is, and what it found."""

from __future__ import annotations

__all__ = ["inspection_from_proto", "inspection_to_proto", "purge_from_proto", "purge_to_proto"]

from butler_api.v1 import housekeeping_service_pb2 as pb
from butler_model.errors import InvalidRequestError
from butler_model.ports import Finding, FindingKind, InspectionProgress
from butler_model.trash import PurgeProgress

from .values import uuid_from_proto

_KINDS = {
    FindingKind.DARK: pb.FINDING_KIND_DARK,
    FindingKind.LOST: pb.FINDING_KIND_LOST,
    FindingKind.MISMATCHED: pb.FINDING_KIND_MISMATCHED,
}
_KINDS_BACK = {number: kind for kind, number in _KINDS.items()}


def purge_to_proto(progress: PurgeProgress) -> pb.EmptyTrashResponse:
    """Return the message of how far the emptying is."""
    return pb.EmptyTrashResponse(
        deleted=progress.deleted,
        kept=progress.kept,
        failed=progress.failed,
        size=progress.size,
        remaining=progress.remaining,
        last_error=progress.last_error or "",
    )


def purge_from_proto(message: pb.EmptyTrashResponse) -> PurgeProgress:
    """Return how far the emptying is."""
    return PurgeProgress(
        message.deleted,
        message.kept,
        message.failed,
        message.size,
        message.remaining,
        message.last_error or None,
    )


def inspection_to_proto(progress: InspectionProgress) -> pb.FsckResponse:
    """Return the message of how far an inspection is."""
    return pb.FsckResponse(
        inspected=progress.inspected,
        size=progress.size,
        total=progress.total,
        findings=map(_finding_to_proto, progress.findings),
    )


def inspection_from_proto(message: pb.FsckResponse) -> InspectionProgress:
    """Return how far an inspection is; `InvalidRequestError` for a malformed id or an unknown kind of finding."""
    return InspectionProgress(
        message.inspected,
        message.size,
        message.total if message.HasField("total") else None,
        tuple(map(_finding_from_proto, message.findings)),
    )


def _finding_to_proto(finding: Finding) -> pb.Finding:
    return pb.Finding(
        kind=_KINDS[finding.kind],
        store=finding.store,
        key=finding.key,
        dataset_id=finding.dataset_id.bytes if finding.dataset_id else b"",
        size=finding.size,
        recorded_size=finding.recorded_size,
        detail=finding.detail,
        repaired=finding.repaired,
    )


def _finding_from_proto(message: pb.Finding) -> Finding:
    if message.kind not in _KINDS_BACK:
        raise InvalidRequestError(
            f"{message.kind} is no kind of finding that this version knows; upgrade it."
        )
    return Finding(
        _KINDS_BACK[message.kind],
        message.store,
        message.key,
        uuid_from_proto(message.dataset_id, "dataset_id") if message.dataset_id else None,
        message.size if message.HasField("size") else None,
        message.recorded_size if message.HasField("recorded_size") else None,
        message.detail,
        message.repaired,
    )
