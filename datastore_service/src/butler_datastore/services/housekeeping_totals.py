# SPDX-License-Identifier: BSD-3-Clause
"""What the housekeeping of this process has done so far, for those who watch over it."""

from __future__ import annotations

__all__ = ["HousekeepingTotals", "Inspected"]

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from butler_model.ports import FindingKind, InspectionProgress
from butler_model.trash import PurgeProgress


@dataclass(slots=True)
class Inspected:
    """What an inspection of a repository found.

    Attributes
    ----------
    finished
        When it ended, in Unix seconds.
    findings
        How many of each kind, zeros too.
    """

    finished: float = 0.0
    findings: Counter[FindingKind] = field(default_factory=lambda: Counter(dict.fromkeys(FindingKind, 0)))

    def note(self, progress: InspectionProgress) -> None:
        """Count what a step found."""
        self.findings.update(finding.kind for finding in progress.findings)


class HousekeepingTotals:
    """Counts by repository. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._purged: Counter[tuple[str, str]] = Counter()
        self._reaped: Counter[str] = Counter()
        self._inspected: dict[str, Inspected] = {}

    def note_purge(self, repository: str, progress: PurgeProgress) -> None:
        """Add what the emptying of a trash has done."""
        outcomes = {"deleted": progress.deleted, "kept": progress.kept, "failed": progress.failed}
        with self._lock:
            self._purged.update({(repository, outcome): count for outcome, count in outcomes.items()})

    def note_reaped(self, repository: str, intents: int) -> None:
        """Add intents that were finished."""
        with self._lock:
            self._reaped[repository] += intents

    def note_inspected(self, repository: str, inspected: Inspected) -> None:
        """Take an inspection that came to its end for the latest one."""
        inspected.finished = time.time()
        with self._lock:
            self._inspected[repository] = inspected

    @property
    def purged(self) -> Mapping[tuple[str, str], int]:
        """Number of artifacts by repository and outcome: deleted, kept, failed."""
        with self._lock:
            return dict(self._purged)

    @property
    def reaped(self) -> Mapping[str, int]:
        """Number of intents by repository."""
        with self._lock:
            return dict(self._reaped)

    @property
    def inspected(self) -> Mapping[str, Inspected]:
        """The latest inspection by repository."""
        with self._lock:
            return dict(self._inspected)
