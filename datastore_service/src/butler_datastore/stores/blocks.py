# SPDX-License-Identifier: BSD-3-Clause
"""Pieces of an upload in memory: few, and never one of them twice."""

from __future__ import annotations

__all__ = ["MOST_PARTS", "blocks", "part_bytes", "readable"]

import io
from collections.abc import Iterable, Iterator, Sequence

MOST_PARTS = 10_000
"""S3 takes no more parts of one object."""

_PART_BYTES = 8 * 1024 * 1024
_BUFFER_BYTES = 256 * 1024


def part_bytes(number: int) -> int:
    """Return the length of the part of that number, from 0: 8 MiB, and more the more there were.

    So all that S3 takes come to 430 GiB, and memory need not be bought for that by small artifacts.
    """
    return _PART_BYTES * (1 + number // 1000)


def blocks(chunks: Iterable[bytes]) -> Iterator[bytearray]:
    """Yield what the chunks hold in blocks as long as parts are, but for the last; none if there is nothing."""
    number = 0
    block = bytearray()
    for chunk in chunks:
        rest = memoryview(chunk)
        while len(rest):
            free = part_bytes(number) - len(block)
            block += rest[:free]
            rest = rest[free:]
            if len(block) == part_bytes(number):
                yield block
                number += 1
                block = bytearray()
    if block:
        yield block


def readable(held: Sequence[bytes | bytearray]) -> io.BufferedReader:
    """Return a file to read, that has the contents of blocks one after the other, and no copy of them."""
    return io.BufferedReader(_Blocks(held), _BUFFER_BYTES)


class _Blocks(io.RawIOBase):
    def __init__(self, held: Sequence[bytes | bytearray]) -> None:
        self._held = held
        self._size = sum(map(len, held))
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._position = (
            offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        )
        return self._position

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        start = 0
        for block in self._held:
            if self._position < start + len(block):
                piece = memoryview(block)[self._position - start :][: len(buffer)]
                buffer[: len(piece)] = piece
                self._position += len(piece)
                return len(piece)
            start += len(block)
        return 0
