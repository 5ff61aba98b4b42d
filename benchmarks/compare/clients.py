# SPDX-License-Identifier: BSD-3-Clause
"""Many client processes that get datasets at the same time."""

from __future__ import annotations

__all__ = ["measure_clients"]

import statistics
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict

from .deployments import Deployments
from .plan import Extent
from .rows import RATE, Row
from .sides import Side, started

_LEAST = 1_500.0
"""Gets per second that the project wants of eight clients in all, over gRPC."""

_PAIRS = (
    ("grpc", "theirs-postgresql", "ours-grpc", 8.0, _LEAST),
    ("sqlite", "theirs-sqlite", "ours-sqlite", 4.0, None),
    ("remote", "theirs-remote", "ours-s3", 20.0, None),
)
_MANY, _FEW = 32, 8
"""Most clients of the first pair, and of the others, since it takes long to start them."""


def measure_clients(deployments: Deployments, extent: Extent, say: Callable[[str], None]) -> list[Row]:
    """Measure gets per second of all clients together."""
    rows = []
    for pair, theirs, ours, target, least in _PAIRS:
        most = _MANY if pair == "grpc" else _FEW
        numbers = [number for number in extent.clients if number <= most]
        filled = extent.filled_s3 if pair == "remote" else extent.filled
        with ExitStack() as stack:
            crowds = {}
            for name in (theirs, ours):
                say(f"Starting {max(numbers)} clients of {name} …")
                crowds[name] = _crowd(deployments, stack, name, max(numbers), filled)
            for number in numbers:
                rates: dict[str, list[float]] = {theirs: [], ours: []}
                for turn in range(extent.rounds):
                    for name, crowd in crowds.items():
                        say(f"{number} clients, round {turn + 1} of {extent.rounds}, {name} …")
                        rates[name].append(_rate(crowd[:number], extent.client_seconds))
                theirs_rate, ours_rate = (statistics.median(rates[name]) for name in (theirs, ours))
                wanted = (target, least) if number == _FEW else (1.0, None)
                title = f"gets by {number} client{'s' if number > 1 else ''}"
                rows.append(
                    Row(
                        pair,
                        "clients",
                        title,
                        number,
                        RATE,
                        theirs_rate,
                        ours_rate,
                        wanted[0],
                        least=wanted[1],
                    )
                )
    return rows


def _crowd(deployments: Deployments, stack: ExitStack, name: str, number: int, filled: int) -> list[Side]:
    place, folder = asdict(deployments.places[name]), deployments.folder / "crowd"
    folder.mkdir(exist_ok=True)
    crowd = [
        stack.enter_context(started(f"{name}-{i}", deployments.older_python, folder, deployments.environment))
        for i in range(number)
    ]
    for each in crowd:
        each.tell("attach", place=place, filled=filled, files=str(folder))
    for each in crowd:
        each.answer()
    return crowd


def _rate(crowd: list[Side], seconds: float) -> float:
    for seed, each in enumerate(crowd):
        each.tell("get_for", seconds=seconds, seed=seed * 101)
    answers = [each.answer() for each in crowd]
    return sum(float(answer["count"]) / float(answer["seconds"]) for answer in answers)
