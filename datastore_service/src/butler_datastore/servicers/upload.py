# SPDX-License-Identifier: BSD-3-Clause
"""The messages of an upload: header, chunks, trailer."""

from __future__ import annotations

__all__ = ["grant_of", "received_chunks"]

from collections.abc import Iterator

from butler_api.convert.chunks import bytes_from_chunk
from butler_api.v1 import datastore_service_pb2 as pb
from butler_model.errors import InvalidRequestError, LimitExceededError, TruncatedUploadError


def grant_of(requests: Iterator[pb.WriteRequest]) -> bytes:
    """Return the grant in the first message of an upload."""
    first = next(requests, None)
    if first is None:
        raise TruncatedUploadError("An upload ended before its header; nothing was kept.")
    if first.WhichOneof("part") != "header":
        raise InvalidRequestError("The first message of an upload is its header.")
    return first.header.grant


def received_chunks(requests: Iterator[pb.WriteRequest], chunk_bytes: int) -> Iterator[bytes]:
    """Yield the contents of the chunks of an upload, and end only if its trailer says that they are complete.

    Raises
    ------
    TruncatedUploadError
        Raised if there is no trailer, or it says another size.
    ChecksumMismatchError
        Raised if a chunk was damaged.
    LimitExceededError
        Raised if a chunk is longer than allowed.
    InvalidRequestError
        Raised if messages come in another order.
    """
    received = 0
    for request in requests:
        part = request.WhichOneof("part")
        if part == "trailer":
            _check_end(requests, received, request.trailer.size)
            return
        if part != "chunk":
            raise InvalidRequestError(
                f"After {received} bytes of an upload came {part or 'an empty message'}."
            )
        content = request.chunk.content
        if len(content) > chunk_bytes:
            raise LimitExceededError(
                f"A chunk of {len(content)} bytes is too large; send at most {chunk_bytes} at a time.",
                limit=str(chunk_bytes),
            )
        yield bytes_from_chunk(request.chunk, f"at offset {received}")
        received += len(content)
    raise TruncatedUploadError(
        f"An upload ended after {received} bytes without its trailer; nothing was kept.",
        received=str(received),
    )


def _check_end(requests: Iterator[pb.WriteRequest], received: int, size: int) -> None:
    if received != size:
        raise TruncatedUploadError(
            f"Of an upload of {size} bytes {received} arrived; nothing was kept.", received=str(received)
        )
    if next(requests, None) is not None:
        raise InvalidRequestError(f"After the trailer of an upload of {size} bytes came more.")
