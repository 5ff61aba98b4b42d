# SPDX-License-Identifier: BSD-3-Clause
"""Removing datasets of a remote registry, and its trash."""

from __future__ import annotations

__all__ = ["RemoteRemovals", "RemoteTrash"]

from collections.abc import Mapping
from uuid import UUID

from butler_api.convert.removals import (
    prune_to_proto,
    remove_run_to_proto,
    summary_from_proto,
    trashed_from_proto,
)
from butler_api.convert.trash import selection_to_proto, trash_state_from_proto
from butler_api.v1 import removal_service_pb2 as pb
from butler_api.v1.removal_service_pb2_grpc import RemovalServiceStub, TrashServiceStub
from butler_model.ports import PruneDatasets, RemovalSummary, RemoveRun, TrashPage
from butler_model.trash import TrashSelection

from .session import RepositorySession


class RemoteRemovals:
    """Implements `butler_model.ports.Removals`."""

    def __init__(self, session: RepositorySession) -> None:
        self._session = session

    def prune(self, request: PruneDatasets) -> RemovalSummary:
        connection = self._session.connection
        message = prune_to_proto(self._session.repository, request)
        response = connection.call(connection.stub(RemovalServiceStub).PruneDatasets, message)
        self._session.see(response.revision)
        return summary_from_proto(response.summary)

    def remove_run(self, request: RemoveRun) -> RemovalSummary:
        connection = self._session.connection
        message = remove_run_to_proto(self._session.repository, request)
        response = connection.call(connection.stub(RemovalServiceStub).RemoveRun, message)
        self._session.see(response.revision)
        return summary_from_proto(response.summary)


class RemoteTrash:
    """Implements `butler_model.ports.Trash`."""

    def __init__(self, session: RepositorySession) -> None:
        self._session = session

    def entries(self, selection: TrashSelection, *, page_size: int = 0, page_token: bytes = b"") -> TrashPage:
        request = pb.ListTrashRequest(
            repository=self._session.repository,
            selection=selection_to_proto(selection),
            page_size=page_size,
            page_token=page_token,
        )
        response = self._session.connection.call(self._stub.ListTrash, request)
        self._session.see(response.revision)
        return TrashPage(tuple(map(trashed_from_proto, response.artifacts)), response.next_page_token)

    def count(self, selection: TrashSelection) -> Mapping[str, int]:
        request = pb.CountTrashRequest(
            repository=self._session.repository, selection=selection_to_proto(selection)
        )
        response = self._session.connection.call(self._stub.CountTrash, request)
        self._session.see(response.revision)
        return {trash_state_from_proto(each.state).value: each.artifacts for each in response.counts}

    def undelete(self, selection: TrashSelection, *, request_id: UUID) -> int:
        request = pb.UndeleteRequest(
            repository=self._session.repository,
            request_id=request_id.bytes,
            selection=selection_to_proto(selection),
        )
        response = self._session.connection.call(self._stub.Undelete, request)
        self._session.see(response.revision)
        return response.artifacts

    @property
    def _stub(self) -> TrashServiceStub:
        return self._session.connection.stub(TrashServiceStub)
