# SPDX-License-Identifier: BSD-3-Clause
"""Write streams that go on when the connection breaks."""

from __future__ import annotations

__all__ = ["upload"]

import hashlib
from collections.abc import Iterable, Iterator

from butler_api.channel import Connection
from butler_api.convert.artifacts import receipt_from_proto
from butler_api.convert.chunks import cut, fill_chunk
from butler_api.v1 import datastore_service_pb2 as pb
from butler_api.v1.datastore_service_pb2_grpc import DatastoreServiceStub
from butler_model.artifact import SignedReceipt
from butler_model.errors import (
    ArtifactIntegrityError,
    OverloadedError,
    RateLimitedError,
    ServiceUnavailableError,
    UploadConflictError,
)
from butler_model.repository import Limits

from .patience import Patience

_LIMITS = Limits()
_PASSING = (OverloadedError, RateLimitedError, ServiceUnavailableError)


def upload(connection: Connection, grant: bytes, content: Iterable[bytes], offset: int) -> SignedReceipt:
    """Send an artifact; if the connection breaks, go on with what is kept.

    Content that cannot be iterated anew is sent again only if none of it has been taken.

    Raises
    ------
    ArtifactIntegrityError
        Raised if it was continued, and what is stored differs from what was sent.
    OverloadedError, RateLimitedError, ServiceUnavailableError, UploadConflictError
        Raised if several attempts in a row got no further; and every error of the service.
    """
    stub = connection.stub(DatastoreServiceStub)
    patience = Patience()
    start, conflicts = offset, 0
    while True:
        part = _Part(grant, content, offset, start)
        try:
            signed = receipt_from_proto(connection.send(stub.Write, part.requests()).receipt)
        except (*_PASSING, UploadConflictError) as error:
            is_gone = part.is_begun and isinstance(content, Iterator)
            if is_gone or not patience.wait(start, error):
                raise
            conflicts += isinstance(error, UploadConflictError)
            # The end of the old stream may never come; one from the beginning does not need it.
            start = offset if conflicts > 2 else max(offset, _kept(connection, grant))
        else:
            part.check(signed)
            return signed


def _kept(connection: Connection, grant: bytes) -> int:
    query = pb.QueryWriteRequest(grant=grant)
    try:
        return connection.call(connection.stub(DatastoreServiceStub).QueryWrite, query).persisted_size
    except _PASSING:
        return 0


class _Part:
    """One stream of an upload: the bytes from ``start`` on of content that begins at ``offset``."""

    def __init__(self, grant: bytes, content: Iterable[bytes], offset: int, start: int) -> None:
        self._grant = grant
        self._content = content
        self._offset = offset
        self._start = start
        self._digest = hashlib.sha256()
        self.is_begun = False

    def requests(self) -> Iterator[pb.WriteRequest]:
        """Yield the messages."""
        yield pb.WriteRequest(header=pb.WriteHeader(grant=self._grant, offset=self._start))
        size = self._start
        self.is_begun = True
        for piece in cut(self._fresh(), _LIMITS.chunk_bytes):
            size += len(piece)
            request = pb.WriteRequest()
            fill_chunk(request.chunk, piece)
            yield request
        yield pb.WriteRequest(trailer=pb.WriteTrailer(size=size))

    def check(self, signed: SignedReceipt) -> None:
        """Compare what is stored, if part of it came from an earlier stream, with all that was sent."""
        receipt = signed.receipt
        if self._offset == 0 and self._start and receipt.checksum != f"sha256:{self._digest.hexdigest()}":
            raise ArtifactIntegrityError(
                f"The artifact {receipt.key!r} was stored in parts and has the checksum {receipt.checksum}, but "
                f"sha256:{self._digest.hexdigest()} was sent; put it again.",
                key=receipt.key,
            )

    def _fresh(self) -> Iterator[bytes]:
        if self._start == self._offset:
            yield from self._content
            return
        position = self._offset
        for piece in self._content:
            self._digest.update(piece)
            if position + len(piece) > self._start:
                yield piece[max(0, self._start - position) :]
            position += len(piece)
