# SPDX-License-Identifier: BSD-3-Clause
"""Both sides in turn: A B A B …, so that whatever else the machine does meets both."""

from __future__ import annotations

__all__ = ["Samples", "Turns"]

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from .plan import PAIRS, PLAN, Extent, Step
from .sides import Side, SideError


@dataclass(slots=True)
class Samples:
    """What was measured of one operation at one size on one side.

    Attributes
    ----------
    seconds
        Of each round.
    items
        How many calls, things or rows a round is about.
    answers
        What was answered in each round.
    error
        Why there is nothing.
    """

    seconds: list[float] = field(default_factory=list)
    items: int = 1
    answers: list[list[object]] = field(default_factory=list)
    error: str = ""

    @property
    def median(self) -> float | None:
        """Seconds per item."""
        return statistics.median(self.seconds) / self.items if self.seconds else None


@dataclass(slots=True)
class Turns:
    """Measures everything.

    Attributes
    ----------
    results
        By operation, size and name of the side.
    say
        Is told what is going on.
    """

    extent: Extent
    sides: dict[str, Side]
    say: Callable[[str], None]
    results: dict[tuple[str, int, str], Samples] = field(default_factory=dict)

    def take(self, only: Iterable[str] = ()) -> None:
        """Measure all operations, or only some."""
        wanted = set(only)
        for step in PLAN:
            if not wanted or step.operation in wanted:
                for n in step.sizes_within(self.extent):
                    self._take(step, n)

    def _take(self, step: Step, n: int) -> None:
        names = [name for name in self.sides if _is_about(name, step.operation)]
        for turn in range(-1, self.extent.rounds):
            for name in names:
                self.say(f"{step.title} ({n:,}), round {turn + 1} of {self.extent.rounds}, {name} …")
                self._round(step, n, turn, name)

    def _round(self, step: Step, n: int, turn: int, name: str) -> None:
        samples = self.results.setdefault((step.operation, n, name), Samples(items=n))
        if samples.error:
            return
        try:
            # What is in the warm-up is not what is measured later.
            answer = self.sides[name].ask("run", operation=step.operation, n=n, round=turn + 1)
        except SideError as error:
            samples.error = str(error)
            return
        if turn < 0:
            return
        samples.seconds.append(answer["seconds"])
        samples.answers.append(answer["answer"])
        if step.rows:
            samples.items = max(1, answer["answer"][0])


def _is_about(side: str, operation: str) -> bool:
    return any(
        side in (pair.theirs, pair.ours) and (not pair.operations or operation in pair.operations)
        for pair in PAIRS
    )
