# SPDX-License-Identifier: BSD-3-Clause
"""The RPCs of `HousekeepingService`."""

from __future__ import annotations

__all__ = ["HousekeepingCheck", "HousekeepingServicer"]

from collections.abc import Callable, Iterator
from typing import TypeAlias
from uuid import UUID

import grpc

from butler_api.caller import caller
from butler_api.convert.housekeeping import inspection_to_proto, purge_to_proto
from butler_api.convert.trash import selection_from_proto
from butler_api.long_calls import LongCalls
from butler_api.v1 import housekeeping_service_pb2 as pb
from butler_api.v1.housekeeping_service_pb2_grpc import HousekeepingServiceServicer
from butler_model.access import Verb
from butler_model.errors import AccessDeniedError
from butler_model.ports import Housekeeping
from butler_model.principal import LOCAL, Principal

HousekeepingCheck: TypeAlias = Callable[[str, Principal, Verb, tuple[UUID, ...]], None]
"""Given a repository, a caller, what is wanted, and the removals it is about; raises `AccessDeniedError`."""

_CALLS = LongCalls("housekeeping", 8)


class HousekeepingServicer(HousekeepingServiceServicer):
    """The housekeeping of a datastore."""

    def __init__(self, housekeeping: Housekeeping, check: HousekeepingCheck | None) -> None:
        self._housekeeping = housekeeping
        self._check_caller = check

    def EmptyTrash(
        self, request: pb.EmptyTrashRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.EmptyTrashResponse]:
        selection = selection_from_proto(request.selection)
        self._check(request.repository, Verb.DELETE, tuple(selection.trash_ids))
        with _CALLS.place():
            yield from map(
                purge_to_proto,
                self._housekeeping.empty_trash(request.repository, selection, dry_run=request.validate_only),
            )

    def Reap(self, request: pb.ReapRequest, context: grpc.ServicerContext) -> pb.ReapResponse:
        self._check(request.repository, Verb.ADMINISTER)
        with _CALLS.place():
            return pb.ReapResponse(intents=self._housekeeping.reap(request.repository))

    def Fsck(self, request: pb.FsckRequest, context: grpc.ServicerContext) -> Iterator[pb.FsckResponse]:
        self._check(request.repository, Verb.ADMINISTER)
        with _CALLS.place():
            yield from map(
                inspection_to_proto,
                self._housekeeping.fsck(
                    request.repository, checksums=request.checksums, repair=request.repair
                ),
            )

    def _check(self, repository: str, verb: Verb, trash_ids: tuple[UUID, ...] = ()) -> None:
        principal = caller()
        if principal is LOCAL:
            return
        if self._check_caller is None:
            raise AccessDeniedError(
                "This datastore service was not told where the registry is, which says who may have housekeeping done."
            )
        self._check_caller(repository, principal, verb, trash_ids)

    # How grpc is told where to run a method.
    EmptyTrash.experimental_thread_pool = _CALLS.threads  # type: ignore[attr-defined]
    Reap.experimental_thread_pool = _CALLS.threads  # type: ignore[attr-defined]
    Fsck.experimental_thread_pool = _CALLS.threads  # type: ignore[attr-defined]
