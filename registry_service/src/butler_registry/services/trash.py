# SPDX-License-Identifier: BSD-3-Clause
"""The service for the trash; implements `butler_model.ports.Trash`."""

from __future__ import annotations

__all__ = ["TrashService"]

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from uuid import UUID

from butler_model.access import Verb
from butler_model.collection import Collection, CollectionType
from butler_model.dimensions import ColumnType
from butler_model.errors import (
    ConflictingDefinitionError,
    InvalidRequestError,
    LimitExceededError,
    TrashClaimedError,
)
from butler_model.ports import TrashPage
from butler_model.repository import Limits
from butler_model.trash import TrashSelection
from butler_registry.storage.collection_store import CollectionRow
from butler_registry.storage.database import Connection, Database
from butler_registry.storage.dataset_removal import DatasetRemoval
from butler_registry.storage.dataset_store import DatasetStore, NewDataset
from butler_registry.storage.dataset_type_store import DatasetTypeRow
from butler_registry.storage.outbox_store import OutboxStore
from butler_registry.storage.ownership_lock import lock_ownership
from butler_registry.storage.schema import EventKind
from butler_registry.storage.summary_store import Holding
from butler_registry.storage.trash_store import RestorableDataset, TrashStore

from .collection_summaries import holdings_of
from .definitions import Definitions, Snapshot
from .limits import check_batch
from .page_tokens import PageTokens
from .repeats import Repeats

_MOST_RESTORED = 20_000


