# SPDX-License-Identifier: BSD-3-Clause
"""What a datastore is told to delete, to discard and to expect."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import pytest

from butler_model.artifact import DIRECT_STORE
from butler_model.errors import (
    ConflictingDefinitionError,
    IntentError,
    InvalidRequestError,
    RepositoryNotFoundError,
    TrashClaimedError,
)
from butler_model.ports import ArtifactLedger, BeginPut, Ledgers, Ownership, Placing, PutBatch, PutIntent
from butler_model.trash import PurgeClaim, PurgeFailure, PurgeTask, TrashSelection, TrashState
from butler_registry.storage.schema import DeletionReason, TrashRowState
from tests.support.registries import (
    LAYOUT,
    RegistryHome,
    RegistrySetup,
    at_once,
    registry_home_of_module,
    registry_of_test,
)
from tests.support.trashing import Rows, open_rows

__all__ = ["registry_home_of_module", "registry_of_test"]

EVERYTHING = TrashSelection()
RUN = "run1"
DETECTORS = [{"instrument": "Cam1", "detector": number} for number in (1, 2, 3, 4)]


@dataclass(frozen=True, slots=True)
class Bookkeeping:
    """A repository with four notes, its ledger, and its tables."""

    setup: RegistrySetup
    ledgers: Ledgers
    ledger: ArtifactLedger
    rows: Rows
    notes: list[UUID]

    def claim(
        self, selection: TrashSelection = EVERYTHING, *, limit: int = 100, lease: int = 600
    ) -> PurgeClaim:
        """Claim what is due."""
        return self.ledger.claim_trash(selection, claim_id=uuid.uuid4(), limit=limit, lease_seconds=lease)

    def trashed(self) -> dict[UUID, TrashRowState]:
        """Return the state of what is in the trash, by dataset."""
        table = self.rows.tables.artifact_trash
        return {row.dataset_id: TrashRowState(row.state) for row in self.rows.all(table)}

    def adopt(self, key: str, placing: Placing = Placing.IN_STORE) -> list[PutIntent]:
        """Begin a put of an artifact that is there."""
        ids = [uuid.uuid4()]
        layouts = (LAYOUT,)
        batch = PutBatch(
            "note", LAYOUT.storage_class, DETECTORS[:1], ids, layouts, placing=placing, keys=(key,)
        )
        return self.setup.registry.puts.begin(BeginPut(uuid.uuid4(), "run2", (batch,), 600))

    def key(self, dataset_id: UUID) -> str:
        """Return the key of a dataset's artifact, live or in the trash."""
        tables = self.rows.tables
        rows = [*self.rows.all(tables.artifact_record), *self.rows.all(tables.artifact_trash)]
        return next(str(row.key) for row in rows if row.dataset_id == dataset_id)


@pytest.fixture
def books(setup: RegistrySetup, home: RegistryHome) -> Iterator[Bookkeeping]:
    """Give a repository with four notes in one run."""
    setup.register_run(RUN)
    setup.register_run("run2")
    setup.register_type("note", ("instrument", "detector"))
    notes = setup.put("note", RUN, *DETECTORS)
    with open_rows(home.database, setup.repository) as rows:
        yield Bookkeeping(setup, home.ledgers, home.ledgers.ledger(setup.repository), rows, notes)


def test_what_is_in_the_trash_and_due_is_claimed_once(books: Bookkeeping) -> None:
    books.rows.trash(*books.notes[:2])
    assert books.ledger.count_due(EVERYTHING) == 2
    claim = books.claim()
    assert {task.dataset_id for task in claim.tasks} == set(books.notes[:2])
    assert all(task.deletes and task.store == "main" and task.size == 10 for task in claim.tasks)
    assert books.ledger.count_due(EVERYTHING) == 0
    assert books.claim().tasks == ()
    assert set(books.trashed().values()) == {TrashRowState.PURGING}


def test_a_repeat_of_a_claim_gives_the_same_and_no_more(books: Bookkeeping) -> None:
    books.rows.share(*books.notes[:2])
    books.rows.trash(*books.notes)
    claim_id = uuid.uuid4()
    first, again = (
        books.ledger.claim_trash(EVERYTHING, claim_id=claim_id, limit=3, lease_seconds=60) for _ in range(2)
    )
    assert len(first.tasks) == 3
    assert again == first
    assert books.ledger.count_due(EVERYTHING) == 1


def test_what_is_not_due_yet_is_not_claimed(books: Bookkeeping) -> None:
    books.rows.trash(books.notes[0], due_seconds=3600)
    assert books.claim().tasks == ()


