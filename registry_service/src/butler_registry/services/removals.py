# SPDX-License-Identifier: BSD-3-Clause
"""The service for removing datasets; implements `butler_model.ports.Removals`.

Nothing is deleted here but rows. One transaction moves the records of artifacts to the trash and removes datasets or
tags, and keeps its answer for a repeat of the request.
"""

from __future__ import annotations

__all__ = ["RemovalService"]

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from butler_model.access import Verb
from butler_model.collection import CollectionType
from butler_model.errors import CollectionTypeError, InvalidRequestError, MissingCollectionError
from butler_model.failpoints import reach
from butler_model.ports import PruneDatasets, RemovalSummary, RemoveRun
from butler_model.repository import Limits
from butler_registry.storage.association_store import AssociationStore
from butler_registry.storage.collection_store import CollectionRow
from butler_registry.storage.database import Connection, Database
from butler_registry.storage.dataset_removal import DatasetRemoval, RemovableDataset
from butler_registry.storage.dataset_type_store import DatasetTypeRow
from butler_registry.storage.statistics import Statistics
from butler_registry.storage.trash_store import TrashMove, TrashStore

from .collection_removal import check_links, remove_collection
from .definitions import Definitions, Snapshot
from .limits import MAX_COLLECTIONS, check_batch
from .repeats import Repeats

_SAMPLE = 10
_MOST_DELAY_SECONDS = 10 * 365 * 86_400


