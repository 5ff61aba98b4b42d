# SPDX-License-Identifier: BSD-3-Clause
"""The service for puts: intent, bytes (elsewhere), commit; implements `butler_model.ports.Puts`.

No transaction is open while bytes move. An intent says, before the first byte, what may be written and where, so
whatever a put leaves behind has an owner. The primary key of the tag tables picks the one winner of contested puts.
"""

from __future__ import annotations

__all__ = ["PutService"]

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from butler_model.collection import CollectionType
from butler_model.data_id import DataCoordinate
from butler_model.dataset import DatasetRef
from butler_model.errors import (
    CollectionTypeError,
    ConflictingDefinitionError,
    DatasetTypeMismatchError,
    IntentError,
    InvalidRequestError,
)
from butler_model.ports import BeginPut, PutBatch, PutIntent, WriteGrant
from butler_model.repository import Limits, Store
from butler_registry.storage.database import Connection, Database
from butler_registry.storage.dataset_store import DatasetStore, NewDataset
from butler_registry.storage.dataset_type_store import DatasetTypeRow
from butler_registry.storage.intent_store import IntentRow, IntentStore
from butler_registry.storage.outbox_store import OutboxStore
from butler_registry.storage.schema import EventKind, IntentState
from butler_registry.storage.single_commit import SingleCommit
from butler_registry.storage.statistics import Statistics
from butler_registry.storage.summary_store import Holding

from .collection_summaries import holdings_of
from .data_id_expansion import expand
from .data_id_rewriting import required_values
from .definitions import Definitions, Snapshot
from .grant_office import GrantOffice
from .limits import check_batch
from .placement import Placement, check_placing
from .proofs import Proofs, check_whole_groups

_MAX_LEASE_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class _Committed:
    """What is known once a transaction is committed: of collections, and how many datasets of which types are new."""

    holdings: set[Holding]
    datasets: list[tuple[DatasetTypeRow, int]]