class TrashService:
    """Shows what is to be deleted, and gives it back."""

    def __init__(
        self,
        database: Database,
        schema: str | None,
        definitions: Definitions,
        trash: TrashStore,
        datasets: DatasetStore,
        removal: DatasetRemoval,
        outbox: OutboxStore,
        repeats: Repeats,
        tokens: PageTokens,
        limits: Limits,
    ) -> None:
        self._database = database
        self._schema = schema
        self._definitions = definitions
        self._trash = trash
        self._datasets = datasets
        self._removal = removal
        self._outbox = outbox
        self._repeats = repeats
        self._tokens = tokens
        self._limits = limits

    def entries(self, selection: TrashSelection, *, page_size: int = 0, page_token: bytes = b"") -> TrashPage:
        self._check(selection)
        if page_size < 0:
            raise InvalidRequestError(
                f"A page cannot have {page_size} artifacts; use 0 for the default size."
            )
        size = min(page_size or self._limits.default_page_rows, self._limits.page_rows)
        question = f"trash {_canonical(selection)}"
        after = self._tokens.open(page_token, question)
        with self._database.reading() as connection:
            self._definitions.snapshot(connection)
            found = self._trash.page(connection, selection, after, size + 1)
        shown = tuple(each for each in found[:size] if self._definitions.access.may(Verb.DELETE, each.run))
        if len(found) <= size:
            return TrashPage(shown)
        record = found[size - 1].record
        last = (record.dataset_id, record.layout.component, record.store)
        return TrashPage(shown, self._tokens.make(question, last))

    def count(self, selection: TrashSelection) -> Mapping[str, int]:
        self._check(selection)
        if not self._definitions.access.may_everywhere(Verb.DELETE):
            return self._count_shown(selection)
        with self._database.reading() as connection:
            self._definitions.snapshot(connection)
            return {state.value: number for state, number in self._trash.count(connection, selection).items()}

    def _count_shown(self, selection: TrashSelection) -> Mapping[str, int]:
        """Count what the caller may delete, page by page: the database does not know what that is."""
        counts: Counter[str] = Counter()
        token = b""
        while True:
            page = self.entries(selection, page_size=self._limits.page_rows, page_token=token)
            counts.update(each.state.value for each in page.artifacts)
            token = page.next_page_token
            if not token:
                return dict(counts)

    def undelete(self, selection: TrashSelection, *, request_id: UUID) -> int:
        self._check(selection)
        new: set[Holding] = set()

        def effect() -> int:
            snapshot = self._definitions.lock(connection)
            ids = self._trash.dataset_ids(connection, selection, _MOST_RESTORED + 1)
            if len(ids) > _MOST_RESTORED:
                raise LimitExceededError(
                    f"At most {_MOST_RESTORED} datasets can be restored together; select fewer.",
                    limit=str(_MOST_RESTORED),
                )
            ids = self._deletable(connection, ids)
            holdings, registered = self._restore(snapshot, ids)
            new.update(holdings)
            restored = self._trash.restore(connection, ids)
            if registered:
                self._definitions.advance(connection)
            return restored

        with self._database.writing() as connection:
            # Before the lock of any row, as everybody does.
            lock_ownership(connection, self._schema)
            what = ("undelete", _canonical(selection))
            restored = self._repeats.once(connection, request_id, what, effect)
        self._definitions.summaries.learn(new)
        return restored

    def _deletable(self, connection: Connection, ids: list[UUID]) -> list[UUID]:
        """Return the datasets of runs in which the caller may delete; the others do not exist for the caller."""
        access = self._definitions.access
        if access.is_unrestricted:
            return ids
        runs = self._trash.runs(connection, ids)
        return [i for i in ids if i in runs and access.may(Verb.DELETE, runs[i])]

    def _restore(self, snapshot: Snapshot, ids: Sequence[UUID]) -> tuple[set[Holding], bool]:
        """Insert the datasets that are gone; return what their runs hold, and whether a run was registered."""
        connection = snapshot.connection
        existing = {dataset.id for dataset in self._removal.lock(connection, ids)}
        datasets = self._trash.lock(connection, ids)
        claimed = self._trash.claimed(connection, ids)
        if claimed is not None:
            raise TrashClaimedError(
                f"The deletion of an artifact of dataset {claimed}, or of one that shares it, was begun; leave out "
                "that dataset.",
                dataset_id=str(claimed),
            )
        gone = [dataset for dataset in datasets if dataset.id not in existing]
        runs, registered = self._runs(connection, sorted({dataset.run for dataset in gone}))
        by_type: dict[str, list[RestorableDataset]] = defaultdict(list)
        for dataset in gone:
            by_type[dataset.dataset_type].append(dataset)
        holdings: set[Holding] = set()
        for name in sorted(by_type):
            holdings |= self._insert(connection, snapshot.dataset_type(name), by_type[name], runs)
        new = self._definitions.summaries.unknown(holdings)
        self._definitions.summaries.record(connection, new)
        return new, registered

    def _insert(
        self,
        connection: Connection,
        row: DatasetTypeRow,
        gone: Sequence[RestorableDataset],
        runs: Mapping[str, CollectionRow],
    ) -> set[Holding]:
        by_run: dict[str, list[RestorableDataset]] = defaultdict(list)
        for dataset in gone:
            _check_data_id(row, dataset)
            by_run[dataset.run].append(dataset)
        self._datasets.insert(
            connection, row, [NewDataset(d.id, runs[d.run].id, d.data_id, ()) for d in gone]
        )
        holdings: set[Holding] = set()
        for run, some in by_run.items():
            holdings |= holdings_of(runs[run].id, row, (d.data_id for d in some))
            self._outbox.append(
                connection, EventKind.APPEARED, row.dataset_type.name, run, [d.id for d in some]
            )
        return holdings

    def _runs(self, connection: Connection, names: Sequence[str]) -> tuple[dict[str, CollectionRow], bool]:
        """Return runs, registering those that are gone, and whether there were such."""
        store = self._definitions.collections
        new = [store.insert(connection, Collection(name, CollectionType.RUN)) for name in names]
        rows = store.by_name(connection, names)
        for name, row in rows.items():
            if row.collection.type is not CollectionType.RUN:
                raise ConflictingDefinitionError(
                    f"{name!r} was a RUN and is a {row.collection.type.name} collection now; remove that first.",
                    collection=name,
                )
        return rows, any(new)

    def _check(self, selection: TrashSelection) -> None:
        check_batch(len(selection.trash_ids), self._limits, "trash ids")
        check_batch(len(selection.dataset_ids), self._limits, "datasets")
        check_batch(len(selection.stores), self._limits, "stores")


def _canonical(selection: TrashSelection) -> str:
    """Return a text that is the same for selections of the same."""
    parts = (
        sorted(trash_id.hex for trash_id in selection.trash_ids),
        sorted(dataset_id.hex for dataset_id in selection.dataset_ids),
        sorted(selection.stores),
        sorted(state.value for state in selection.states),
    )
    return repr(parts)


def _check_data_id(row: DatasetTypeRow, dataset: RestorableDataset) -> None:
    """Refuse a dataset whose type was registered anew with other dimensions."""
    group = row.dataset_type.dimensions
    columns = [group.universe.elements[name].key_columns[name] for name in group.required]
    kinds = [int if column.type is ColumnType.INT else str for column in columns]
    if [type(value) for value in dataset.data_id] != kinds:
        raise ConflictingDefinitionError(
            f"Dataset type {row.dataset_type.name!r} has other dimensions now than dataset {dataset.id} has.",
            dataset_type=row.dataset_type.name,
        )
