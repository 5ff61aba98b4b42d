# SPDX-License-Identifier: BSD-3-Clause
"""The RPCs of `RemovalService` and `TrashService`."""

from __future__ import annotations

__all__ = ["RemovalServicer", "TrashServicer"]

import grpc

from butler_api.convert.removals import (
    prune_from_proto,
    remove_run_from_proto,
    summary_to_proto,
    trashed_to_proto,
)
from butler_api.convert.trash import selection_from_proto, trash_state_to_proto
from butler_api.convert.values import uuid_from_proto
from butler_api.v1 import removal_service_pb2 as pb
from butler_api.v1.removal_service_pb2_grpc import RemovalServiceServicer, TrashServiceServicer
from butler_model.trash import TrashState

from .opened import OpenedRepositories


class RemovalServicer(RemovalServiceServicer):
    """Removing datasets."""

    def __init__(self, repositories: OpenedRepositories) -> None:
        self._repositories = repositories

    def PruneDatasets(
        self, request: pb.PruneDatasetsRequest, context: grpc.ServicerContext
    ) -> pb.PruneDatasetsResponse:
        opened = self._repositories.open(request.repository)
        summary = opened.registry.removals.prune(prune_from_proto(request))
        return pb.PruneDatasetsResponse(summary=summary_to_proto(summary), revision=opened.revision)

    def RemoveRun(self, request: pb.RemoveRunRequest, context: grpc.ServicerContext) -> pb.RemoveRunResponse:
        opened = self._repositories.open(request.repository)
        summary = opened.registry.removals.remove_run(remove_run_from_proto(request))
        return pb.RemoveRunResponse(summary=summary_to_proto(summary), revision=opened.revision)


class TrashServicer(TrashServiceServicer):
    """What is to be deleted."""

    def __init__(self, repositories: OpenedRepositories) -> None:
        self._repositories = repositories

    def ListTrash(self, request: pb.ListTrashRequest, context: grpc.ServicerContext) -> pb.ListTrashResponse:
        opened = self._repositories.open(request.repository)
        page = opened.registry.trash.entries(
            selection_from_proto(request.selection),
            page_size=request.page_size,
            page_token=request.page_token,
        )
        return pb.ListTrashResponse(
            artifacts=map(trashed_to_proto, page.artifacts),
            next_page_token=page.next_page_token,
            revision=opened.revision,
        )

    def CountTrash(
        self, request: pb.CountTrashRequest, context: grpc.ServicerContext
    ) -> pb.CountTrashResponse:
        opened = self._repositories.open(request.repository)
        counts = opened.registry.trash.count(selection_from_proto(request.selection))
        return pb.CountTrashResponse(
            counts=[
                pb.TrashCount(state=trash_state_to_proto(TrashState(name)), artifacts=number)
                for name, number in counts.items()
            ],
            revision=opened.revision,
        )

    def Undelete(self, request: pb.UndeleteRequest, context: grpc.ServicerContext) -> pb.UndeleteResponse:
        opened = self._repositories.open(request.repository)
        restored = opened.registry.trash.undelete(
            selection_from_proto(request.selection),
            request_id=uuid_from_proto(request.request_id, "request_id"),
        )
        return pb.UndeleteResponse(artifacts=restored, revision=opened.revision)