def test_what_was_confirmed_is_gone_and_its_deletion_is_on_record(books: Bookkeeping) -> None:
    books.rows.trash(*books.notes[:2])
    claim = books.claim()
    books.ledger.confirm_purge(claim.claim_id, claim.tasks, ())
    assert books.trashed() == {}
    log = books.rows.all(books.rows.tables.deletion_log)
    assert sorted((row.dataset_id, row.key) for row in log) == sorted(
        (t.dataset_id, t.key) for t in claim.tasks
    )
    assert {(row.reason, row.requested_by) for row in log} == {(DeletionReason.PURGED, "somebody")}
    books.ledger.confirm_purge(claim.claim_id, claim.tasks, ())
    assert books.rows.count(books.rows.tables.deletion_log) == 2


def test_what_failed_stays_in_the_trash_and_is_tried_again_ever_later(books: Bookkeeping) -> None:
    books.rows.trash(books.notes[0])
    for attempt in (1, 2, 3):
        claim = books.claim()
        books.ledger.confirm_purge(claim.claim_id, (), [PurgeFailure(claim.tasks[0], "no permission")])
        (row,) = books.rows.all(books.rows.tables.artifact_trash)
        assert (row.state, row.attempts, row.last_error) == (TrashRowState.FAILED, attempt, "no permission")
        assert books.claim().tasks == ()
        books.rows.make_due()
    claim = books.claim(TrashSelection(states=frozenset({TrashState.FAILED})))
    books.ledger.confirm_purge(claim.claim_id, claim.tasks, ())
    assert books.trashed() == {}


# D28
def test_when_its_lease_has_ended_another_claim_takes_it_and_the_first_is_ignored(books: Bookkeeping) -> None:
    books.rows.trash(books.notes[0])
    first = books.claim()
    books.rows.make_due()
    second = books.claim()
    assert second.tasks == first.tasks
    books.ledger.confirm_purge(first.claim_id, first.tasks, ())
    assert books.trashed() == {books.notes[0]: TrashRowState.PURGING}
    books.ledger.confirm_purge(first.claim_id, (), [PurgeFailure(first.tasks[0], "late")])
    assert books.trashed() == {books.notes[0]: TrashRowState.PURGING}
    books.ledger.confirm_purge(second.claim_id, second.tasks, ())
    assert books.trashed() == {}


def test_what_was_not_tried_can_be_claimed_at_once(books: Bookkeeping) -> None:
    books.rows.trash(*books.notes)
    claim = books.claim()
    books.ledger.confirm_purge(claim.claim_id, claim.tasks[:1], ())
    assert {task.dataset_id for task in books.claim().tasks} == {t.dataset_id for t in claim.tasks[1:]}


def test_a_selection_restricts_what_is_claimed(books: Bookkeeping) -> None:
    first, second = books.rows.trash(books.notes[0]), books.rows.trash(*books.notes[1:3])
    assert books.ledger.count_due(TrashSelection(trash_ids=(second,))) == 2
    assert books.claim(TrashSelection(stores=("other",))).tasks == ()
    assert books.claim(TrashSelection(states=frozenset({TrashState.FAILED}))).tasks == ()
    assert [t.dataset_id for t in books.claim(TrashSelection(trash_ids=(first,))).tasks] == [books.notes[0]]
    assert [t.dataset_id for t in books.claim(TrashSelection(dataset_ids=(books.notes[2],))).tasks] == [
        books.notes[2]
    ]
    assert len(books.claim(limit=1).tasks) == 1


# D19, D29
def test_what_a_dataset_shares_is_not_deleted(books: Bookkeeping) -> None:
    first, *others = books.notes
    books.rows.share(first, *others)
    books.rows.trash(first)
    claim = books.claim()
    assert [task.deletes for task in claim.tasks] == [False]
    books.ledger.confirm_purge(claim.claim_id, claim.tasks, ())
    assert books.trashed() == {}
    assert books.rows.count(books.rows.tables.deletion_log) == 0


def test_of_all_that_share_an_artifact_exactly_one_deletes_it(books: Bookkeeping) -> None:
    books.rows.share(*books.notes)
    books.rows.trash(*books.notes)
    claim = books.claim()
    assert sorted(task.deletes for task in claim.tasks) == [False, False, False, True]
    books.ledger.confirm_purge(claim.claim_id, claim.tasks, ())
    assert books.trashed() == {}
    assert books.rows.count(books.rows.tables.deletion_log) == 1


def test_two_claims_of_a_shared_artifact_delete_it_once_in_the_end(books: Bookkeeping) -> None:
    books.rows.share(*books.notes[:2])
    books.rows.trash(*books.notes[:2])
    first, second = books.claim(limit=1), books.claim(limit=1)
    assert [task.deletes for task in (*first.tasks, *second.tasks)] == [False, False]
    books.ledger.confirm_purge(first.claim_id, first.tasks, ())
    books.ledger.confirm_purge(second.claim_id, second.tasks, ())
    # The second was the last one to have it, which it could not know when it was claimed.
    last = books.claim()
    assert [(task.dataset_id, task.deletes) for task in last.tasks] == [(second.tasks[0].dataset_id, True)]
    books.ledger.confirm_purge(last.claim_id, last.tasks, ())
    assert books.trashed() == {}


