# SPDX-License-Identifier: BSD-3-Clause
"""What a registry does for one caller while another changes what both use; over every implementation."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from butler_model.collection import CollectionType
from butler_model.dataset import new_dataset_id
from butler_model.errors import (
    ConflictingDefinitionError,
    DataIdValueError,
    IntentError,
    MissingCollectionError,
    OrphanedRecordError,
)
from butler_model.ports import PruneDatasets
from butler_model.trash import TrashSelection
from tests.support.notes import NEW_NAMES, begin_transaction, note, run_of_test  # noqa: F401 - fixture
from tests.support.registries import (  # noqa: F401 - fixtures
    RegistryHome,
    RegistrySetup,
    at_once,
    night,
    registry_home_of_module,
    registry_of_module,
    registry_of_test,
    second_client,
)


@pytest.fixture
def many_writers(home: RegistryHome) -> None:
    if not home.database.startswith("postgresql"):
        pytest.skip("SQLite has one writer.")


def remove(setup: RegistrySetup, collection: str) -> None:
    setup.registry.collections.remove(collection, request_id=uuid.uuid4())


def prune(setup: RegistrySetup, *ids: uuid.UUID) -> None:
    setup.registry.removals.prune(PruneDatasets(uuid.uuid4(), ids, unstore=True, purge=True))


def outcome_beside(end: Callable[[], Any], call: Callable[[], Any], seconds: float = 0.5) -> Any:
    """Return what a call returns, or what it raises, that waits for a transaction until ``end`` ends it."""
    outcomes: list[Any] = []

    def run() -> None:
        try:
            outcomes.append(call())
        except Exception as error:  # noqa: BLE001 - the test judges it
            outcomes.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(seconds)
    end()
    thread.join()
    return outcomes[0]


# ---- puts


@pytest.mark.usefixtures("many_writers")
def test_a_commit_that_waits_until_its_lease_is_over_is_not_said_to_be_done(
    shared: RegistrySetup, run: str
) -> None:
    transaction, within = begin_transaction(shared)
    within.put("note", run, note(1))
    intents = shared.begin("note", run, [note(2)], lease_seconds=1)
    outcome = outcome_beside(transaction.rollback, lambda: shared.commit(intents), 1.5)
    assert isinstance(outcome, IntentError), outcome
    assert "run out" in str(outcome)
    assert shared.find("note", note(2), run) is None


@pytest.mark.usefixtures("many_writers")
@pytest.mark.parametrize("was_used", [False, True])
@pytest.mark.parametrize("datasets", [1, 2])
def test_a_put_into_a_run_that_is_being_removed_is_told_that_it_is_gone(
    shared: RegistrySetup, run: str, datasets: int, was_used: bool
) -> None:
    if was_used:
        prune(shared, *shared.put("note", run, note(1)))
    transaction, within = begin_transaction(shared)
    remove(within, run)
    intents = shared.begin("note", run, [note(d + 1) for d in range(datasets)])
    outcome = outcome_beside(transaction.commit, lambda: shared.commit(intents))
    assert type(outcome) is MissingCollectionError, outcome


@pytest.mark.usefixtures("many_writers")
@pytest.mark.parametrize("datasets", [1, 2])
def test_a_put_of_a_type_that_is_removed_when_it_begins_is_told_that_it_is_gone(
    setup: RegistrySetup, datasets: int
) -> None:
    setup.register_type("note", ("instrument", "detector"))
    run = setup.register_run("run")
    setup.registry.dataset_types.get("note")
    transaction, within = begin_transaction(setup)
    within.registry.dataset_types.remove(["note"], request_id=uuid.uuid4())
    intents = setup.begin("note", run, [note(d + 1) for d in range(datasets)])
    transaction.commit()
    setup.registry.collections.get(run)
    with pytest.raises(IntentError, match="type of a put is gone"):
        setup.commit(intents)


def test_a_type_is_not_removed_at_the_moment_in_which_a_put_of_it_is_committed(
    setup: RegistrySetup,
) -> None:
    run = setup.register_run("run")
    for turn in range(25):
        name = f"note{turn}"
        setup.register_type(name, ("instrument", "detector"))
        prune(setup, *setup.put(name, run, note(1)))
        intents = setup.begin(name, run, [note(1), note(2)])

        def remove_type() -> list[str]:
            # There is an intent, then a dataset, and never neither.
            return setup.registry.dataset_types.remove([name], request_id=uuid.uuid4())  # noqa: B023

        outcomes = at_once(lambda: setup.commit(intents), *[remove_type] * 3)  # noqa: B023
        assert outcomes[0] is None
        assert [type(outcome) for outcome in outcomes[1:]] == [OrphanedRecordError] * 3, outcomes


def test_an_id_is_taken_or_free_while_its_trash_is_emptied(
    home: RegistryHome, shared: RegistrySetup, run: str
) -> None:
    ledger, ids = home.ledgers.ledger(shared.repository), [new_dataset_id(), new_dataset_id()]
    outcomes: list[Any] = []
    for turn in range(40):
        shared.commit(shared.begin("note", run, [note(1), note(2)], ids=ids))
        prune(shared, *ids)
        selection = TrashSelection(dataset_ids=tuple(ids))
        claim = ledger.claim_trash(selection, claim_id=uuid.uuid4(), limit=10, lease_seconds=60)

        def put() -> None:
            time.sleep(turn % 10 / 2000)  # noqa: B023
            shared.begin("note", run, [note(1), note(2)], ids=ids)
            shared.registry.puts.abort(ids, request_id=uuid.uuid4())
            shared.registry.puts.finish_abort(ids, request_id=uuid.uuid4())

        outcome, confirmed = at_once(put, lambda: ledger.confirm_purge(claim.claim_id, claim.tasks, ()))  # noqa: B023
        outcomes += [outcome, confirmed]
    assert {type(outcome) for outcome in outcomes} <= {type(None), ConflictingDefinitionError}, outcomes


# ---- associations


@pytest.mark.usefixtures("many_writers")
@pytest.mark.parametrize("was_used", [False, True])
def test_what_is_tagged_into_a_collection_that_is_being_removed_is_told_that_it_is_gone(
    shared: RegistrySetup, run: str, was_used: bool
) -> None:
    ids = shared.put("note", run, note(1))
    tagged = shared.register(next(NEW_NAMES), CollectionType.TAGGED)
    if was_used:
        shared.associate(tagged, *ids)
        shared.registry.associations.disassociate(tagged, ids, request_id=uuid.uuid4())
    transaction, within = begin_transaction(shared)
    remove(within, tagged)
    outcome = outcome_beside(transaction.commit, lambda: shared.associate(tagged, *ids))
    assert type(outcome) is MissingCollectionError, outcome


@pytest.mark.usefixtures("many_writers")
@pytest.mark.parametrize("was_used", [False, True])
def test_what_is_certified_in_a_collection_that_is_being_removed_is_told_that_it_is_gone(
    shared: RegistrySetup, run: str, was_used: bool
) -> None:
    shared.register_type("bias", ("instrument", "detector"), is_calibration=True)
    ids = shared.put("bias", run, note(1))
    calibs = shared.register(next(NEW_NAMES), CollectionType.CALIBRATION)
    if was_used:
        shared.certify(calibs, night(1), *ids)
    transaction, within = begin_transaction(shared)
    remove(within, calibs)
    outcome = outcome_beside(transaction.commit, lambda: shared.certify(calibs, night(2), *ids))
    assert type(outcome) is MissingCollectionError, outcome


# ---- what was looked for in vain


def test_an_exposure_that_was_missing_is_known_once_another_client_inserts_it(
    home: RegistryHome, setup: RegistrySetup
) -> None:
    setup.register_type("bias", ("instrument", "detector"), is_calibration=True)
    calibs, run = setup.register("calibs", CollectionType.CALIBRATION), setup.register_run("run")
    setup.certify(calibs, night(1), *setup.put("bias", run, note(1)))
    data_id = {**note(1), "exposure": 14}
    with second_client(home, setup) as other:
        there = replace(setup, registry=other)
        with pytest.raises(DataIdValueError, match="exposure: 14"):
            there.find("bias", data_id, calibs)
        common = {"instrument": "Cam1", "day_obs": 20200101, "physical_filter": "Cam1-G", "group": "g1"}
        setup.insert("exposure", {**common, "id": 14, "obs_id": "e14", "timespan": night(1, 0.5, 0.6)})
        assert there.find("bias", data_id, calibs)


def test_a_chain_is_searched_though_another_client_has_removed_what_was_its_member(
    home: RegistryHome, setup: RegistrySetup
) -> None:
    setup.register_type("note", ("instrument", "detector"))
    for run in ("run1", "run2"):
        setup.register_run(run)
    setup.put("note", "run1", note(1))
    setup.chain("chain", "run1", "run2")
    with second_client(home, setup) as other:
        assert other.collections.get("chain").children == ("run1", "run2")
        setup.registry.collections.remove("run2", request_id=uuid.uuid4(), unlink_all=True)
        assert replace(setup, registry=other).find("note", note(1), "chain")


# ---- definitions


def test_what_is_registered_and_removed_again_and_again_is_there_or_not(setup: RegistrySetup) -> None:
    def register() -> None:
        for _ in range(20):
            setup.register_run("run")
            setup.register_type("kind", ("instrument",))

    def remove_both() -> None:
        for _ in range(30):
            with suppress(MissingCollectionError):
                remove(setup, "run")
            setup.registry.dataset_types.remove(["kind"], request_id=uuid.uuid4())

    assert at_once(register, remove_both, register, remove_both, register) == [None] * 5


def test_tables_of_new_dimensions_are_made_while_others_edit_and_remove_collections(
    setup: RegistrySetup,
) -> None:
    setup.register_run("run")
    groups = [
        ("instrument", "detector"),
        ("instrument", "physical_filter"),
        ("band",),
        ("skymap",),
        ("instrument", "visit"),
        ("instrument", "exposure"),
        ("skymap", "tract"),
        ("skymap", "patch"),
    ]

    def register() -> None:
        for group in groups:
            setup.register_type(f"of_{'_'.join(group)}", group)

    def describe() -> None:
        for i in range(40):
            setup.registry.collections.set_doc("run", str(i), request_id=uuid.uuid4())

    def come_and_go() -> None:
        for _ in range(20):
            setup.register_run("other")
            remove(setup, "other")

    assert at_once(register, describe, come_and_go) == [None] * 3
