# SPDX-License-Identifier: BSD-3-Clause
"""The service for puts: intent, bytes (elsewhere), commit; implements `butler_model.ports.Puts`.

No transaction is open while bytes move. An intent says, before the first byte, what may be written and where, so
whatever a put leaves behind has an owner. The primary key of the tag tables picks the one winner of contested puts.
"""

from __future__ import annotations

__all__ = ["PutService"]

from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from uuid import UUID

from butler_model.data_id import DataCoordinate
from butler_model.errors import (
    ButlerError,
    ConflictingDefinitionError,
    IntentError,
    InvalidRequestError,
    ServiceUnavailableError,
)
from butler_model.failpoints import reach
from butler_model.placement import Placement
from butler_model.ports import BeginPut, Placing, PutIntent, WriteGrant
from butler_model.repository import Limits
from butler_registry.storage.database import Connection, Database
from butler_registry.storage.dataset_store import DatasetStore, NewDataset
from butler_registry.storage.dataset_type_store import DatasetTypeRow
from butler_registry.storage.intent_store import IntendedArtifact, IntentRow, IntentStore
from butler_registry.storage.outbox_store import OutboxStore
from butler_registry.storage.schema import EventKind, IntentState
from butler_registry.storage.single_begin import SingleBegin
from butler_registry.storage.single_commit import SingleCommit
from butler_registry.storage.statistics import Statistics
from butler_registry.storage.summary_store import Holding

from .begun_puts import BegunPuts
from .collection_summaries import holdings_of
from .definitions import Definitions, Snapshot
from .grant_office import GrantOffice
from .intent_checks import check_committable, check_writable, lease_over, not_begun, refuse_others
from .limits import check_batch
from .proofs import Proofs, check_whole_groups
from .put_planning import PlannedPut, PutPlanner, check_ids, conflict
from .quota_guard import QuotaGuard
from .trash_guard import TrashGuard

_MAX_LEASE_SECONDS = 86_400
_GIVEN_UP_SECONDS = 3600
"""For so long, a write may still be under way of which nobody knows the outcome."""
_MOST_TRIES = 5
_MAX_BEGUN = 10_000
"""Puts begun here of which the intent is remembered; others are committed as well, with more statements."""


@dataclass(frozen=True, slots=True)
class _Committed:
    """What a committed transaction has added: to collections, to types and, where there are quotas, to runs."""

    holdings: set[Holding]
    datasets: list[tuple[DatasetTypeRow, int]]
    sizes: Mapping[str, int]


