# SPDX-License-Identifier: BSD-3-Clause
"""The housekeeping of a datastore behind a datastore service."""

from __future__ import annotations

__all__ = ["RemoteHousekeeping"]

from collections.abc import Iterator

from butler_api.channel import Connection
from butler_api.convert.housekeeping import inspection_from_proto, purge_from_proto
from butler_api.convert.trash import selection_to_proto
from butler_api.v1 import housekeeping_service_pb2 as pb
from butler_api.v1.housekeeping_service_pb2_grpc import HousekeepingServiceStub
from butler_model.ports import InspectionProgress
from butler_model.trash import PurgeProgress, TrashSelection


class RemoteHousekeeping:
    """Implements `butler_model.ports.Housekeeping`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def empty_trash(
        self, repository: str, selection: TrashSelection, *, dry_run: bool = False
    ) -> Iterator[PurgeProgress]:
        request = pb.EmptyTrashRequest(
            repository=repository, selection=selection_to_proto(selection), validate_only=dry_run
        )
        yield from map(purge_from_proto, self._connection.stream(self._stub.EmptyTrash, request))

    def reap(self, repository: str) -> int:
        request = pb.ReapRequest(repository=repository)
        seconds = self._connection.stream_seconds
        return self._connection.call(self._stub.Reap, request, seconds=seconds).intents

    def fsck(
        self, repository: str, *, checksums: bool = False, repair: bool = False
    ) -> Iterator[InspectionProgress]:
        request = pb.FsckRequest(repository=repository, checksums=checksums, repair=repair)
        yield from map(inspection_from_proto, self._connection.stream(self._stub.Fsck, request))

    @property
    def _stub(self) -> HousekeepingServiceStub:
        return self._connection.stub(HousekeepingServiceStub)