class PutService:
    """Begins, commits and aborts puts."""

    def __init__(
        self,
        database: Database,
        definitions: Definitions,
        datasets: DatasetStore,
        intents: IntentStore,
        single_commit: SingleCommit,
        outbox: OutboxStore,
        statistics: Statistics,
        grants: GrantOffice,
        store: Store,
        limits: Limits,
    ) -> None:
        self._database = database
        self._definitions = definitions
        self._datasets = datasets
        self._intents = intents
        self._single_commit = single_commit
        self._outbox = outbox
        self._statistics = statistics
        self._grants = grants
        self._placement = Placement(store)
        self._limits = limits

    def begin(self, request: BeginPut) -> list[PutIntent]:
        check_batch(sum(len(batch.data_ids) for batch in request.batches), self._limits, "datasets")
        if not 1 <= request.lease_seconds <= _MAX_LEASE_SECONDS:
            raise InvalidRequestError(
                f"A lease lasts 1 to {_MAX_LEASE_SECONDS} seconds, not {request.lease_seconds}."
            )
        _check_ids(request)
        with self._database.writing() as connection:
            snapshot = self._definitions.snapshot(connection)
            run_id = self._run_id(snapshot, request.run)
            rows: list[IntentRow] = []
            data_ids: list[DataCoordinate] = []
            committed: set[UUID] = set()
            seen: set[tuple[str, DataCoordinate]] = set()
            for batch in request.batches:
                for row, data_id in self._plan(snapshot, batch, request, run_id, committed, seen):
                    rows.append(row)
                    data_ids.append(data_id)
            new = [row for row in rows if row.dataset_id not in committed]
            if not self._intents.upsert(connection, new, request.lease_seconds):
                self._refuse_taken_ids(connection, new)
                raise self._others_intent(connection, new)
        return [
            PutIntent(row.dataset_id, data_id, self._write_grants(row, request.lease_seconds))
            for row, data_id in zip(rows, data_ids, strict=True)
        ]

    def _run_id(self, snapshot: Snapshot, run: str) -> int:
        found = snapshot.collections([run])[0]
        if found.collection.type is not CollectionType.RUN:
            raise CollectionTypeError(
                f"{run!r} is a {found.collection.type.name} collection; datasets are put into RUN collections.",
                collection=run,
            )
        return found.id

    def _plan(
        self,
        snapshot: Snapshot,
        batch: PutBatch,
        request: BeginPut,
        run_id: int,
        committed: set[UUID],
        seen: set[tuple[str, DataCoordinate]],
    ) -> Iterable[tuple[IntentRow, DataCoordinate]]:
        row = snapshot.dataset_type(batch.dataset_type)
        if batch.storage_class != row.dataset_type.storageClass_name:
            raise DatasetTypeMismatchError(
                f"Dataset type {batch.dataset_type!r} has the storage class {row.dataset_type.storageClass_name!r}, "
                f"not {batch.storage_class!r}.",
                dataset_type=batch.dataset_type,
            )
        group = row.dataset_type.dimensions
        data_ids = expand(snapshot, group, required_values(snapshot, group, batch.data_ids))
        for data_id in data_ids:
            if (batch.dataset_type, data_id) in seen:
                raise ConflictingDefinitionError(
                    f"{data_id} of dataset type {batch.dataset_type!r} is twice in one put.",
                    dataset_type=batch.dataset_type,
                )
            seen.add((batch.dataset_type, data_id))
        wanted = dict(zip(data_ids, batch.dataset_ids, strict=True))
        committed |= self._refuse_existing(snapshot, row, run_id, request.run, wanted)
        n_required = len(group.required)
        placed = self._placement.place(
            batch,
            [
                DatasetRef(row.dataset_type, data_id, request.run, id=dataset_id)
                for dataset_id, data_id in zip(batch.dataset_ids, data_ids, strict=True)
            ],
        )
        for dataset_id, data_id, artifacts in zip(batch.dataset_ids, data_ids, placed, strict=True):
            values = data_id.values_tuple[:n_required]
            yield IntentRow(dataset_id, request.request_id, row.id, run_id, values, artifacts), data_id

    def _refuse_existing(
        self,
        snapshot: Snapshot,
        row: DatasetTypeRow,
        run_id: int,
        run: str,
        wanted: dict[DataCoordinate, UUID],
    ) -> set[UUID]:
        """Return the ids that are there already, from an earlier call of the same put."""
        n_required = len(row.dataset_type.dimensions.required)
        if not wanted:
            return set()
        by_values = {data_id.values_tuple[:n_required]: dataset_id for data_id, dataset_id in wanted.items()}
        found = self._datasets.find(snapshot.connection, row, list(by_values), [run_id], want_artifacts=False)
        for existing in found:
            if existing.dataset_id != by_values[existing.data_id]:
                data_id = DataCoordinate.from_required_values(row.dataset_type.dimensions, existing.data_id)
                raise _conflict(row, data_id, run, existing.dataset_id)
        return {existing.dataset_id for existing in found}

    def _refuse_taken_ids(self, connection: Connection, rows: Sequence[IntentRow]) -> None:
        """Refuse ids that datasets with other data IDs or of other types or runs have."""
        for taken in self._datasets.type_ids(connection, [row.dataset_id for row in rows]):
            raise ConflictingDefinitionError(
                f"There is another dataset with the id {taken}; use a new id.", dataset_id=str(taken)
            )

    def _others_intent(self, connection: Connection, rows: Sequence[IntentRow]) -> IntentError:
        held = self._intents.select(connection, [row.dataset_id for row in rows], lock=False)
        # What this transaction has just written is its own, down to the last field.
        mine = {row.dataset_id: row for row in rows}
        other = next(i for i in held.values() if replace(i, expired=False) != mine[i.dataset_id])
        return IntentError(
            f"Dataset {other.dataset_id} is being put by another request, or was given up; use a new id.",
            dataset_id=str(other.dataset_id),
        )

    def _write_grants(self, row: IntentRow, lease_seconds: int) -> tuple[WriteGrant, ...]:
        grants = []
        for a in row.artifacts:
            component = a.layout.component
            grant = self._grants.adopt if a.adopted else self._grants.write
            token = grant(a.store, a.key, row.dataset_id, component, lease_seconds)
            grants.append(WriteGrant(component, a.key, token))
        return tuple(grants)

    def commit(self, dataset_ids: Sequence[UUID], receipts: Sequence[bytes], *, request_id: UUID) -> None:
        check_batch(len(dataset_ids), self._limits, "datasets")
        proofs = Proofs(map(self._grants.open_receipt, receipts))
        ids = list(dict.fromkeys(dataset_ids))
        try:
            with self._database.writing() as connection:
                committed = self._commit(connection, ids, proofs)
            self._remember(committed)
        except ConflictingDefinitionError as error:
            with self._database.writing() as connection:
                repeated = self._forget_repeated(connection, ids)
                committed = self._commit(
                    connection, [i for i in ids if i not in repeated] if repeated else [], proofs
                )
            if not repeated:
                raise self._with_winner(error, ids) from error
            self._remember(committed)

    def _remember(self, committed: _Committed) -> None:
        self._definitions.summaries.learn(committed.holdings)
        for row, datasets in committed.datasets:
            self._statistics.wrote([row.tags, *self._datasets.tables], datasets)

    def _forget_repeated(self, connection: Connection, dataset_ids: Sequence[UUID]) -> set[UUID]:
        """Remove intents of datasets that were committed already, as they would be now: a repeat of a whole put."""
        intents = self._intents.select(connection, dataset_ids, lock=True)
        snapshot = self._definitions.unchecked(connection)
        repeated: set[UUID] = set()
        for row in snapshot.dataset_types_by_id(i.dataset_type_id for i in intents.values()).values():
            for found in self._datasets.get(connection, row, list(intents), want_artifacts=False):
                intent = intents[found.dataset_id]
                if (found.run_id, found.data_id) == (intent.run_id, intent.data_id):
                    repeated.add(found.dataset_id)
        if repeated:
            self._intents.delete(connection, list(repeated), IntentState.ACTIVE)
        return repeated

    def _commit(self, connection: Connection, dataset_ids: Sequence[UUID], proofs: Proofs) -> _Committed:
        """Turn intents into datasets."""
        intents = self._intents.select(connection, dataset_ids, lock=True)
        unknown = [dataset_id for dataset_id in dataset_ids if dataset_id not in intents]
        if unknown:
            committed = self._datasets.type_ids(connection, unknown)
            for dataset_id in unknown:
                if dataset_id not in committed:
                    raise IntentError(
                        f"No put of dataset {dataset_id} was begun, or it was given up; begin it again.",
                        dataset_id=str(dataset_id),
                    )
        for intent in intents.values():
            _check_committable(intent)
        check_whole_groups(intents.values())
        snapshot = self._definitions.unchecked(connection)
        types = snapshot.dataset_types_by_id(i.dataset_type_id for i in intents.values())
        runs = snapshot.run_names(i.run_id for i in intents.values())
        holdings = self._record_holdings(connection, intents.values(), types)
        written: list[tuple[DatasetTypeRow, int]] = []
        for row in sorted(types.values(), key=lambda row: row.id):
            datasets = [
                NewDataset(i.dataset_id, i.run_id, i.data_id, proofs.records(i))
                for i in intents.values()
                if i.dataset_type_id == row.id
            ]
            written.append((row, len(datasets)))
            one = datasets[0]
            if self._database.is_postgresql and len(intents) == 1 and len(one.artifacts) == 1:
                self._single_commit.insert(connection, row, runs[one.run_id], one, one.artifacts[0])
                return _Committed(holdings, written)
            self._datasets.insert(connection, row, datasets)
            for run_id, run in runs.items():
                ids = [dataset.dataset_id for dataset in datasets if dataset.run_id == run_id]
                self._outbox.append(connection, EventKind.APPEARED, row.dataset_type.name, run, ids)
        if intents:
            self._intents.delete(connection, list(intents), IntentState.ACTIVE)
        return _Committed(holdings, written)

    def _record_holdings(
        self, connection: Connection, intents: Collection[IntentRow], types: Mapping[int, DatasetTypeRow]
    ) -> set[Holding]:
        holdings: set[Holding] = set()
        for run_id, type_id in {(intent.run_id, intent.dataset_type_id) for intent in intents}:
            data_ids = (i.data_id for i in intents if (i.run_id, i.dataset_type_id) == (run_id, type_id))
            holdings |= holdings_of(run_id, types[type_id], data_ids)
        new = self._definitions.summaries.unknown(holdings)
        self._definitions.summaries.record(connection, new)
        return new

    def _with_winner(
        self, error: ConflictingDefinitionError, dataset_ids: Sequence[UUID]
    ) -> ConflictingDefinitionError:
        """Name the dataset that was there first, now that the failed transaction is over."""
        with self._database.reading() as connection:
            snapshot = self._definitions.unchecked(connection)
            for intent in self._intents.select(connection, dataset_ids, lock=False).values():
                row = snapshot.dataset_types_by_id([intent.dataset_type_id])[intent.dataset_type_id]
                found = self._datasets.find(
                    connection, row, [intent.data_id], [intent.run_id], want_artifacts=False
                )
                if found:
                    run = snapshot.run_names([intent.run_id])[intent.run_id]
                    data_id = DataCoordinate.from_required_values(row.dataset_type.dimensions, intent.data_id)
                    return _conflict(row, data_id, run, found[0].dataset_id)
        return error

    def abort(self, dataset_ids: Sequence[UUID], *, request_id: UUID) -> list[bytes]:
        check_batch(len(dataset_ids), self._limits, "datasets")
        with self._database.writing() as connection:
            self._definitions.unchecked(connection)
            intents = self._intents.select(connection, dataset_ids, lock=True)
            for dataset_id in self._datasets.type_ids(connection, dataset_ids):
                raise IntentError(
                    f"Dataset {dataset_id} was committed, so it cannot be given up.",
                    dataset_id=str(dataset_id),
                )
            if intents:
                self._intents.mark_aborted(connection, list(intents))
        return [
            self._grants.discard(a.store, a.key, intent.dataset_id, a.layout.component)
            for intent in intents.values()
            for a in intent.artifacts
            if not a.adopted
        ]

    def finish_abort(self, dataset_ids: Sequence[UUID], *, request_id: UUID) -> None:
        check_batch(len(dataset_ids), self._limits, "datasets")
        with self._database.writing() as connection:
            self._definitions.unchecked(connection)
            self._intents.delete(connection, dataset_ids, IntentState.ABORTED)


