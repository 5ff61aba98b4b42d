# SPDX-License-Identifier: BSD-3-Clause
"""The RPCs of `EventService`."""

from __future__ import annotations

__all__ = ["EventServicer"]

import time
from collections.abc import Iterator
from contextlib import closing

import grpc

from butler_api.caller import caller
from butler_api.convert.events import event_to_proto
from butler_api.long_calls import LongCalls
from butler_api.v1 import event_service_pb2 as pb
from butler_api.v1.event_service_pb2_grpc import EventServiceServicer
from butler_model.principal import LOCAL

from .opened import OpenedRepositories

_WATCHES = LongCalls("watches", 64)
_SIGN_OF_LIFE_SECONDS = 10.0
_KNOWN_SECONDS = 300.0
"""How long a watch lasts where it is asked who calls."""


class EventServicer(EventServiceServicer):
    """Events."""

    def __init__(self, repositories: OpenedRepositories) -> None:
        self._repositories = repositories

    def GetPosition(
        self, request: pb.GetPositionRequest, context: grpc.ServicerContext
    ) -> pb.GetPositionResponse:
        return pb.GetPositionResponse(
            position=self._repositories.open(request.repository).registry.events.position()
        )

    def WatchDatasets(
        self, request: pb.WatchDatasetsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.WatchDatasetsResponse]:
        with _WATCHES.place():
            yield from self._watch(request, context)

    # How grpc is told where to run a method.
    WatchDatasets.experimental_thread_pool = _WATCHES.threads  # type: ignore[attr-defined]

    def _watch(
        self, request: pb.WatchDatasetsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.WatchDatasetsResponse]:
        events = self._repositories.open(request.repository).registry.events.watch(
            request.position,
            dataset_types=tuple(request.dataset_types) or ("*",),
            runs=tuple(request.runs) or ("*",),
        )
        position, spoken = request.position, time.monotonic()
        # Who watches is asked again by the next call, and what that caller may see.
        ends = spoken + (float("inf") if caller() is LOCAL else _KNOWN_SECONDS)
        with closing(events):  # type: ignore[type-var] # a generator
            for event in events:
                if not context.is_active() or time.monotonic() > ends:
                    return
                if event is None and time.monotonic() < spoken + _SIGN_OF_LIFE_SECONDS:
                    continue
                spoken = time.monotonic()
                if event is None:
                    yield pb.WatchDatasetsResponse(position=position)
                else:
                    position = event.position
                    yield event_to_proto(event)
