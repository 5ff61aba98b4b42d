# SPDX-License-Identifier: BSD-3-Clause
"""Chunks: bytes on their way, with checksums."""

from __future__ import annotations

__all__ = ["bytes_from_chunk", "chunk_to_proto", "cut", "fill_chunk"]

from collections.abc import Iterable, Iterator

import google_crc32c

from butler_api.v1 import datastore_service_pb2 as pb
from butler_model.errors import ChecksumMismatchError


def chunk_to_proto(content: bytes) -> pb.Chunk:
    """Return the message for some bytes."""
    chunk = pb.Chunk()
    fill_chunk(chunk, content)
    return chunk


def fill_chunk(chunk: pb.Chunk, content: bytes) -> None:
    """Fill a message, which may be part of another one: a chunk that is given to one is copied."""
    chunk.content = content
    chunk.crc32c = google_crc32c.value(content)


def cut(pieces: Iterable[bytes], chunk_bytes: int) -> Iterator[bytes]:
    """Yield the pieces of an artifact, those in parts that are longer than a chunk may be."""
    for piece in pieces:
        if 0 < len(piece) <= chunk_bytes:
            yield piece
            continue
        view = memoryview(piece)
        for start in range(0, len(view), chunk_bytes):
            yield bytes(view[start : start + chunk_bytes])


def bytes_from_chunk(chunk: pb.Chunk, what: str) -> bytes:
    """Return the bytes; ``what`` says which ones, for `ChecksumMismatchError` if they were damaged."""
    content = chunk.content
    found = google_crc32c.value(content)
    if found != chunk.crc32c:
        raise ChecksumMismatchError(
            f"The {len(content)} bytes {what} arrived with CRC-32C {found:08x} instead of {chunk.crc32c:08x}; "
            "send them again.",
            where=what,
        )
    return content
