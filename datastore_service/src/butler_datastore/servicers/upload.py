# SPDX-License-Identifier: BSD-3-Clause
"""The messages of an upload: header, chunks, trailer."""

from __future__ import annotations

__all__ = ["header_of", "received_chunks"]

from collections.abc import Iterator

import grpc

from butler_api.convert.chunks import bytes_from_chunk
from butler_api.v1 import datastore_service_pb2 as pb
from butler_model.errors import (
    InvalidRequestError,
    LimitExceededError,
    ServiceUnavailableError,
    TruncatedUploadError,
)


def header_of(requests: Iterator[pb.WriteRequest]) -> pb.WriteHeader:
    """Return the first message of an upload."""
    first = next(requests, None)
    if first is None:
        raise TruncatedUploadError("An upload ended before its header; nothing was kept.")
    if first.WhichOneof("part") != "header":
        raise InvalidRequestError("The first message of an upload is its header.")
    return first.header


def received_chunks(
    requests: Iterator[pb.WriteRequest], chunk_bytes: int, offset: int = 0
) -> Iterator[bytes]:
    """Yield the contents of the chunks of an upload, and end only if its trailer says that they are complete.

    Parameters
    ----------
    offset
        Where in the artifact the first of them begins.

    Raises
    ------
    ServiceUnavailableError
        Raised if the connection broke.
    TruncatedUploadError
        Raised if there is no trailer, or it says another size.
    ChecksumMismatchError
        Raised if a chunk was damaged.
    LimitExceededError
        Raised if a chunk is longer than allowed.
    InvalidRequestError
        Raised if messages come in another order.
    """
    received = offset
    for request in _unbroken(requests):
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


def _unbroken(requests: Iterator[pb.WriteRequest]) -> Iterator[pb.WriteRequest]:
    """Give the end of the connection the name by which a store knows it."""
    try:
        yield from requests
    except grpc.RpcError as error:
        raise ServiceUnavailableError(
            "The connection broke in an upload; go on with what is kept."
        ) from error


def _check_end(requests: Iterator[pb.WriteRequest], received: int, size: int) -> None:
    if received != size:
        raise TruncatedUploadError(
            f"Of an upload of {size} bytes {received} arrived; nothing was kept.", received=str(received)
        )
    if next(requests, None) is not None:
        raise InvalidRequestError(f"After the trailer of an upload of {size} bytes came more.")