def test_if_the_deletion_of_a_shared_artifact_fails_one_stays_to_try_it_again(books: Bookkeeping) -> None:
    books.rows.share(*books.notes)
    books.rows.trash(*books.notes)
    claim = books.claim()
    deleting = [task for task in claim.tasks if task.deletes]
    books.ledger.confirm_purge(
        claim.claim_id,
        [task for task in claim.tasks if not task.deletes],
        [PurgeFailure(task, "busy") for task in deleting],
    )
    assert books.trashed() == {deleting[0].dataset_id: TrashRowState.FAILED}


def test_a_file_that_was_ingested_where_it_is_is_never_deleted(books: Bookkeeping) -> None:
    intents = books.adopt("file:///data/a.fits", Placing.DIRECT)
    books.setup.commit(intents)
    books.rows.trash(intents[0].dataset_id)
    claim = books.claim()
    assert [(task.store, task.deletes) for task in claim.tasks] == [(DIRECT_STORE, False)]
    books.ledger.confirm_purge(claim.claim_id, claim.tasks, ())
    assert books.trashed() == {}
    assert books.rows.count(books.rows.tables.deletion_log) == 0


# D29
def test_what_a_put_is_to_adopt_waits_for_that_put(books: Bookkeeping) -> None:
    books.rows.trash(books.notes[0])
    intents = books.adopt(books.key(books.notes[0]))
    claim = books.claim()
    assert [task.deletes for task in claim.tasks] == [False]
    books.ledger.confirm_purge(claim.claim_id, claim.tasks, ())
    assert books.trashed() == {books.notes[0]: TrashRowState.TRASHED}
    books.setup.commit(intents)
    books.rows.make_due()
    claim = books.claim()
    books.ledger.confirm_purge(claim.claim_id, claim.tasks, ())
    assert books.trashed() == {}
    assert books.rows.count(books.rows.tables.deletion_log) == 0


def test_what_is_being_deleted_cannot_be_adopted(books: Bookkeeping) -> None:
    books.rows.trash(books.notes[0])
    key = books.key(books.notes[0])
    claim = books.claim()
    with pytest.raises(TrashClaimedError, match="is being deleted; ingest the file when that is done"):
        books.adopt(key)
    books.ledger.confirm_purge(claim.claim_id, (), [PurgeFailure(claim.tasks[0], "busy")])
    with pytest.raises(TrashClaimedError, match="is being deleted"):
        books.adopt(key)
    books.rows.make_due()
    claim = books.claim()
    books.ledger.confirm_purge(claim.claim_id, claim.tasks, ())
    books.adopt(key)


def test_a_dataset_with_artifacts_in_the_trash_is_not_put_anew(books: Bookkeeping) -> None:
    books.rows.trash(books.notes[0])
    with pytest.raises(ConflictingDefinitionError, match="has artifacts in the trash; restore it, empty"):
        books.setup.begin("note", RUN, DETECTORS[:1], ids=books.notes[:1])
    claim = books.claim()
    books.ledger.confirm_purge(claim.claim_id, claim.tasks, ())
    books.setup.begin("note", RUN, DETECTORS[:1], ids=books.notes[:1])


def test_eight_at_once_claim_everything_once(books: Bookkeeping) -> None:
    books.rows.share(*books.notes[:2])
    books.rows.trash(*books.notes)

    def empty() -> list[PurgeTask]:
        deleted: list[PurgeTask] = []
        while (claim := books.claim(limit=1)).tasks:
            deleted += [task for task in claim.tasks if task.deletes]
            books.ledger.confirm_purge(claim.claim_id, claim.tasks, ())
        return deleted

    deleted = [task.key for tasks in at_once(*[empty] * 8) for task in tasks] + [t.key for t in empty()]
    assert sorted(deleted) == sorted({*deleted})
    assert len(deleted) == 3
    assert books.trashed() == {}


def test_a_put_whose_lease_has_ended_is_claimed_and_cannot_be_committed(books: Bookkeeping) -> None:
    (intent,) = intents = books.setup.begin("note", "run2", DETECTORS[:1])
    assert books.ledger.claim_intents(limit=10, lease_seconds=60, guard_seconds=0) == []
    books.rows.make_due()
    (claimed,) = books.ledger.claim_intents(limit=10, lease_seconds=60, guard_seconds=0)
    assert claimed.dataset_id == intent.dataset_id
    assert claimed.places == tuple((grant.store, grant.key) for grant in intent.grants)
    with pytest.raises(IntentError, match="was given up"):
        books.setup.commit(intents)
    assert books.ledger.claim_intents(limit=10, lease_seconds=60, guard_seconds=0) == []
    books.ledger.finish_intents([intent.dataset_id])
    assert books.rows.count(books.rows.tables.put_intent) == 0
    (line,) = books.rows.all(books.rows.tables.deletion_log)
    assert (line.reason, line.key) == (DeletionReason.REAPED, intent.grants[0].key)


