# SPDX-License-Identifier: BSD-3-Clause
"""The RPCs of `EventService`."""

from __future__ import annotations

__all__ = ["EventServicer"]

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import BoundedSemaphore

import grpc

from butler_api.convert.events import event_to_proto
from butler_api.v1 import event_service_pb2 as pb
from butler_api.v1.event_service_pb2_grpc import EventServiceServicer
from butler_model.errors import OverloadedError

from .opened import OpenedRepositories

_WATCHES = 64
_THREADS = ThreadPoolExecutor(_WATCHES + 1, thread_name_prefix="watch")
"""The one thread more is for refusals."""

_SIGN_OF_LIFE_SECONDS = 10.0


class EventServicer(EventServiceServicer):
    """Events. A watch lasts, so that all of them have threads of their own, of which there is a limited number."""

    def __init__(self, repositories: OpenedRepositories) -> None:
        self._repositories = repositories
        self._free = BoundedSemaphore(_WATCHES)

    def GetPosition(
        self, request: pb.GetPositionRequest, context: grpc.ServicerContext
    ) -> pb.GetPositionResponse:
        return pb.GetPositionResponse(
            position=self._repositories.open(request.repository).registry.events.position()
        )

    def WatchDatasets(
        self, request: pb.WatchDatasetsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.WatchDatasetsResponse]:
        if not self._free.acquire(blocking=False):
            raise OverloadedError(f"{_WATCHES} watches are open already; try again later.")
        try:
            yield from self._watch(request, context)
        finally:
            self._free.release()

    # How grpc is told where to run a method.
    WatchDatasets.experimental_thread_pool = _THREADS  # type: ignore[attr-defined]

    def _watch(
        self, request: pb.WatchDatasetsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.WatchDatasetsResponse]:
        events = self._repositories.open(request.repository).registry.events.watch(
            request.position,
            dataset_types=tuple(request.dataset_types) or ("*",),
            runs=tuple(request.runs) or ("*",),
        )
        position, spoken = request.position, time.monotonic()
        with closing(events):  # type: ignore[type-var] # a generator
            for event in events:
                if not context.is_active():
                    return
                if event is None and time.monotonic() < spoken + _SIGN_OF_LIFE_SECONDS:
                    continue
                spoken = time.monotonic()
                if event is None:
                    yield pb.WatchDatasetsResponse(position=position)
                else:
                    position = event.position
                    yield event_to_proto(event)
