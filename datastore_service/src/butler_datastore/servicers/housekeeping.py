# SPDX-License-Identifier: BSD-3-Clause
"""The RPCs of `HousekeepingService`."""

from __future__ import annotations

__all__ = ["HousekeepingServicer"]

from collections.abc import Iterator

import grpc

from butler_api.convert.housekeeping import inspection_to_proto, purge_to_proto
from butler_api.convert.trash import selection_from_proto
from butler_api.long_calls import LongCalls
from butler_api.v1 import housekeeping_service_pb2 as pb
from butler_api.v1.housekeeping_service_pb2_grpc import HousekeepingServiceServicer
from butler_model.ports import Housekeeping

_CALLS = LongCalls("housekeeping", 8)


class HousekeepingServicer(HousekeepingServiceServicer):
    """The housekeeping of a datastore."""

    def __init__(self, housekeeping: Housekeeping) -> None:
        self._housekeeping = housekeeping

    def EmptyTrash(
        self, request: pb.EmptyTrashRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.EmptyTrashResponse]:
        selection = selection_from_proto(request.selection)
        with _CALLS.place():
            yield from map(
                purge_to_proto,
                self._housekeeping.empty_trash(request.repository, selection, dry_run=request.validate_only),
            )

    def Reap(self, request: pb.ReapRequest, context: grpc.ServicerContext) -> pb.ReapResponse:
        with _CALLS.place():
            return pb.ReapResponse(intents=self._housekeeping.reap(request.repository))

    def Fsck(self, request: pb.FsckRequest, context: grpc.ServicerContext) -> Iterator[pb.FsckResponse]:
        with _CALLS.place():
            yield from map(
                inspection_to_proto,
                self._housekeeping.fsck(
                    request.repository, checksums=request.checksums, repair=request.repair
                ),
            )

    # How grpc is told where to run a method.
    EmptyTrash.experimental_thread_pool = _CALLS.threads  # type: ignore[attr-defined]
    Reap.experimental_thread_pool = _CALLS.threads  # type: ignore[attr-defined]
    Fsck.experimental_thread_pool = _CALLS.threads  # type: ignore[attr-defined]
