# SPDX-License-Identifier: BSD-3-Clause
"""What a script did, step by step: how much of it, how long it took, at which rate."""

from __future__ import annotations

__all__ = ["Journal", "Step"]

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

_Item = TypeVar("_Item")


@dataclass(slots=True)
class Step:
    """One thing that a script did.

    Attributes
    ----------
    count
        How many of ``unit`` it were.
    seconds
        How long it took; known at its end.
    remark
        What else is worth knowing.
    show
        Is told how far the step is.
    """

    name: str
    unit: str
    show: Callable[[int], None]
    count: int = 0
    seconds: float = 0.0
    remark: str = ""

    def each(self, items: Iterable[_Item]) -> Iterator[_Item]:
        """Yield items and count them."""
        for item in items:
            yield item
            self.add(1)

    def add(self, number: int) -> None:
        """Count ``number`` more."""
        self.count += number
        self.show(self.count)


class Journal:
    """Times the steps of a script, shows a bar while one goes on, and all of them as a table.

    Parameters
    ----------
    title
        Of the table.
    """

    def __init__(self, title: str, console: Console) -> None:
        self.title = title
        self.steps: list[Step] = []
        self._notes: list[str] = []
        self._console = console

    @contextmanager
    def step(self, name: str, unit: str, total: int | None = None) -> Iterator[Step]:
        """Time what is done in the block, which counts in the step that it is given.

        Parameters
        ----------
        total
            What the count will be at the end, if that is known.
        """
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        quiet = not self._console.is_terminal
        with Progress(*columns, console=self._console, transient=True, disable=quiet) as progress:
            task = progress.add_task(name, total=total)
            step = Step(name, unit, lambda count: progress.update(task, completed=count))
            began = time.perf_counter()
            yield step
            step.seconds = time.perf_counter() - began
        self.steps.append(step)

    def note(self, text: str) -> None:
        """Take down a sentence, to be shown below the table."""
        self._notes.append(text)

    def show(self) -> None:
        """Print the steps as a table, and the notes."""
        table = Table(
            title=self.title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False
        )
        table.add_column("Step", no_wrap=True)
        table.add_column("Count", justify="right", no_wrap=True)
        table.add_column("Seconds", justify="right")
        table.add_column("Rate", justify="right")
        table.add_column("Remark")
        for step in self.steps:
            rate = f"{step.count / step.seconds:,.0f}/s" if step.count > 1 else ""
            table.add_row(step.name, f"{step.count:,} {step.unit}", f"{step.seconds:.2f}", rate, step.remark)
        self._console.print(table, *self._notes, sep="\n")
