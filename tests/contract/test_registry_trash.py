# SPDX-License-Identifier: BSD-3-Clause
"""The trash of a registry: what it tells, and what can be taken out of it again."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest

from butler_model.collection import CollectionType
from butler_model.errors import (
    ConflictingDefinitionError,
    InvalidPageTokenError,
    InvalidRequestError,
    LimitExceededError,
    MissingDatasetTypeError,
    TrashClaimedError,
)
from butler_model.ports import (
    ArtifactLedger,
    BeginPut,
    DatasetEventKind,
    Placing,
    PruneDatasets,
    PutBatch,
    RemoveRun,
)
from butler_model.trash import PurgeFailure, TrashedArtifact, TrashSelection, TrashState
from butler_registry.application import RegistryApplication
from tests.support.notes import begin_transaction
from tests.support.registries import (  # noqa: F401 - fixtures
    LAYOUT,
    LIMITS,
    RegistryHome,
    RegistrySetup,
    register_types,
    registry_home_of_module,
    registry_of_test,
)

NOTES = [{"instrument": "Cam1", "detector": d} for d in (1, 2, 3, 4)]
ALL = TrashSelection()


@pytest.fixture(name="filled")
def setup_with_runs(setup: RegistrySetup) -> RegistrySetup:
    """Give a repository with the runs ``run`` and ``other``."""
    register_types(setup)
    setup.register_run("run")
    setup.register_run("other")
    return setup


def trash(setup: RegistrySetup, ids: Sequence[UUID], *, purge: bool = True) -> UUID:
    """Move the artifacts of datasets to the trash; return the id of that."""
    request = PruneDatasets(uuid.uuid4(), tuple(ids), unstore=True, purge=purge)
    return setup.registry.removals.prune(request).trash_id


def undelete(setup: RegistrySetup, request_id: UUID | None = None, **selection: Any) -> int:
    return setup.registry.trash.undelete(TrashSelection(**selection), request_id=request_id or uuid.uuid4())


def listed(
    setup: RegistrySetup, selection: TrashSelection = ALL, page_size: int = 0
) -> list[TrashedArtifact]:
    page = setup.registry.trash.entries(selection, page_size=page_size)
    found = list(page.artifacts)
    while page.next_page_token:
        page = setup.registry.trash.entries(selection, page_size=page_size, page_token=page.next_page_token)
        found += page.artifacts
    return found


def stored(setup: RegistrySetup, ids: Sequence[UUID]) -> list[bool]:
    got = setup.registry.datasets.get(ids, want_artifacts=True)
    return [each is not None and bool(each.artifacts) for each in got]


@contextmanager
def ledger_of(home: RegistryHome, setup: RegistrySetup) -> Iterator[ArtifactLedger]:
    """Give what a datastore sees of the registry."""
    application = RegistryApplication(home.database, home.signer, limits=LIMITS)
    try:
        yield application.ledger(setup.repository)
    finally:
        application.close()


def test_the_trash_is_listed_in_pages_in_the_order_of_datasets(filled: RegistrySetup) -> None:
    notes, others = filled.put("note", "run", *NOTES), filled.put("note", "other", *NOTES)
    trash(filled, notes)
    trash(filled, others)
    for size in (1, 3, 8, 0):
        found = [each.record.dataset_id for each in listed(filled, page_size=size)]
        assert found == sorted([*notes, *others])
    assert filled.registry.trash.count(ALL) == {"trashed": 8}


def test_a_selection_restricts_what_is_listed_and_counted(filled: RegistrySetup) -> None:
    notes, others = filled.put("note", "run", *NOTES), filled.put("note", "other", *NOTES)
    first, second = trash(filled, notes), trash(filled, others)
    chosen = [
        (TrashSelection(trash_ids=(first,)), notes),
        (TrashSelection(trash_ids=(first, second)), [*notes, *others]),
        (TrashSelection(dataset_ids=(notes[0], others[1])), [notes[0], others[1]]),
        (TrashSelection(trash_ids=(first,), dataset_ids=(notes[0], others[1])), [notes[0]]),
        (TrashSelection(stores=("main",), states=frozenset({TrashState.TRASHED})), [*notes, *others]),
        (TrashSelection(stores=("elsewhere",)), []),
        (TrashSelection(states=frozenset({TrashState.PURGING, TrashState.FAILED})), []),
        (TrashSelection(trash_ids=(uuid.uuid4(),)), []),
    ]
    for selection, expected in chosen:
        assert [each.record.dataset_id for each in listed(filled, selection)] == sorted(expected)
        assert sum(filled.registry.trash.count(selection).values()) == len(expected)


def test_malformed_questions_about_the_trash_are_refused(filled: RegistrySetup) -> None:
    trash(filled, filled.put("note", "run", *NOTES))
    page = filled.registry.trash.entries(ALL, page_size=1)
    with pytest.raises(InvalidPageTokenError):
        filled.registry.trash.entries(TrashSelection(stores=("main",)), page_token=page.next_page_token)
    with pytest.raises(InvalidRequestError):
        filled.registry.trash.entries(ALL, page_size=-1)
    too_many = TrashSelection(dataset_ids=tuple(uuid.uuid4() for _ in range(LIMITS.batch_items + 1)))
    with pytest.raises(LimitExceededError):
        filled.registry.trash.entries(too_many)
    with pytest.raises(LimitExceededError):
        filled.registry.trash.count(too_many)


def test_a_purged_dataset_is_restored_as_it_was(filled: RegistrySetup) -> None:
    notes = filled.put("note", "run", *NOTES)
    filled.register("tag", CollectionType.TAGGED)
    filled.associate("tag", notes[0])
    before = filled.registry.datasets.get(notes, want_artifacts=True)
    trash_id = trash(filled, notes[:2])
    assert undelete(filled, trash_ids=(trash_id,)) == 2
    after = filled.registry.datasets.get(notes, want_artifacts=True)
    assert [each and (each.ref, [a.record for a in each.artifacts]) for each in after] == [
        each and (each.ref, [a.record for a in each.artifacts]) for each in before
    ]
    found = filled.find("note", NOTES[0], "run")
    assert found is not None
    assert found.ref.id == notes[0]
    assert filled.find("note", NOTES[0], "tag") is None
    assert listed(filled) == []


def test_what_is_restored_appears_to_those_who_watch(filled: RegistrySetup) -> None:
    (note,) = filled.put("note", "run", NOTES[0])
    trash_id = trash(filled, [note])
    position = filled.registry.events.position()
    undelete(filled, trash_ids=(trash_id,))
    event = next(event for event in filled.registry.events.watch(position) if event is not None)
    assert (event.kind, event.dataset_ids) == (DatasetEventKind.APPEARED, (note,))


def test_artifacts_of_a_dataset_that_stayed_are_restored(filled: RegistrySetup) -> None:
    notes = filled.put("note", "run", *NOTES)
    trash(filled, notes, purge=False)
    assert undelete(filled, dataset_ids=tuple(notes[1:3])) == 2
    assert stored(filled, notes) == [False, True, True, False]
    assert len(listed(filled)) == 2


def test_all_components_of_a_dataset_are_restored(filled: RegistrySetup) -> None:
    parts = tuple(
        type(LAYOUT)(LAYOUT.formatter, LAYOUT.extension, LAYOUT.storage_class, name) for name in ("a", "b")
    )
    intents = filled.begin("note", "run", NOTES[:1], artifacts=parts)
    filled.commit(intents)
    trash_id = trash(filled, [intents[0].dataset_id])
    assert undelete(filled, trash_ids=(trash_id,)) == 2


def test_a_run_that_is_gone_is_registered_again_and_its_summary_is_right(filled: RegistrySetup) -> None:
    notes = filled.put("note", "run", *NOTES)
    removed = filled.registry.removals.remove_run(RemoveRun(uuid.uuid4(), "run"))
    revision = filled.registry.info.revision
    assert undelete(filled, trash_ids=(removed.trash_id,)) == 4
    assert filled.registry.collections.get("run").type is CollectionType.RUN
    assert filled.registry.collections.summaries(["run"])[0].dataset_types == ("note",)
    assert filled.registry.revision > revision
    assert stored(filled, notes) == [True] * 4


def test_a_dataset_whose_data_id_is_taken_again_is_not_restored_nor_any_with_it(
    filled: RegistrySetup,
) -> None:
    notes = filled.put("note", "run", *NOTES)
    trash_id = trash(filled, notes)
    (newer,) = filled.put("note", "run", NOTES[3])
    with pytest.raises(ConflictingDefinitionError, match="'note'"):
        undelete(filled, trash_ids=(trash_id,))
    assert stored(filled, [*notes, newer]) == [False] * 4 + [True]
    assert len(listed(filled)) == 4
    assert undelete(filled, dataset_ids=tuple(notes[:3])) == 3


def test_a_dataset_whose_type_or_run_became_something_else_is_not_restored(filled: RegistrySetup) -> None:
    notes = filled.put("note", "run", *NOTES)
    removed = filled.registry.removals.remove_run(RemoveRun(uuid.uuid4(), "run"))
    filled.register("run", CollectionType.TAGGED)
    with pytest.raises(ConflictingDefinitionError, match="'run' was a RUN"):
        undelete(filled, trash_ids=(removed.trash_id,))
    filled.registry.collections.remove("run", request_id=uuid.uuid4())
    filled.registry.dataset_types.remove(["note"], request_id=uuid.uuid4())
    with pytest.raises(MissingDatasetTypeError, match="note"):
        undelete(filled, trash_ids=(removed.trash_id,))
    filled.register_type("note", ("instrument", "physical_filter"))
    with pytest.raises(ConflictingDefinitionError, match="other dimensions"):
        undelete(filled, trash_ids=(removed.trash_id,))
    assert len(listed(filled)) == len(notes)


def test_a_repeated_undelete_gets_the_same_answer(filled: RegistrySetup) -> None:
    # D79
    notes = filled.put("note", "run", *NOTES)
    trash_id, request_id = trash(filled, notes), uuid.uuid4()
    assert undelete(filled, request_id, trash_ids=(trash_id,)) == 4
    trash(filled, notes[:1])
    assert undelete(filled, request_id, trash_ids=(trash_id,)) == 4
    assert stored(filled, notes) == [False, True, True, True]
    with pytest.raises(InvalidRequestError, match="belongs to another request"):
        undelete(filled, request_id, dataset_ids=(notes[0],))


def test_nothing_selected_is_nothing_restored(filled: RegistrySetup) -> None:
    assert undelete(filled, trash_ids=(uuid.uuid4(),)) == 0


def test_what_a_purge_has_claimed_or_failed_to_delete_is_not_restored(
    home: RegistryHome, filled: RegistrySetup
) -> None:
    notes = filled.put("note", "run", *NOTES)
    trash_id = trash(filled, notes)
    with ledger_of(home, filled) as ledger:
        claim = ledger.claim_trash(
            TrashSelection(dataset_ids=(notes[0],)), claim_id=uuid.uuid4(), limit=10, lease_seconds=600
        )
        assert filled.registry.trash.count(ALL) == {"purging": 1, "trashed": 3}
        with pytest.raises(TrashClaimedError, match=str(notes[0])):
            undelete(filled, trash_ids=(trash_id,))
        ledger.confirm_purge(claim.claim_id, [], [PurgeFailure(claim.tasks[0], "no permission")])
    (failed,) = listed(filled, TrashSelection(states=frozenset({TrashState.FAILED})))
    assert (failed.record.dataset_id, failed.attempts, failed.last_error) == (notes[0], 1, "no permission")
    assert failed.due_nsec > failed.trashed_nsec
    with pytest.raises(TrashClaimedError):
        undelete(filled, trash_ids=(trash_id,))
    assert undelete(filled, dataset_ids=tuple(notes[1:])) == 3


def test_what_shares_an_artifact_that_is_being_deleted_is_not_restored(
    home: RegistryHome, filled: RegistrySetup
) -> None:
    # D19
    ids = [uuid.uuid4(), uuid.uuid4()]
    batch = PutBatch(
        "note", LAYOUT.storage_class, NOTES[:2], ids, (LAYOUT,), (2,), Placing.IN_STORE, ("shared.json",)
    )
    intents = filled.registry.puts.begin(BeginPut(uuid.uuid4(), "run", (batch,)))
    filled.commit(intents, filled.receipts(intents)[:1])
    trash(filled, ids)
    with ledger_of(home, filled) as ledger:
        claim = ledger.claim_trash(
            TrashSelection(dataset_ids=(ids[0],)), claim_id=uuid.uuid4(), limit=10, lease_seconds=600
        )
    assert len(claim.tasks) == 1
    with pytest.raises(TrashClaimedError, match=str(ids[1])):
        undelete(filled, dataset_ids=(ids[1],))


# ---- within transactions


@pytest.mark.timeout(15)  # it used to wait for itself, until the database gave up after 20 s
def test_a_transaction_that_restored_adopts_what_is_stored(filled: RegistrySetup) -> None:
    pruned = filled.put("note", "run", NOTES[0])
    request_id = trash(filled, pruned)
    transaction, within = begin_transaction(filled)
    assert undelete(within, trash_ids=(request_id,)) == 1
    ids = (uuid.uuid4(),)
    batch = PutBatch(
        "note", LAYOUT.storage_class, NOTES[1:2], ids, (LAYOUT,), (), Placing.IN_STORE, ("a.json",)
    )
    within.commit(within.registry.puts.begin(BeginPut(uuid.uuid4(), "other", (batch,), 600)))
    transaction.commit()
    assert stored(filled, [*pruned, *ids]) == [True, True]


@pytest.mark.timeout(15)
def test_a_transaction_does_not_use_the_id_of_what_it_trashed_again(filled: RegistrySetup) -> None:
    transaction, within = begin_transaction(filled)
    pruned = within.put("note", "run", NOTES[0])
    trash(within, pruned)
    batch = PutBatch("note", LAYOUT.storage_class, NOTES[1:2], pruned, (LAYOUT,))
    with pytest.raises(ConflictingDefinitionError, match="in the trash"):
        within.registry.puts.begin(BeginPut(uuid.uuid4(), "run", (batch,), 600))
    transaction.rollback()
