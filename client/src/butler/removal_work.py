# SPDX-License-Identifier: BSD-3-Clause
"""Removing datasets a part at a time, and emptying the trash that came of it."""

from __future__ import annotations

__all__ = ["RemovalReport", "RemovalWork"]

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from uuid import UUID, uuid4

from butler_model.errors import ButlerError
from butler_model.failpoints import reach
from butler_model.ports import PruneDatasets, RemovalSummary, RemoveRun
from butler_model.trash import PurgeProgress, TrashSelection

from .connect import Connection
from .ingest_files import Progress, cut
from .repeating import repeated

_LOG = logging.getLogger(__name__)
_SAMPLE = 10


@dataclass(frozen=True, slots=True)
class RemovalReport:
    """What was removed, or would be.

    Attributes
    ----------
    dry_run
        Whether nothing was changed.
    datasets
        For each dataset type, how many datasets were removed, lost their artifacts or were in one of the tags.
    artifacts
        How many artifacts went to the trash, or were forgotten.
    size
        Their recorded bytes together.
    sample
        Ids of some of the datasets, at most ten.
    trash_ids
        What `butler.trash` knows them by, one for each part.
    emptied
        How far the emptying of this trash came; what it did not delete, the datastore deletes later. `None` if it was
        not begun.
    problem
        Why not all of it could be deleted now; `None` if it was, or was to wait.
    """

    dry_run: bool = False
    datasets: Mapping[str, int] = field(default_factory=dict)
    artifacts: int = 0
    size: int = 0
    sample: tuple[UUID, ...] = ()
    trash_ids: tuple[UUID, ...] = ()
    emptied: PurgeProgress | None = None
    problem: str | None = None


class RemovalWork:
    """One removal, in as many calls as it takes. Each part is done for good; the rest can be done by another one.

    Parameters
    ----------
    purge_after
        How long artifacts stay in the trash at least, in seconds.
    """

    def __init__(
        self, connection: Connection, *, dry_run: bool, purge_after: int, progress: Progress | None
    ) -> None:
        self._connection = connection
        self._removals = connection.registry.removals
        self._purge_after = purge_after
        self._progress = progress
        self._report = RemovalReport(dry_run=dry_run)

    def prune(
        self,
        dataset_ids: Sequence[UUID],
        *,
        unstore: bool = False,
        purge: bool = False,
        tags: tuple[str, ...] = (),
    ) -> None:
        """Remove datasets, their artifacts or their tags; with no dataset at all the arguments are still checked."""
        done = 0
        for ids in list(cut(dataset_ids, self._connection.info.limits.batch_items)) or [[]]:
            request = PruneDatasets(
                uuid4(), tuple(ids), unstore, purge, tags, self._purge_after, self._report.dry_run
            )
            self._add(repeated(partial(self._removals.prune, request)), trashed=unstore)
            done += len(ids)
            self._tell("prune", done, len(dataset_ids))
            reach("prune.between_chunks")

    def check_run(self, run: str, *, unlink: tuple[str, ...], unlink_all: bool) -> RemovalSummary:
        """Return what the removal of a run would be; raises as `remove_run` of the registry."""
        request = RemoveRun(uuid4(), run, unlink=unlink, unlink_all=unlink_all, validate_only=True)
        return repeated(partial(self._removals.remove_run, request))

    def remove_run(self, run: str, *, unstore: bool, unlink: tuple[str, ...], unlink_all: bool) -> None:
        """Remove a run with all its datasets."""
        whole = self.check_run(run, unlink=unlink, unlink_all=unlink_all)
        if self._report.dry_run:
            self._add(whole, trashed=False)
            return
        done, total, complete = 0, sum(whole.datasets.values()), False
        while not complete:
            request = RemoveRun(uuid4(), run, unstore, unlink, unlink_all, self._purge_after)
            part = repeated(partial(self._removals.remove_run, request))
            self._add(part, trashed=unstore)
            done, complete = done + sum(part.datasets.values()), part.complete
            self._tell(f"remove {run}", done, max(total, done))
            reach("prune.between_chunks")

    def finished(self) -> RemovalReport:
        """Empty the trash that came of this, as far as that can be done now, and return what was done.

        Within a transaction that has to wait for its commit, since what is deleted does not come back.
        """
        if not self._report.trash_ids or self._purge_after:
            return self._report
        registry = self._connection.registry
        if registry.in_transaction:
            registry.after_commit(self._delete)
            return self._report
        return self._delete()

    def _delete(self) -> RemovalReport:
        reach("prune.client_between_trash_and_empty")
        emptied, problem = PurgeProgress(), None
        try:
            for trash_ids in cut(self._report.trash_ids, self._connection.info.limits.batch_items):
                emptied = self._emptied(trash_ids, emptied)
        except ButlerError as error:
            problem = str(error)
        if problem is None and emptied.failed:
            problem = f"{emptied.failed} artifacts could not be deleted: {emptied.last_error}"
        if problem is not None:
            _LOG.warning(
                "The datasets are removed; their artifacts are in the trash, and the datastore deletes them later. %s",
                problem,
            )
        return replace(self._report, emptied=emptied, problem=problem)

    def _emptied(self, trash_ids: Sequence[UUID], before: PurgeProgress) -> PurgeProgress:
        selection = TrashSelection(trash_ids=tuple(trash_ids))
        housekeeping = self._connection.datastore.housekeeping
        now = before
        for step in housekeeping.empty_trash(self._connection.info.name, selection):
            now = PurgeProgress(
                before.deleted + step.deleted,
                before.kept + step.kept,
                before.failed + step.failed,
                before.size + step.size,
                step.remaining,
                step.last_error or before.last_error,
            )
            self._tell("empty trash", now.deleted + now.kept + now.failed, self._report.artifacts)
        return now

    def _add(self, part: RemovalSummary, *, trashed: bool) -> None:
        report = self._report
        trash_ids = (part.trash_id,) if trashed and part.artifacts and not report.dry_run else ()
        self._report = replace(
            report,
            datasets=dict(sorted((Counter(report.datasets) + Counter(part.datasets)).items())),
            artifacts=report.artifacts + part.artifacts,
            size=report.size + part.size,
            sample=(*report.sample, *part.sample)[:_SAMPLE],
            trash_ids=(*report.trash_ids, *trash_ids),
        )

    def _tell(self, phase: str, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress(phase, done, total)
