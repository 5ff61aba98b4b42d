# SPDX-License-Identifier: BSD-3-Clause
"""What a test knows of what was done to a repository, and of what may have been."""

from __future__ import annotations

__all__ = ["UNKNOWN_OUTCOMES", "Contents", "History", "Outcome", "Put"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, TypeAlias
from uuid import UUID

from .jobs import payload

Contents: TypeAlias = Mapping[int, bytes]
"""The content of each dataset, by its detector."""

UNKNOWN_OUTCOMES = frozenset(
    {"ServiceUnavailableError", "DeadlineExceededError", "OverloadedError", "InternalError", "OSError"}
)
"""Errors after which something may have happened or not."""


class Outcome(Enum):
    """What is known of something that was tried."""

    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Put:
    """Datasets that are put all or none, and later perhaps removed all or none.

    Attributes
    ----------
    ids
        As the put gave them, if that is known.
    removal
        What is known of their removal; `None` if it was not tried.
    purge
        Whether the removal was to purge them, and not only their artifacts.
    """

    run: str
    contents: Contents
    outcome: Outcome
    ids: tuple[UUID, ...] = ()
    removal: Outcome | None = None
    purge: bool = True

    @property
    def certain(self) -> bool:
        """Whether the datasets must be there, with their artifacts."""
        return self.outcome is Outcome.DONE and self.removal in (None, Outcome.REFUSED)


@dataclass(slots=True)
class History:
    """All that was tried in a repository since the test began.

    Attributes
    ----------
    puts
        Those whose datasets nobody removed.
    purged
        Ids of datasets that were purged, and whose artifacts were deleted.
    trashed
        Ids of datasets whose artifacts went to the trash and were not restored.
    revision
        The newest that was seen.
    """

    puts: list[Put] = field(default_factory=list)
    purged: set[UUID] = field(default_factory=set)
    trashed: set[UUID] = field(default_factory=set)
    revision: int = 0

    def add(self, steps: Sequence[Mapping[str, Any]], journal: Sequence[Mapping[str, Any]]) -> list[Put]:
        """Take note of the steps of a job, as far as it came; return its puts."""
        added: list[Put] = []
        for number, step in enumerate(steps):
            entries = [entry for entry in journal if entry["step"] == number]
            if not entries:
                break
            if step["do"] in _REMOVALS:
                self._remove(step, outcome_of(entries))
                continue
            ids = next((entry["done"] for entry in entries if "done" in entry), None) or ()
            if step["do"] == "put_overtaken":
                first = {step["detector"]: payload(f"{step['token']}-first", step["size"])}
                added.append(Put(step["run"], first, Outcome.UNKNOWN))
            for run, contents in _contents(step).items():
                mine = tuple(map(UUID, ids)) if step["do"] != "import" else ()
                added.append(Put(run, contents, outcome_of(entries), mine))
        self.puts += added
        return added

    def _remove(self, step: Mapping[str, Any], outcome: Outcome) -> None:
        ids = set(map(UUID, step.get("ids", ())))
        runs = set(step.get("names", ()))
        for number, put in enumerate(self.puts):
            if put.run in runs or ids & set(put.ids):
                if put.removal is Outcome.DONE or outcome is Outcome.REFUSED:
                    continue
                self.puts[number] = replace(put, removal=outcome, purge=step.get("purge", True))
                if outcome is Outcome.DONE:
                    (self.purged if step.get("purge", True) else self.trashed).update(put.ids)


_REMOVALS = ("prune", "remove_runs")


def outcome_of(entries: Sequence[Mapping[str, Any]]) -> Outcome:
    """Return what the entries of a step tell."""
    last = entries[-1]
    if "done" in last:
        return Outcome.DONE
    if "failed" in last and last["failed"] not in UNKNOWN_OUTCOMES:
        return Outcome.REFUSED
    return Outcome.UNKNOWN


def _contents(step: Mapping[str, Any]) -> Mapping[str, Contents]:
    """Return what a step puts into each run; what it puts into one run is there all or none."""
    match step["do"]:
        case "put" | "put_overtaken":
            return {step["run"]: {step["detector"]: payload(step["token"], step["size"])}}
        case "put_many" | "put_in_transaction":
            tokens = {d: f"{step['token']}-{d}" for d in step["detectors"]}
            return {step["run"]: {d: payload(token, step["size"]) for d, token in tokens.items()}}
        case "ingest":
            files = zip(step["tokens"], step["detectors"], strict=True)
            return {step["run"]: {d: payload(token) for token, of_file in files for d in of_file}}
        case "import":
            return {
                run: {int(detector): payload(token) for detector, token in tokens.items()}
                for run, tokens in step["contents"].items()
            }
    return {}