def test_the_guard_keeps_a_put_from_being_claimed_too_early(books: Bookkeeping) -> None:
    books.setup.begin("note", "run2", DETECTORS[:1], lease_seconds=1)
    time.sleep(1.1)
    assert books.ledger.claim_intents(limit=10, lease_seconds=60, guard_seconds=60) == []
    assert len(books.ledger.claim_intents(limit=10, lease_seconds=60, guard_seconds=0)) == 1


def test_a_put_whose_client_died_while_it_gave_up_is_claimed(books: Bookkeeping) -> None:
    intents = books.setup.begin("note", "run2", DETECTORS[:1])
    books.setup.registry.puts.abort([intents[0].dataset_id], request_id=uuid.uuid4())
    books.rows.make_due()
    assert len(books.ledger.claim_intents(limit=10, lease_seconds=1, guard_seconds=0)) == 1
    # Nor does it matter if the one who claimed it dies.
    books.rows.make_due()
    assert len(books.ledger.claim_intents(limit=10, lease_seconds=60, guard_seconds=0)) == 1


def test_what_a_put_was_to_adopt_is_not_discarded(books: Bookkeeping) -> None:
    books.adopt("somewhere/a.json")
    books.rows.make_due()
    (claimed,) = books.ledger.claim_intents(limit=10, lease_seconds=60, guard_seconds=0)
    assert claimed.places == ()


def test_a_commit_that_is_late_loses_against_the_claim_and_the_other_way_round(books: Bookkeeping) -> None:
    intents = books.setup.begin("note", "run2", DETECTORS[:1])
    books.setup.commit(intents)
    books.rows.make_due()
    assert books.ledger.claim_intents(limit=10, lease_seconds=60, guard_seconds=0) == []
    books.ledger.finish_intents([intents[0].dataset_id])
    assert books.setup.find("note", DETECTORS[0], "run2") is not None


def test_all_that_is_known_comes_by_key_whatever_the_pages(books: Bookkeeping) -> None:
    books.rows.share(*books.notes[:2])
    books.rows.trash(books.notes[3])
    (intent,) = books.setup.begin("note", "run2", DETECTORS[:1])
    for limit in (1, 2, 100):
        found, after = [], ""
        while page := books.ledger.known("main", after=after, limit=limit):
            found += page
            after = page[-1].key
        assert [artifact.key for artifact in found] == sorted(artifact.key for artifact in found)
        assert {(artifact.dataset_id, artifact.ownership) for artifact in found} == {
            *((dataset_id, Ownership.LIVE) for dataset_id in books.notes[:3]),
            (books.notes[3], Ownership.TRASHED),
            (intent.dataset_id, Ownership.INTENDED),
        }
        assert len(found) == 5
    assert books.ledger.known("other") == []


def test_what_nobody_asks_for_any_more_ages_out(books: Bookkeeping) -> None:
    tables = books.rows.tables
    books.rows.trash(books.notes[0])
    claim = books.claim()
    books.ledger.confirm_purge(claim.claim_id, claim.tasks, ())
    assert not any(books.ledger.age_out(request_seconds=86_400, log_seconds=3_600).values())
    for table in (tables.deletion_log, tables.outbox, tables.request_log):
        books.rows.age(table, 86_401)
    gone = books.ledger.age_out(request_seconds=86_400, log_seconds=86_400)
    assert gone["deletion_log"] == 1
    assert gone["outbox"] >= 1
    assert books.rows.count(tables.outbox) == 0
    with pytest.raises(InvalidRequestError, match="at least 86400 seconds"):
        books.ledger.age_out(request_seconds=3_600, log_seconds=86_400)


def test_a_claim_has_limits(books: Bookkeeping) -> None:
    for limit, lease in ((0, 60), (10_001, 60), (1, 0), (1, 86_401)):
        with pytest.raises(InvalidRequestError, match="A claim is for"):
            books.claim(limit=limit, lease=lease)
    with pytest.raises(InvalidRequestError, match="A guard lasts"):
        books.ledger.claim_intents(limit=1, lease_seconds=1, guard_seconds=-1)
    with pytest.raises(InvalidRequestError, match="A limit is"):
        books.ledger.known("main", limit=0)


def test_the_ledgers_are_those_of_the_repositories(books: Bookkeeping) -> None:
    assert books.setup.repository in books.ledgers.names()
    with pytest.raises(RepositoryNotFoundError, match="nowhere"):
        books.ledgers.ledger("nowhere").count_due(EVERYTHING)
