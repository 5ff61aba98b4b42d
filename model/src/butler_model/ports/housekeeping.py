# SPDX-License-Identifier: BSD-3-Clause
"""What a datastore does besides answering for single artifacts: it deletes, discards, compares and verifies."""

from __future__ import annotations

__all__ = ["Finding", "FindingKind", "Housekeeping", "InspectionProgress"]

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol
from uuid import UUID

from butler_model.trash import PurgeProgress, TrashSelection


class FindingKind(Enum):
    """What is wrong with an artifact."""

    DARK = "dark"
    """It is in the store, and nobody knows of it."""
    LOST = "lost"
    """A dataset has it, and it is not in the store."""
    MISMATCHED = "mismatched"
    """It is there with another length or checksum than the recorded one."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An artifact that is not as it should be.

    Attributes
    ----------
    dataset_id
        The dataset that has it; `None` if it is dark.
    size, recorded_size
        Length in the store and in the registry, in bytes; `None` where it is not.
    detail
        What else is to be said, in one line.
    repaired
        Whether something was done: a dark one was moved to quarantine.
    """

    kind: FindingKind
    store: str
    key: str
    dataset_id: UUID | None
    size: int | None
    recorded_size: int | None
    detail: str = ""
    repaired: bool = False


@dataclass(frozen=True, slots=True)
class InspectionProgress:
    """How far an inspection is.

    Attributes
    ----------
    inspected, size
        Artifacts looked at so far, and the bytes read of them.
    total
        How many there are; `None` if not known yet.
    findings
        What was found since the progress before.
    """

    inspected: int
    size: int
    total: int | None
    findings: tuple[Finding, ...] = ()


class Housekeeping(Protocol):
    """The housekeeping of a datastore. All of it may be interrupted at any time and done again."""

    def empty_trash(
        self, repository: str, selection: TrashSelection, *, dry_run: bool = False
    ) -> Iterator[PurgeProgress]:
        """Delete what is in the trash and due; yield the progress at least once, the last time when all is done.

        Failures do not end it; they are counted, and stay in the trash. With ``dry_run`` it only counts what is due.

        Raises `ServiceUnavailableError` if the registry cannot be reached or cannot write: then nothing is deleted.
        """
        ...

    def reap(self, repository: str) -> int:
        """Discard what puts that did not come to their end may have written; return how many intents are gone.

        Raises `ServiceUnavailableError` as `empty_trash` does.
        """
        ...

    def fsck(
        self, repository: str, *, checksums: bool = False, repair: bool = False
    ) -> Iterator[InspectionProgress]:
        """Compare what the registry knows with what the stores hold.

        Parameters
        ----------
        checksums
            Whether to read every artifact; else only lengths are compared.
        repair
            Whether to move dark artifacts to quarantine, where nobody reads them and an operator can.
        """
        ...
