# SPDX-License-Identifier: BSD-3-Clause
"""How much is tested: ``BUTLER_ROBUSTNESS`` is ``ci``, as by default, or ``nightly``."""

from __future__ import annotations

__all__ = ["PART", "SEED", "SIZES", "Part", "Sizes", "drawn", "seeded"]

import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Sizes:
    """Numbers of cases.

    Attributes
    ----------
    kill_cells
        How many cells of the matrix of kills are gone through; the seed draws them.
    kill_seeds
        How often each cell is gone through.
    random_kills
        Kills at a random instant, in all.
    contested_rounds
        Rounds in which 32 racers put the same data ID, for each kind of deployment.
    delivery_cells
        How many of the combinations of change, call, fault of delivery and deployment are gone through.
    deliveries
        How often each of them is.
    state_examples, state_steps
        Of the state machine: how many runs of how many steps.
    shared_seconds
        How long the trash is emptied while others prune and put, on all of its deployments together.
    storage_faults
        How many of the faults of storage are gone through; the seed draws them.
    repeats
        How often each fault of storage, database and network is gone through.
    """

    kill_cells: int
    kill_seeds: int
    random_kills: int
    contested_rounds: int
    delivery_cells: int
    deliveries: int
    state_examples: int
    state_steps: int
    shared_seconds: float
    storage_faults: int
    repeats: int


@dataclass(frozen=True, slots=True)
class Part:
    """One of several parts of a run, each of which takes other cases; written ``3/20``."""

    number: int = 1
    of: int = 1

    @classmethod
    def from_text(cls, text: str) -> Part:
        """Read ``number/of``; the whole if the text is empty, `ValueError` if there is no such part."""
        if not text:
            return cls()
        number, _, of = text.partition("/")
        part = cls(int(number), int(of))
        if not 1 <= part.number <= part.of:
            raise ValueError(f"BUTLER_ROBUSTNESS_PART is {text!r}; the parts of 20 are 1/20 to 20/20.")
        return part

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def chosen(self, cells: Sequence[_T]) -> list[_T]:
        """Return the cells of this part: of so many that follow each other one."""
        return list(cells[self.number - 1 :: self.of])


_ALL = {
    "ci": Sizes(360, 1, 100, 3, 300, 1, 100, 50, 60.0, 60, 1),
    "nightly": Sizes(10_000, 10, 3_000, 125, 10_000, 18, 1_000, 500, 1_200.0, 10_000, 13),
}
SIZES = _ALL[os.environ.get("BUTLER_ROBUSTNESS", "ci")]
PART = Part.from_text(os.environ.get("BUTLER_ROBUSTNESS_PART", ""))
# Kept in the environment for the processes that share the tests.
SEED = int(os.environ.setdefault("BUTLER_ROBUSTNESS_SEED", str(time.time_ns() % 10**9)))
"""What all that is random begins with; it is printed, and ``BUTLER_ROBUSTNESS_SEED`` sets it."""


def drawn(cells: Sequence[_T], most: int, name: str) -> list[_T]:
    """Return so many of some cells, drawn by the seed, in their order."""
    picked = seeded(name).sample(range(len(cells)), min(most, len(cells)))
    return [cells[number] for number in sorted(picked)]


def seeded(*names: object) -> random.Random:
    """Return random numbers of one's own, the same for the same seed and names."""
    return random.Random(f"{SEED}-{'-'.join(map(str, names))}")
