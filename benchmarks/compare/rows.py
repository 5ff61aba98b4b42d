# SPDX-License-Identifier: BSD-3-Clause
"""Rows of the table: what was measured of both sides, beside what is wanted and what is possible."""

from __future__ import annotations

__all__ = ["Row", "rows_of_turns"]

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .plan import PAIRS, PLAN, Pair, Step
from .turns import Samples

MILLISECONDS, MEBIBYTES, RATE = "ms", "MiB", "/s"


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes
    ----------
    pair
        Name of the pair that is compared.
    n
        Number of items of a call, of client processes for rates.
    unit
        Of ``theirs``, ``ours`` and ``floor``; for milliseconds, per item.
    floor
        What ours would take if it were only its bare calls, statements and files; `None` if not known.
    target, least
        The ratio that is wanted, and the least value of ours.
    note
        What else is to be said, such as that the answers differ.
    """

    pair: str
    operation: str
    title: str
    n: int
    unit: str
    theirs: float | None
    ours: float | None
    target: float = 1.0
    floor: float | None = None
    least: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times better ours is; `None` if one of them is not known."""
        if not self.theirs or not self.ours:
            return None
        return self.ours / self.theirs if self.unit == RATE else self.theirs / self.ours

    @property
    def is_met(self) -> bool:
        """Whether ours is as good as it is wanted to be."""
        enough = self.least is None or (self.ours is not None and self.ours >= self.least)
        return self.ratio is not None and self.ratio >= self.target and enough and not self.note

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        names = (
            "pair",
            "operation",
            "title",
            "n",
            "unit",
            "theirs",
            "ours",
            "ratio",
            "target",
            "floor",
            "least",
        )
        return {**{name: getattr(self, name) for name in names}, "met": self.is_met, "note": self.note}


def rows_of_turns(
    results: Mapping[tuple[str, int, str], Samples], floors: Mapping[tuple[str, int], float]
) -> list[Row]:
    """Return the rows of the operations that were measured, pair by pair.

    Parameters
    ----------
    floors
        Seconds per item, by operation and size, for the pair over gRPC.
    """
    rows = []
    for pair in PAIRS:
        for step in PLAN:
            for operation, n, side in results:
                if (
                    operation == step.operation
                    and side == pair.ours
                    and (operation, n, pair.theirs) in results
                ):
                    ours, theirs = results[operation, n, side], results[operation, n, pair.theirs]
                    if not pair.operations or operation in pair.operations:
                        floor = floors.get((operation, n)) if pair.name == "grpc" else None
                        rows.append(_row(pair, step, n, theirs, ours, floor))
    return rows


def _row(pair: Pair, step: Step, n: int, theirs: Samples, ours: Samples, floor: float | None) -> Row:
    note = ""
    if theirs.error or ours.error:
        note = "; ".join(f"{each[:160]}" for each in (theirs.error, ours.error) if each)
    elif theirs.answers != ours.answers:
        note = "the answers differ"
    return Row(
        pair.name,
        step.operation,
        step.title,
        n,
        MILLISECONDS,
        _milliseconds(theirs.median),
        _milliseconds(ours.median),
        pair.targets.get(step.operation, 1.0),
        _milliseconds(floor),
        note=note,
    )


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3
