# SPDX-License-Identifier: BSD-3-Clause
"""The part of an array that a reader wants."""

from __future__ import annotations

__all__ = ["slices_within"]

from collections.abc import Sequence


def slices_within(wanted: object, shape: Sequence[int]) -> tuple[slice, ...]:
    """Return one slice for each axis.

    Parameters
    ----------
    wanted
        Text such as ``"10:20, :, 0:100:2"``, one slice, or a sequence of slices; axes in the order of NumPy, missing
        ones whole.
    shape
        That of the array.

    Raises
    ------
    ValueError
        Raised if it is something else, has more slices than axes, reaches beyond the array, or selects nothing:
        less than asked for is never given.
    """
    slices = [_parsed(text) for text in wanted.split(",")] if isinstance(wanted, str) else wanted
    if isinstance(slices, slice):
        slices = [slices]
    if not isinstance(slices, list | tuple) or not all(isinstance(item, slice) for item in slices):
        raise ValueError(f"a part of an array is written '10:20, 5:8', or as slices, not {wanted!r:.80}")
    if len(slices) > len(shape):
        raise ValueError(f"{wanted!r} has {len(slices)} slices, but the array has the shape {tuple(shape)}")
    whole = [slice(None)] * (len(shape) - len(slices))
    return tuple(_within(item, length, shape) for item, length in zip([*slices, *whole], shape, strict=True))


def _parsed(text: str) -> slice:
    parts = text.split(":")
    if len(parts) not in (2, 3):
        raise ValueError(f"{text.strip()!r} is no slice; write start:stop or start:stop:step")
    return slice(*(int(part) if part.strip() else None for part in parts))


def _within(item: slice, length: int, shape: Sequence[int]) -> slice:
    start, stop, step = item.indices(length)
    bounds = [bound for bound in (item.start, item.stop) if bound is not None]
    if step < 1 or any(not -length <= bound <= length for bound in bounds) or (bounds and start >= stop):
        raise ValueError(
            f"{item} does not select a part of an axis of {length}; the array has the shape {tuple(shape)}"
        )
    return slice(start, stop, step)
