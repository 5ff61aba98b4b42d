# SPDX-License-Identifier: BSD-3-Clause
"""Many UUIDs in one string of bytes, which is how they travel and how databases keep them."""

from __future__ import annotations

__all__ = ["UUID_BYTES", "Uuids"]

import itertools
import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, overload
from uuid import UUID, SafeUUID

UUID_BYTES = 16

_HALVES = struct.Struct(">QQ")
_SET_NUMBER = UUID.__dict__["int"].__set__
_SET_SAFETY = UUID.__dict__["is_safe"].__set__


class Uuids(Sequence[UUID]):
    """A sequence of UUIDs that makes an object of one when it is asked for.

    Parameters
    ----------
    raw
        The UUIDs one after the other, 16 bytes each.

    Raises
    ------
    ValueError
        Raised if these are not whole UUIDs.
    """

    __slots__ = ("raw",)

    def __init__(self, raw: bytes) -> None:
        if len(raw) % UUID_BYTES:
            raise ValueError(f"{len(raw)} bytes are no UUIDs of {UUID_BYTES} bytes each.")
        self.raw = raw

    def __len__(self) -> int:
        return len(self.raw) // UUID_BYTES

    @overload
    def __getitem__(self, index: int) -> UUID: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[UUID]: ...

    def __getitem__(self, index: int | slice) -> UUID | Sequence[UUID]:
        places = range(len(self))[index]
        if isinstance(places, int):
            return UUID(bytes=self.raw[places * UUID_BYTES : (places + 1) * UUID_BYTES])
        if places.step == 1:
            return Uuids(self.raw[places.start * UUID_BYTES : max(places.start, places.stop) * UUID_BYTES])
        return [self[place] for place in places]

    def __iter__(self) -> Iterator[UUID]:
        # UUID's own constructor looks for forms of arguments that cannot occur here, in four times the time.
        made = list(map(object.__new__, itertools.repeat(UUID, len(self))))
        numbers = (high << 64 | low for high, low in _HALVES.iter_unpack(self.raw))
        _each(_SET_NUMBER, made, numbers)
        _each(_SET_SAFETY, made, itertools.repeat(SafeUUID.unknown))
        return iter(made)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Uuids):
            return self.raw == other.raw
        return list(self) == other if isinstance(other, list) else NotImplemented

    __hash__ = None  # type: ignore[assignment] # equal to lists, which have none

    def __repr__(self) -> str:
        return f"Uuids({list(self)!r})"


def _each(function: Callable[[Any, Any], object], first: Iterable[Any], second: Iterable[Any]) -> None:
    """Call a function for each pair of values, without a step of Python between."""
    deque(map(function, first, second), maxlen=0)
