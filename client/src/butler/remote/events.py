# SPDX-License-Identifier: BSD-3-Clause
"""What happens in a repository behind a registry service."""

from __future__ import annotations

__all__ = ["RemoteEvents"]

from collections.abc import Iterator, Sequence

from butler_api.convert.events import event_from_proto
from butler_api.v1 import event_service_pb2 as pb
from butler_api.v1.event_service_pb2_grpc import EventServiceStub
from butler_model.errors import DeadlineExceededError
from butler_model.ports import DatasetEvent

from .session import RepositorySession


class RemoteEvents:
    """Implements `butler_model.ports.Events`."""

    def __init__(self, session: RepositorySession) -> None:
        self._session = session

    def position(self) -> bytes:
        request = pb.GetPositionRequest(repository=self._session.repository)
        return self._session.connection.call(self._stub.GetPosition, request).position

    def watch(
        self, position: bytes, *, dataset_types: Sequence[str] = ("*",), runs: Sequence[str] = ("*",)
    ) -> Iterator[DatasetEvent | None]:
        while True:
            request = pb.WatchDatasetsRequest(
                repository=self._session.repository,
                position=position,
                dataset_types=dataset_types,
                runs=runs,
            )
            try:
                for response in self._session.connection.stream(self._stub.WatchDatasets, request):
                    position = response.position
                    yield event_from_proto(response)
            except DeadlineExceededError:
                continue  # every stream has a deadline; a watch has none

    @property
    def _stub(self) -> EventServiceStub:
        return self._session.connection.stub(EventServiceStub)