def _check_ids(request: BeginPut) -> None:
    seen: set[UUID] = set()
    for batch in request.batches:
        if len(batch.data_ids) != len(batch.dataset_ids):
            raise InvalidRequestError(
                f"A batch of {batch.dataset_type!r} has {len(batch.data_ids)} data IDs and "
                f"{len(batch.dataset_ids)} dataset ids; there must be one id for each."
            )
        check_placing(batch)
        components = [layout.component for layout in batch.artifacts]
        if len(set(components)) != len(components):
            raise InvalidRequestError(
                f"A batch of {batch.dataset_type!r} has two artifacts for one component."
            )
        for dataset_id in batch.dataset_ids:
            if dataset_id in seen:
                raise InvalidRequestError(f"Dataset id {dataset_id} is used twice in one put.")
            seen.add(dataset_id)


def _check_committable(intent: IntentRow) -> None:
    if intent.state is not IntentState.ACTIVE:
        raise IntentError(
            f"The put of dataset {intent.dataset_id} was given up; begin it again with a new id.",
            dataset_id=str(intent.dataset_id),
        )
    if intent.expired:
        raise IntentError(
            f"The lease for the put of dataset {intent.dataset_id} has run out; begin it again.",
            dataset_id=str(intent.dataset_id),
        )


def _conflict(
    row: DatasetTypeRow, data_id: DataCoordinate, run: str, existing: UUID
) -> ConflictingDefinitionError:
    return ConflictingDefinitionError(
        f"Run {run!r} has a dataset of type {row.dataset_type.name!r} with data ID {data_id} already ({existing}); "
        "use another run.",
        dataset_type=row.dataset_type.name,
        run=run,
        existing_id=str(existing),
    )
