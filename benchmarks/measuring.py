# SPDX-License-Identifier: BSD-3-Clause
"""Durations of what is repeated, and a table of them."""

from __future__ import annotations

__all__ = ["Measurement", "as_json", "as_rates", "as_table", "measure", "measure_in_turn"]

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

WARM_UP = 20
_MILLI = 1e3


@dataclass(frozen=True, slots=True)
class Measurement:
    """How long an operation takes.

    Attributes
    ----------
    seconds
        Duration of each repetition.
    items
        How many things one repetition is about; what is shown is per item.
    floor
        Seconds per item below which it cannot be, because of what it is made of; `None` if not known.
    target
        Seconds per item that the project wants at most; `None` where nothing was fixed.
    """

    subject: str
    operation: str
    seconds: tuple[float, ...]
    items: int = 1
    floor: float | None = None
    target: float | None = None

    @property
    def median(self) -> float:
        """Seconds per item."""
        return statistics.median(self.seconds) / self.items

    @property
    def p95(self) -> float | None:
        """Seconds per item that 95 of 100 repetitions do not exceed; `None` for too few of them."""
        if len(self.seconds) < WARM_UP:
            return None
        return statistics.quantiles(self.seconds, n=20)[-1] / self.items


def measure(
    subject: str,
    operation: str,
    call: Callable[[int], object],
    repetitions: int,
    *,
    warm_up: int = WARM_UP,
    items: int = 1,
) -> Measurement:
    """Repeat a call and time each repetition.

    Parameters
    ----------
    call
        Is given the number of the repetition, those of the warm-up counted first.
    """
    (measured,) = measure_in_turn(operation, {subject: call}, repetitions, warm_up=warm_up, items=items)
    return measured


def measure_in_turn(
    operation: str,
    calls: Mapping[str, Callable[[int], object]],
    repetitions: int,
    *,
    warm_up: int = WARM_UP,
    items: int = 1,
    between: Callable[[], None] | None = None,
) -> tuple[Measurement, ...]:
    """Repeat the same call on several subjects, A B A B …, so that what else the machine does meets all of them.

    Parameters
    ----------
    calls
        By subject; as `measure` has them.
    between
        Called after each, and not measured.
    """
    durations: dict[str, list[float]] = {subject: [] for subject in calls}
    for number in range(warm_up + repetitions):
        for subject, call in calls.items():
            began = time.perf_counter()
            call(number)
            durations[subject].append(time.perf_counter() - began)
            if between is not None:
                between()
    return tuple(
        Measurement(subject, operation, tuple(seconds[warm_up:]), items)
        for subject, seconds in durations.items()
    )


def as_table(measurements: Sequence[Measurement]) -> Table:
    """Return a table with times in milliseconds per item."""
    table = Table(title="Milliseconds per item", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("Operation", no_wrap=True)
    for heading in ("Repeated", "Items", "Median", "p95", "Rate", "Floor", "Target", ""):
        table.add_column(heading, justify="right")
    subject = ""
    for each in measurements:
        if each.subject != subject:
            subject = each.subject
            table.add_row(f"[bold]{subject}[/bold]")
        met = "" if each.target is None else "met" if each.median <= each.target else "MISSED"
        table.add_row(
            f"  {each.operation}",
            f"{len(each.seconds)}",
            f"{each.items:,}",
            *map(_milliseconds, (each.median, each.p95)),
            f"{1 / each.median:,.0f}/s",
            *map(_milliseconds, (each.floor, each.target)),
            met,
        )
    return table


def as_rates(measurements: Sequence[Measurement], size: int) -> Table:
    """Return a table with megabytes (10**6) per second, for items of ``size`` bytes."""
    table = Table(title="Megabytes per second", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("Operation", no_wrap=True)
    for heading in ("Repeated", "Median", "Best", "Without butler", "Target", ""):
        table.add_column(heading, justify="right")
    for each in measurements:
        times = (each.median, min(each.seconds) / each.items, each.floor, each.target)
        met = "" if each.target is None else "met" if each.median <= each.target else "MISSED"
        rates = ("" if seconds is None else f"{size / seconds / 1e6:,.0f}" for seconds in times)
        table.add_row(f"{each.subject}: {each.operation}", f"{len(each.seconds)}", *rates, met)
    return table


def as_json(measurements: Iterable[Measurement]) -> list[dict[str, Any]]:
    """Return plain values, times in milliseconds per item."""
    return [
        {
            "subject": each.subject,
            "operation": each.operation,
            "repetitions": len(each.seconds),
            "items": each.items,
            "median_ms": each.median * _MILLI,
            "p95_ms": None if each.p95 is None else each.p95 * _MILLI,
            "floor_ms": None if each.floor is None else each.floor * _MILLI,
            "target_ms": None if each.target is None else each.target * _MILLI,
        }
        for each in measurements
    ]


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * _MILLI:.3f}"