class PutService:
    """Begins, commits and aborts puts.

    Parameters
    ----------
    begun
        Of a transaction: takes note of its puts.
    intents_database
        Where intents are written; another one than ``database`` if that is a transaction, which they are to outlive.
    """

    def __init__(
        self,
        database: Database,
        intents_database: Database,
        begun: BegunPuts | None,
        definitions: Definitions,
        datasets: DatasetStore,
        intents: IntentStore,
        single_begin: SingleBegin,
        single_commit: SingleCommit,
        outbox: OutboxStore,
        statistics: Statistics,
        grants: GrantOffice,
        trash: TrashGuard,
        quotas: QuotaGuard,
        placement: Placement,
        limits: Limits,
    ) -> None:
        self._database = database
        self._intents_database = intents_database
        self._noted = begun
        self._definitions = definitions
        self._datasets = datasets
        self._intents = intents
        self._single_begin = single_begin
        self._single_commit = single_commit
        self._outbox = outbox
        self._statistics = statistics
        self._grants = grants
        self._trash = trash
        self._quotas = quotas
        self._planner = PutPlanner(datasets, placement)
        self._begun: OrderedDict[UUID, IntentRow] = OrderedDict()
        self._limits = limits

    def begin(self, request: BeginPut) -> list[PutIntent]:
        check_batch(sum(len(batch.data_ids) for batch in request.batches), self._limits, "datasets")
        if not 1 <= request.lease_seconds <= _MAX_LEASE_SECONDS:
            raise InvalidRequestError(
                f"A lease lasts 1 to {_MAX_LEASE_SECONDS} seconds, not {request.lease_seconds}."
            )
        check_ids(request)
        planned = self._begin_one(request) or self._begin_all(request)
        reach("put.begin_after_commit_before_reply")
        return [
            PutIntent(row.dataset_id, data_id, self._write_grants(row, request)) for row, data_id in planned
        ]

    def _begin_one(self, request: BeginPut) -> list[PlannedPut] | None:
        """Begin the put of one dataset with one statement; `None` if more has to be looked at or said."""
        single = [len(batch.data_ids) for batch in request.batches] == [1]
        if not single or not self._database.is_postgresql or request.validate_only or self._noted is not None:
            return None
        if request.batches[0].placing is Placing.IN_STORE:
            return None
        with self._database.single_statement() as connection:
            # What is cached is mostly still true, and the statement does nothing if it is not.
            snapshot = self._definitions.unchecked(connection)
            if self._quotas.quotas(connection, snapshot.revision):
                return None
            try:
                planned = self._planner.plan(snapshot, request)
                dataset_type = snapshot.dataset_type(request.batches[0].dataset_type)
            except ButlerError:
                return None
            intent = planned[0][0]
            if not self._single_begin.insert(
                connection, dataset_type, intent, request.lease_seconds, snapshot.revision
            ):
                return None
        if len(self._begun) >= _MAX_BEGUN:
            self._begun.popitem(last=False)
        self._begun[intent.dataset_id] = intent
        return planned

    def _begin_all(self, request: BeginPut) -> list[PlannedPut]:
        with self._database.reading() if request.validate_only else self._database.writing() as connection:
            snapshot = self._definitions.snapshot(connection)
            planned = self._planner.plan(snapshot, request)
            self._quotas.check(connection, snapshot.revision, {request.run: 0})
            committed = self._planner.refuse_existing(snapshot, request, planned)
            new = [row for row, _ in planned if row.dataset_id not in committed]
            if request.validate_only:
                self._trash.check_adopted(connection, new)
            else:
                with self._for_intents(connection) as apart:
                    self._trash.check(connection, apart, new)
                    self._write_intents(connection, apart, new, request.lease_seconds)
                    if self._noted is not None:
                        self._noted.add(new)
            reach("put.begin_before_commit")
        return planned

    @contextmanager
    def _for_intents(self, connection: Connection) -> Iterator[Connection]:
        """Give a connection to write intents: within the transaction that is open, or apart from it."""
        if self._intents_database is self._database:
            yield connection
        else:
            with self._intents_database.writing() as apart:
                yield apart

    def _refuse_taken_ids(self, connection: Connection, rows: Sequence[IntentRow]) -> None:
        """Refuse ids that datasets with other data IDs or of other types or runs have."""
        for taken in self._datasets.type_ids(connection, [row.dataset_id for row in rows]):
            raise ConflictingDefinitionError(
                f"There is another dataset with the id {taken}; use a new id.", dataset_id=str(taken)
            )

    def _write_intents(
        self, connection: Connection, apart: Connection, rows: Sequence[IntentRow], lease_seconds: int
    ) -> None:
        for _ in range(_MOST_TRIES):  # what is in the way may go meanwhile: the trash is emptied, say
            if self._intents.upsert(apart, rows, lease_seconds):
                return
            self._refuse_taken_ids(connection, rows)
            self._trash.refuse_trashed_ids(connection, rows)  # also what its own transaction has moved there
            held = self._intents.select(apart, [row.dataset_id for row in rows], lock=False)
            refuse_others(held.values(), rows)
        raise ServiceUnavailableError("Ids of this put were taken, and became free meanwhile; try again.")

    def _write_grants(self, row: IntentRow, request: BeginPut) -> tuple[WriteGrant, ...]:
        def token(artifact: IntendedArtifact) -> bytes:
            if request.validate_only:
                return b""
            grant = self._grants.adopt if artifact.adopted else self._grants.write
            return grant(artifact, row.dataset_id, request.lease_seconds)

        return tuple(WriteGrant(a.layout.component, a.store, a.key, token(a)) for a in row.artifacts)

    def commit(self, dataset_ids: Sequence[UUID], receipts: Sequence[bytes], *, request_id: UUID) -> None:
        check_batch(len(dataset_ids), self._limits, "datasets")
        proofs = Proofs(map(self._grants.open_receipt, receipts))
        ids = list(dict.fromkeys(dataset_ids))
        reach("put.commit_before_txn")
        if not (len(ids) == 1 and self._commit_one(ids[0], proofs)):
            self._commit_all(ids, proofs)
        if self._noted is not None:
            self._noted.committed(ids)
        reach("put.after_commit_before_reply")

    def _commit_all(self, ids: Sequence[UUID], proofs: Proofs) -> None:
        try:
            with self._database.writing() as connection:
                committed = self._commit(connection, ids, proofs)
                reach("put.before_commit")
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

    def _commit_one(self, dataset_id: UUID, proofs: Proofs) -> bool:
        """Commit a put that was begun here with one statement; return whether that could be done."""
        intent = self._begun.pop(dataset_id, None)
        if intent is None or len(intent.artifacts) != 1 or intent.artifacts[0].sharers > 1:
            return False
        with self._database.single_statement() as connection:
            snapshot = self._definitions.unchecked(connection)
            if self._quotas.quotas(connection, snapshot.revision):
                return False
            row = snapshot.dataset_types_by_id([intent.dataset_type_id]).get(intent.dataset_type_id)
            if row is None:
                return False
            run = snapshot.run_names([intent.run_id])[intent.run_id]
            if self._definitions.summaries.unknown(holdings_of(intent.run_id, row, [intent.data_id])):
                return False
            try:
                (artifact,) = proofs.records(intent)
                if not self._single_commit.insert(connection, row, run, intent, artifact):
                    return False
            except ButlerError:
                return False
        self._remember(_Committed(set(), [(row, 1)], {}))
        return True

    def _remember(self, committed: _Committed) -> None:
        self._definitions.summaries.learn(committed.holdings)
        self._quotas.wrote(committed.sizes)
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
                    raise not_begun(dataset_id)
        snapshot = self._definitions.unchecked(connection)
        check_writable(snapshot, intents.values())
        for intent in intents.values():
            check_committable(intent)
        check_whole_groups(intents.values())
        types, runs = self._types_and_runs(snapshot, intents.values())
        limited = self._quotas.quotas(connection, snapshot.revision)
        sizes = proofs.sizes(intents.values(), runs) if limited else {}
        self._quotas.check(connection, snapshot.revision, sizes)
        holdings = self._record_holdings(connection, intents.values(), types)
        written: list[tuple[DatasetTypeRow, int]] = []
        for row in sorted(types.values(), key=lambda row: row.id):
            datasets = [
                NewDataset(i.dataset_id, i.run_id, i.data_id, proofs.records(i))
                for i in intents.values()
                if i.dataset_type_id == row.id
            ]
            written.append((row, len(datasets)))
            if self._database.is_postgresql and len(intents) == 1 and len(datasets[0].artifacts) == 1:
                (intent,), (artifact,) = intents.values(), datasets[0].artifacts
                if not self._single_commit.insert(connection, row, runs[intent.run_id], intent, artifact):
                    raise lease_over(intent)  # while this waited for another transaction
                return _Committed(holdings, written, sizes)
            self._datasets.insert(connection, row, datasets)
            for run_id, run in runs.items():
                ids = [dataset.dataset_id for dataset in datasets if dataset.run_id == run_id]
                self._outbox.append(connection, EventKind.APPEARED, row.dataset_type.name, run, ids)
        if intents:
            self._intents.delete(connection, list(intents), IntentState.ACTIVE)
        return _Committed(holdings, written, sizes)

    def _types_and_runs(
        self, snapshot: Snapshot, intents: Collection[IntentRow]
    ) -> tuple[dict[int, DatasetTypeRow], dict[int, str]]:
        types = snapshot.dataset_types_by_id(intent.dataset_type_id for intent in intents)
        if any(intent.dataset_type_id not in types for intent in intents):
            # Intents of a transaction outlive what was registered in it, and a type may go in the moment of the begin.
            raise IntentError("The dataset type of a put is gone; register it, and begin the put again.")
        return types, snapshot.run_names(intent.run_id for intent in intents)

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
                row = snapshot.dataset_types_by_id([intent.dataset_type_id]).get(intent.dataset_type_id)
                wanted = [intent.data_id], [intent.run_id]
                found = row and self._datasets.find(connection, row, *wanted, want_artifacts=False)
                if row and found:
                    run = snapshot.run_names([intent.run_id])[intent.run_id]
                    data_id = DataCoordinate.from_required_values(row.dataset_type.dimensions, intent.data_id)
                    return conflict(row, data_id, run, found[0].dataset_id)
        return error

    def abort(self, dataset_ids: Sequence[UUID], *, request_id: UUID) -> list[bytes]:
        check_batch(len(dataset_ids), self._limits, "datasets")
        with self._database.writing() as connection:
            snapshot = self._definitions.unchecked(connection)
            if self._noted is not None:
                self._refuse_committed(connection, dataset_ids)  # else it would wait for itself
            with self._for_intents(connection) as apart:
                intents = self._intents.select(apart, dataset_ids, lock=True)
                check_writable(snapshot, intents.values())
                self._refuse_committed(connection, dataset_ids)
                if intents:
                    self._intents.mark_aborted(apart, list(intents))
                discarded = self._trash.to_discard(connection, apart, intents.values()) if intents else []
        return [self._grants.discard(artifact, dataset_id) for artifact, dataset_id in discarded]

    def _refuse_committed(self, connection: Connection, dataset_ids: Sequence[UUID]) -> None:
        for dataset_id in self._datasets.type_ids(connection, dataset_ids):
            raise IntentError(
                f"Dataset {dataset_id} was committed, so it cannot be given up.",
                dataset_id=str(dataset_id),
            )

    def give_up(self, intents: Sequence[IntentRow]) -> None:
        """Mark intents aborted, and write those that were undone anew, since something may have been written."""
        with self._intents_database.writing() as connection:
            self._intents.upsert(
                connection, [replace(i, state=IntentState.ABORTED) for i in intents], _GIVEN_UP_SECONDS
            )
            self._intents.mark_aborted(connection, [intent.dataset_id for intent in intents])

    def finish_abort(self, dataset_ids: Sequence[UUID], *, request_id: UUID) -> None:
        check_batch(len(dataset_ids), self._limits, "datasets")
        with self._intents_database.writing() as connection:
            snapshot = self._definitions.unchecked(connection)
            if not snapshot.access.is_unrestricted:
                intents = self._intents.select(connection, dataset_ids, lock=False)
                check_writable(snapshot, intents.values())
            self._intents.delete(connection, dataset_ids, IntentState.ABORTED)
        if self._noted is not None:
            self._noted.forget(dataset_ids)
