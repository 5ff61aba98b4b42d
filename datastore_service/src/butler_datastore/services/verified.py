# SPDX-License-Identifier: BSD-3-Clause
"""Bytes that are held against the checksum that was recorded of them."""

from __future__ import annotations

__all__ = ["after", "check", "verified"]

from collections.abc import Iterator

from butler_model.artifact import Grant
from butler_model.checksum import Checksum
from butler_model.errors import ArtifactIntegrityError


def after(chunks: Iterator[bytes], offset: int) -> Iterator[bytes]:
    """Leave out the first bytes."""
    position = 0
    for chunk in chunks:
        if position + len(chunk) > offset:
            yield chunk[max(0, offset - position) :]
        position += len(chunk)


def verified(chunks: Iterator[bytes], grant: Grant) -> Iterator[bytes]:
    """Yield the chunks of a whole artifact, the last one only if the checksum is right."""
    checksum = Checksum()
    held: list[bytes] = []
    for chunk in chunks:
        yield from held
        checksum.add(chunk)
        held = [chunk]
    check(checksum.text, grant)
    yield from held


def check(checksum: str, grant: Grant) -> None:
    """Raise `ArtifactIntegrityError` if a checksum is not the recorded one."""
    if checksum != grant.checksum:
        raise ArtifactIntegrityError(
            f"The artifact {grant.key!r} has the checksum {checksum}, but {grant.checksum} was recorded.",
            key=grant.key,
        )
