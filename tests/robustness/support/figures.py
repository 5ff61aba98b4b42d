# SPDX-License-Identifier: BSD-3-Clause
"""What the parts of a run that takes many sittings came to."""

from __future__ import annotations

__all__ = ["FIGURES", "Figures", "add_figures"]

import os
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from .sizes import PART, SEED

FIGURES = Path(__file__).resolve().parents[1] / "figures.md"
"""A table with a line for each part."""
_HEAD = """<!-- SPDX-License-Identifier: BSD-3-Clause -->
# What the parts of `make robustness-nightly PART=…` came to

Each run of a part adds a line. A violation is a failure that names an invariant.

| day | size | part | seed | cases | failed | violations | minutes |
|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one part came to.

    Attributes
    ----------
    failed
        Cases that failed, or could not be prepared.
    violations
        Those of them in which an invariant did not hold.
    """

    cases: int
    failed: int
    violations: int
    minutes: float

    @classmethod
    def of_run(cls, reporter: pytest.TerminalReporter) -> Figures:
        """Take the figures from what pytest is about to print."""
        failed = [*reporter.stats.get("failed", []), *reporter.stats.get("error", [])]
        violations = sum("Violation(" in report.longreprtext for report in failed)
        cases = len(failed) + len(reporter.stats.get("passed", []))
        seconds = time.time() - reporter._session_start.time
        return cls(cases, len(failed), violations, seconds / 60)


def add_figures(file: Path, figures: Figures) -> None:
    """Add a line to the table; make the table if it is not there."""
    text = file.read_text(encoding="utf-8") if file.exists() else _HEAD
    size, day = os.environ.get("BUTLER_ROBUSTNESS", "ci"), time.strftime("%Y-%m-%d")
    cells = (
        day,
        size,
        PART,
        SEED,
        figures.cases,
        figures.failed,
        figures.violations,
        f"{figures.minutes:.1f}",
    )
    file.write_text(f"{text}| {' | '.join(map(str, cells))} |\n", encoding="utf-8")