class RemovalService:
    """Prunes datasets and removes runs."""

    def __init__(
        self,
        database: Database,
        definitions: Definitions,
        removal: DatasetRemoval,
        trash: TrashStore,
        associations: AssociationStore,
        repeats: Repeats,
        statistics: Statistics,
        limits: Limits,
    ) -> None:
        self._database = database
        self._definitions = definitions
        self._removal = removal
        self._trash = trash
        self._associations = associations
        self._repeats = repeats
        self._statistics = statistics
        self._limits = limits

    def prune(self, request: PruneDatasets) -> RemovalSummary:
        check_batch(len(request.dataset_ids), self._limits, "datasets")
        _check_prune(request)
        ids = sorted(set(request.dataset_ids))
        if request.validate_only:
            with self._database.reading() as connection:
                return self._pruned(self._definitions.snapshot(connection), request, ids)
        reach("prune.before_txn")
        with self._database.writing() as connection:
            what = (ids, request.unstore, request.purge, sorted(request.tags), request.purge_after_seconds)
            kept = self._repeats.once(
                connection,
                request.request_id,
                ("prune", *what),
                lambda: _answer_of(self._pruned(self._definitions.snapshot(connection), request, ids)),
            )
            reach("prune.before_commit")
        return self._committed(request.request_id, kept)

    def remove_run(self, request: RemoveRun) -> RemovalSummary:
        _check_delay(request.purge_after_seconds)
        check_batch(len(request.unlink), self._limits, "chains")
        if request.validate_only:
            with self._database.reading() as connection:
                snapshot = self._definitions.snapshot(connection)
                row = self._run_to_remove(snapshot, request)
                return (
                    RemovalSummary(request.request_id)
                    if row is None
                    else self._counted(snapshot, request, row)
                )
        reach("prune.before_txn")
        with self._database.writing() as connection:
            what = (request.run, request.unstore, sorted(request.unlink), request.unlink_all)
            kept = self._repeats.once(
                connection,
                request.request_id,
                ("remove run", *what, request.purge_after_seconds),
                lambda: _answer_of(self._remove_run(connection, request)),
            )
            reach("prune.before_commit")
        return self._committed(request.request_id, kept)

    def _remove_run(self, connection: Connection, request: RemoveRun) -> RemovalSummary:
        snapshot = self._definitions.lock(connection)
        row = self._run_to_remove(snapshot, request)
        return RemovalSummary(request.request_id) if row is None else self._removed(snapshot, request, row)

    def _pruned(self, snapshot: Snapshot, request: PruneDatasets, ids: Sequence[UUID]) -> RemovalSummary:
        connection = snapshot.connection
        tagged = _tagged(snapshot, request.tags)
        find = self._removal.find if request.validate_only else self._removal.lock
        datasets = _removable(snapshot, request, find(connection, ids))
        if not request.validate_only:
            reach("prune.after_select_refs")
        stored: Mapping[UUID, tuple[int, int]] = {}
        if request.unstore and request.validate_only:
            stored = self._removal.artifacts(connection, [dataset.id for dataset in datasets])
        elif request.unstore:
            stored = self._move_to_trash(snapshot, datasets, request)
        touched = {dataset.id for dataset in datasets} if request.purge else set(stored)
        if not request.purge:
            touched |= self._tagged_ones(snapshot, datasets, tagged)
        if not request.validate_only:
            if request.purge:
                self._delete(connection, datasets, stored)
            else:
                self._disassociate(snapshot, datasets, tagged)
            reach("prune.after_disassociate")
        return _summary(request.request_id, [d for d in datasets if d.id in touched], stored)

    def _removed(self, snapshot: Snapshot, request: RemoveRun, row: CollectionRow) -> RemovalSummary:
        """Remove a part of a run, or the rest of it and the run."""
        connection, most = snapshot.connection, self._limits.batch_items
        # From here on nobody puts into the run, so it only becomes emptier.
        self._definitions.collections.lock_for_removal(connection, row.id)
        self._removal.refuse_puts_under_way(connection, row)
        ids = self._removal.some_of_run(connection, row.id, most + 1)
        complete = len(ids) <= most
        datasets = self._removal.lock(connection, ids[:most])
        reach("prune.after_select_refs")
        if request.unstore:
            stored = self._move_to_trash(snapshot, datasets, request)
        else:
            stored = self._removal.artifacts(connection, ids[:most])
            if stored:
                self._removal.forget_artifacts(connection, stored)
        self._delete(connection, datasets, stored)
        reach("prune.after_disassociate")
        if complete:
            remove_collection(self._definitions, snapshot, row)
            reach("prune.after_chain_edit")
        return _summary(request.request_id, datasets, stored, complete=complete)

    def _move_to_trash(
        self,
        snapshot: Snapshot,
        datasets: Sequence[RemovableDataset],
        request: PruneDatasets | RemoveRun,
    ) -> Mapping[UUID, tuple[int, int]]:
        """Move what is stored of datasets; return, for each that has artifacts, how many and their bytes."""
        purged = isinstance(request, RemoveRun) or request.purge
        move = TrashMove(request.request_id, purged, request.purge_after_seconds, self._definitions.principal)
        stored = self._trash.move(snapshot.connection, _by_type(snapshot, datasets), move)
        if stored:
            self._removal.forget_artifacts(snapshot.connection, stored)
            reach("prune.after_move_to_trash")
        return stored

    def _delete(
        self,
        connection: Connection,
        datasets: Sequence[RemovableDataset],
        stored: Mapping[UUID, tuple[int, int]],
    ) -> None:
        self._removal.mark_purged(connection, [d.id for d in datasets if d.id not in stored])
        self._removal.delete(connection, datasets)

    def _tagged_ones(
        self, snapshot: Snapshot, datasets: Sequence[RemovableDataset], tagged: Sequence[CollectionRow]
    ) -> set[UUID]:
        """Return which datasets are in any of some TAGGED collections."""
        collections = [row.id for row in tagged]
        found: set[UUID] = set()
        for row, ids in _by_type(snapshot, datasets) if tagged else ():
            found |= self._associations.members(snapshot.connection, row, collections, ids)
        return found

    def _disassociate(
        self, snapshot: Snapshot, datasets: Sequence[RemovableDataset], tagged: Sequence[CollectionRow]
    ) -> None:
        for row, ids in _by_type(snapshot, datasets) if tagged else ():
            for collection in tagged:
                self._associations.disassociate(snapshot.connection, row, collection.id, ids)

    def _run_to_remove(self, snapshot: Snapshot, request: RemoveRun) -> CollectionRow | None:
        """Return the run, `None` if it is gone already; check that it may be removed."""
        try:
            (row,) = snapshot.collections([request.run])
        except MissingCollectionError:
            return None
        if row.collection.type is not CollectionType.RUN:
            raise CollectionTypeError(
                f"{request.run!r} is a {row.collection.type.name} collection, not a RUN; remove it as a collection.",
                collection=request.run,
            )
        store = self._definitions.collections
        check_links(snapshot, store, row, request.unlink, unlink_all=request.unlink_all)
        return row

    def _counted(self, snapshot: Snapshot, request: RemoveRun, row: CollectionRow) -> RemovalSummary:
        """Return what the removal of a whole run would be."""
        connection = snapshot.connection
        self._removal.refuse_puts_under_way(connection, row)
        datasets, artifacts, size = self._removal.count_run(connection, row.id)
        sample = self._removal.some_of_run(connection, row.id, _SAMPLE)
        return RemovalSummary(request.request_id, datasets, artifacts, size, tuple(sorted(sample)))

    def _committed(self, request_id: UUID, kept: Mapping[str, Any]) -> RemovalSummary:
        """Return the summary of which `_answer_of` made an answer."""
        reach("prune.after_commit_before_reply")
        self._statistics.wrote([self._trash.table], kept["artifacts"])
        sample = tuple(map(UUID, kept["sample"]))
        return RemovalSummary(
            request_id, kept["datasets"], kept["artifacts"], kept["size"], sample, kept["complete"]
        )


