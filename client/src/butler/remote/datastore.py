# SPDX-License-Identifier: BSD-3-Clause
"""The datastore behind a datastore service."""

from __future__ import annotations

__all__ = ["RemoteDatastore"]

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from butler_api.channel import CALL_SECONDS, STREAM_SECONDS, Connection
from butler_api.convert.artifacts import file_to_ingest_to_proto, receipt_from_proto
from butler_api.convert.chunks import bytes_from_chunk, chunk_to_proto
from butler_api.v1 import datastore_service_pb2 as pb
from butler_api.v1.datastore_service_pb2_grpc import DatastoreServiceStub
from butler_model.artifact import ArtifactRecord, FileToIngest, SignedReceipt
from butler_model.errors import (
    InvalidRequestError,
    OverloadedError,
    RateLimitedError,
    ServiceUnavailableError,
)
from butler_model.repository import Limits

from .direct_access import RemoteDirectAccess
from .direct_transfers import DirectTransfers
from .housekeeping import RemoteHousekeeping
from .http_transfers import NoWayError
from .patience import Patience
from .uploads import upload

_LIMITS = Limits()


class RemoteDatastore:
    """Implements `butler_model.ports.Datastore`. May be shared between threads, pickled, and used after a fork.

    Parameters
    ----------
    address
        ``host:port`` of the datastore service.
    call_seconds, stream_seconds
        Deadlines of each call, and of each transfer of a whole artifact.
    """

    def __init__(
        self, address: str, *, call_seconds: float = CALL_SECONDS, stream_seconds: float = STREAM_SECONDS
    ) -> None:
        self._connection = Connection(address, call_seconds=call_seconds, stream_seconds=stream_seconds)
        self._direct = DirectTransfers(self._connection)

    def write(
        self, grant: bytes, content: Iterable[bytes], *, size: int | None = None, offset: int = 0
    ) -> SignedReceipt:
        if size is not None and offset == 0 and not isinstance(content, Iterator):
            with suppress(NoWayError):
                return self._direct.write(grant, content, size)
        return upload(self._connection, grant, content, offset)

    def query_write(self, grant: bytes) -> int:
        return self._connection.call(self._stub.QueryWrite, pb.QueryWriteRequest(grant=grant)).persisted_size

    def write_batch(self, items: Sequence[tuple[bytes, bytes]]) -> list[SignedReceipt]:
        request = pb.WriteBatchRequest(
            items=[pb.WriteItem(grant=grant, chunk=chunk_to_proto(content)) for grant, content in items]
        )
        response = self._connection.call(self._stub.WriteBatch, request)
        return [receipt_from_proto(receipt) for receipt in response.receipts]

    def read(
        self, grant: bytes, offset: int = 0, limit: int | None = None, *, continued: bool = False
    ) -> Iterator[bytes]:
        if limit == 0:
            # On the wire 0 means all.
            raise InvalidRequestError("A limit of 0 bytes asks for nothing; give 1 or more.", limit="0")
        position = offset
        if not continued:
            with suppress(NoWayError):
                for piece in self._direct.read(grant, offset, limit):
                    position += len(piece)
                    yield piece
                return
        left = None if limit is None else offset + limit - position
        begun = continued or (limit is None and offset == 0 and position > 0)
        yield from self._stream(grant, position, left, continued=begun)

    def _stream(self, grant: bytes, offset: int, limit: int | None, *, continued: bool) -> Iterator[bytes]:
        patience = Patience()
        request = pb.ReadRequest(grant=grant, offset=offset, limit=limit or 0, continued=continued)
        while True:
            try:
                for response in self._connection.stream(self._stub.Read, request):
                    content = bytes_from_chunk(response.chunk, f"at offset {request.offset}")
                    request.offset += len(content)
                    yield content
            except (OverloadedError, RateLimitedError, ServiceUnavailableError) as error:
                if not patience.wait(request.offset, error):
                    raise
            else:
                return
            if limit is None:
                request.continued = continued or offset == 0
            elif request.offset == offset + limit:
                return
            else:
                request.limit = offset + limit - request.offset

    def read_batch(self, grants: Sequence[bytes], records: Sequence[ArtifactRecord] = ()) -> list[bytes]:
        here = self._direct.files.contents(grants, records) if records else [None] * len(grants)
        others = iter(
            bytes_from_chunk(chunk, "of an artifact in a batch")
            for batch in _batches(
                [grant for grant, content in zip(grants, here, strict=True) if content is None]
            )
            for chunk in self._connection.call(self._stub.ReadBatch, pb.ReadBatchRequest(grants=batch)).chunks
        )
        return [next(others) if content is None else content for content in here]

    def exists(self, grants: Sequence[bytes], records: Sequence[ArtifactRecord] = ()) -> list[bool]:
        here = self._direct.files.present(grants, records) if records else [False] * len(grants)
        others = iter(
            exists
            for batch in _batches([grant for grant, present in zip(grants, here, strict=True) if not present])
            for exists in self._connection.call(self._stub.Exists, pb.ExistsRequest(grants=batch)).exists
        )
        return [present or next(others) for present in here]

    def discard(self, grants: Sequence[bytes]) -> None:
        for batch in _batches(grants):
            self._connection.call(self._stub.Discard, pb.DiscardRequest(grants=batch))

    @property
    def direct_access(self) -> RemoteDirectAccess:
        """Ways to the stores that do not lead through the service."""
        return RemoteDirectAccess(self._connection)

    @property
    def housekeeping(self) -> RemoteHousekeeping:
        """What the service does besides answering for single artifacts."""
        return RemoteHousekeeping(self._connection)

    def ingest_roots(self) -> list[str]:
        return list(self._connection.call(self._stub.GetIngestRoots, pb.GetIngestRootsRequest()).roots)

    def store_roots(self) -> list[str]:
        return list(self._connection.call(self._stub.GetIngestRoots, pb.GetIngestRootsRequest()).store_roots)

    def adopt(self, grants: Sequence[bytes]) -> list[SignedReceipt]:
        request = pb.AdoptRequest(grants=grants)
        response = self._connection.call(self._stub.Adopt, request, seconds=self._connection.stream_seconds)
        return [receipt_from_proto(receipt) for receipt in response.receipts]

    def ingest(self, files: Sequence[FileToIngest]) -> list[SignedReceipt]:
        request = pb.IngestRequest(files=[file_to_ingest_to_proto(file) for file in files])
        response = self._connection.call(self._stub.Ingest, request, seconds=self._connection.stream_seconds)
        return [receipt_from_proto(receipt) for receipt in response.receipts]

    def finish_moves(self, moved: Sequence[tuple[bytes, str]]) -> None:
        files = [pb.MovedFile(read_grant=grant, source=source) for grant, source in moved]
        request = pb.FinishMovesRequest(files=files)
        self._connection.call(self._stub.FinishMoves, request, seconds=self._connection.stream_seconds)

    def close(self) -> None:
        """Give back the connection; the next use takes a new one."""
        self._connection.close()

    @property
    def _stub(self) -> DatastoreServiceStub:
        return self._connection.stub(DatastoreServiceStub)


def _batches(grants: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Cut what may be cut: neither reading nor removing what may be absent has to happen as a whole."""
    for start in range(0, len(grants), _LIMITS.batch_items):
        yield grants[start : start + _LIMITS.batch_items]