def _removable(
    snapshot: Snapshot, request: PruneDatasets, datasets: list[RemovableDataset]
) -> list[RemovableDataset]:
    """Return the datasets that exist for the caller; `AccessDeniedError` for one that may be seen only."""
    access = snapshot.access
    if access.is_unrestricted:
        return datasets
    seen = [dataset for dataset in datasets if access.sees(dataset.run)]
    for dataset in seen if request.unstore else ():
        access.require(Verb.DELETE, dataset.run)
    return seen


def _answer_of(summary: RemovalSummary) -> dict[str, Any]:
    return {
        "datasets": dict(summary.datasets),
        "artifacts": summary.artifacts,
        "size": summary.size,
        "sample": [dataset_id.hex for dataset_id in summary.sample],
        "complete": summary.complete,
    }


def _check_prune(request: PruneDatasets) -> None:
    _check_delay(request.purge_after_seconds)
    if len(request.tags) > MAX_COLLECTIONS:
        raise InvalidRequestError(f"Datasets can be taken out of {MAX_COLLECTIONS} collections in one call.")
    if request.purge and not request.unstore:
        raise InvalidRequestError("To purge datasets their artifacts have to go, too: set unstore.")
    if not request.unstore and not request.tags:
        raise InvalidRequestError("Nothing is to be pruned: set unstore, or name TAGGED collections.")


def _check_delay(seconds: int) -> None:
    if not 0 <= seconds <= _MOST_DELAY_SECONDS:
        raise InvalidRequestError(
            f"Artifacts stay in the trash for 0 to {_MOST_DELAY_SECONDS} seconds, not {seconds}."
        )


def _tagged(snapshot: Snapshot, names: Sequence[str]) -> list[CollectionRow]:
    rows = snapshot.collections(list(dict.fromkeys(names)))
    for row in rows:
        if row.collection.type is not CollectionType.TAGGED:
            raise CollectionTypeError(
                f"{row.collection.name!r} is a {row.collection.type.name} collection; datasets can be taken out of "
                "TAGGED ones only.",
                collection=row.collection.name,
            )
    return rows


def _by_type(
    snapshot: Snapshot, datasets: Sequence[RemovableDataset]
) -> list[tuple[DatasetTypeRow, list[UUID]]]:
    grouped: dict[int, list[UUID]] = defaultdict(list)
    for dataset in datasets:
        grouped[dataset.dataset_type_id].append(dataset.id)
    rows = snapshot.dataset_types_by_id(grouped)
    return [(rows[type_id], grouped[type_id]) for type_id in sorted(grouped)]


def _summary(
    request_id: UUID,
    datasets: Sequence[RemovableDataset],
    stored: Mapping[UUID, tuple[int, int]],
    *,
    complete: bool = True,
) -> RemovalSummary:
    counts = Counter(dataset.dataset_type for dataset in datasets)
    return RemovalSummary(
        request_id,
        {name: counts[name] for name in sorted(counts)},
        sum(artifacts for artifacts, _ in stored.values()),
        sum(size for _, size in stored.values()),
        tuple(dataset.id for dataset in datasets[:_SAMPLE]),
        complete,
    )
