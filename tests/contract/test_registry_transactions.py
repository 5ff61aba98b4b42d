# SPDX-License-Identifier: BSD-3-Clause
"""Transactions of the registry: their ends, their limits, and what their puts leave; over every implementation."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace

import pytest

from butler_model.collection import Collection, CollectionType
from butler_model.errors import (
    ConflictingDefinitionError,
    DataIdValueError,
    IntentError,
    MissingCollectionError,
    OverloadedError,
    TransactionError,
)
from tests.support.notes import begin_transaction, note, run_of_test  # noqa: F401 - fixture
from tests.support.registries import (  # noqa: F401 - fixtures
    LIMITS,
    REGISTRIES,
    RegistryHome,
    RegistrySetup,
    new_database,
    registry_home,
    registry_home_of_module,
    registry_of_module,
    second_client,
)

IDLE_SECONDS, LONGEST_SECONDS = 1, 3


@pytest.fixture(scope="module", params=REGISTRIES)
def impatient_home(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RegistryHome]:
    """Give a deployment whose transactions are few and short."""
    limits = replace(
        LIMITS,
        transactions=2,
        transaction_idle_seconds=IDLE_SECONDS,
        transaction_seconds=LONGEST_SECONDS,
    )
    with ExitStack() as stack:
        postgresql = new_database(request, stack)
        folder = tmp_path_factory.mktemp("registries")
        yield stack.enter_context(registry_home(request.param, folder, postgresql, limits))


@pytest.fixture
def impatient(impatient_home: RegistryHome) -> RegistrySetup:
    setup = impatient_home.fresh()
    setup.register_type("note", ("instrument", "detector"))
    setup.register_run("run")
    return setup


def is_on_postgresql(home: RegistryHome) -> bool:
    return home.database.startswith("postgresql")


def test_the_outcome_of_a_transaction_can_be_asked_for(shared: RegistrySetup, run: str) -> None:
    transactions = shared.registry.transactions
    committed, within = begin_transaction(shared)
    within.put("note", run, note(1))
    committed.commit()
    undone, within = begin_transaction(shared)
    within.put("note", run, note(2))
    undone.rollback()
    assert transactions.was_committed(committed.id)
    assert transactions.was_committed(committed.id)
    assert not transactions.was_committed(undone.id)
    assert shared.find("note", note(1), run)
    assert not shared.find("note", note(2), run)


def test_who_was_told_that_a_transaction_was_not_committed_can_rely_on_it(
    shared: RegistrySetup, run: str
) -> None:
    transaction_id = uuid.uuid4()
    assert not shared.registry.transactions.was_committed(transaction_id)
    transaction, within = begin_transaction(shared, transaction_id)
    within.put("note", run, note(1))
    with pytest.raises(TransactionError, match="over"):
        transaction.commit()
    assert not shared.find("note", note(1), run)


def test_an_id_stands_for_one_transaction(shared: RegistrySetup, run: str) -> None:
    transaction, _ = begin_transaction(shared)
    transaction.commit()
    again, within = begin_transaction(shared, transaction.id)
    within.put("note", run, note(1))
    with pytest.raises(TransactionError):
        again.commit()
    assert not shared.find("note", note(1), run)


def test_puts_of_a_transaction_that_was_rolled_back_are_taken_back_as_others_are(
    shared: RegistrySetup, run: str
) -> None:
    transaction, within = begin_transaction(shared)
    ids = within.put("note", run, note(1), note(2))
    begun = within.begin("note", run, [note(3)])[0]
    assert sorted(transaction.rollback()) == sorted([*ids, begun.dataset_id])
    with pytest.raises(IntentError):
        shared.commit([begun])
    undone = transaction.rollback()
    assert len(shared.registry.puts.abort(undone, request_id=uuid.uuid4())) == 3
    shared.registry.puts.finish_abort(undone, request_id=uuid.uuid4())
    assert shared.registry.puts.abort(undone, request_id=uuid.uuid4()) == []
    assert len(shared.put("note", run, note(1), note(3))) == 2


def test_a_savepoint_gives_up_only_what_followed_it(shared: RegistrySetup, run: str) -> None:
    transaction, within = begin_transaction(shared)
    within.put("note", run, note(1))
    transaction.savepoint()
    undone = within.put("note", run, note(2))
    within.register_run(f"{run}-inner")
    assert transaction.depth == 1
    assert transaction.rollback_to() == undone
    assert transaction.depth == 0
    assert len(within.registry.puts.abort(undone, request_id=uuid.uuid4())) == 1
    within.registry.puts.finish_abort(undone, request_id=uuid.uuid4())
    with pytest.raises(MissingCollectionError):
        within.registry.collections.get(f"{run}-inner")
    # Under the revision that was undone, there is something else now.
    within.register_run(f"{run}-other")
    with pytest.raises(MissingCollectionError):
        within.registry.collections.get(f"{run}-inner")
    transaction.savepoint()
    within.put("note", f"{run}-other", note(3))
    transaction.release()
    transaction.commit()
    assert shared.find("note", note(1), run)
    assert not shared.find("note", note(2), run)
    assert shared.find("note", note(3), f"{run}-other")


def test_a_savepoint_that_is_not_there_is_an_error_and_the_transaction_goes_on(
    shared: RegistrySetup, run: str
) -> None:
    transaction, within = begin_transaction(shared)
    for step in (transaction.release, transaction.rollback_to):
        with pytest.raises(TransactionError, match="no savepoint"):
            step()
    within.put("note", run, note(1))
    transaction.commit()
    assert shared.find("note", note(1), run)


def test_a_call_that_fails_leaves_the_transaction_whole(shared: RegistrySetup, run: str) -> None:
    # D27
    shared.put("note", run, note(4))
    transaction, within = begin_transaction(shared)
    within.put("note", run, note(1))
    intents = within.begin("note", run, [note(2)])
    with pytest.raises(ConflictingDefinitionError):
        within.put("note", run, note(4))
    with pytest.raises(DataIdValueError):
        within.put("note", run, note(77))
    with pytest.raises(ConflictingDefinitionError):
        within.registry.collections.register(Collection(run, CollectionType.TAGGED), request_id=uuid.uuid4())
    within.commit(intents)
    transaction.commit()
    assert all(shared.find("note", note(n), run) for n in (1, 2, 4))


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_nothing_can_be_done_after_the_end(shared: RegistrySetup, run: str, end: str) -> None:
    transaction, within = begin_transaction(shared)
    getattr(transaction, end)()
    calls: list[Callable[[], object]] = [
        lambda: within.put("note", run, note(1)),
        lambda: within.find("note", note(1), run),
        lambda: within.registry.collections.get(run),
        transaction.check,
        transaction.savepoint,
        transaction.commit,
    ]
    for call in calls:
        with pytest.raises(TransactionError):
            call()
    assert transaction.rollback() == []


def test_intents_outlive_a_transaction_where_the_database_can_do_that(
    home: RegistryHome, shared: RegistrySetup, run: str
) -> None:
    if not is_on_postgresql(home):
        pytest.skip("SQLite has one writer, the transaction.")
    transaction, within = begin_transaction(shared)
    within.register_run(f"{run}-new")
    intents = within.begin("note", f"{run}-new", [note(1)])
    with second_client(home, shared) as other:
        # Nobody can see the run, but whoever cleans up sees the intent.
        with pytest.raises(MissingCollectionError):
            other.collections.get(f"{run}-new")
        assert len(other.puts.abort([intents[0].dataset_id], request_id=uuid.uuid4())) == 1
    with pytest.raises(IntentError, match="given up"):
        within.commit(intents)
    transaction.rollback()


def test_of_two_transactions_that_put_the_same_the_second_waits_and_loses(
    home: RegistryHome, shared: RegistrySetup, run: str
) -> None:
    if not is_on_postgresql(home):
        pytest.skip("On SQLite the second cannot begin.")
    first, within_first = begin_transaction(shared)
    second, within_second = begin_transaction(shared)
    within_first.put("note", run, note(1))
    with ThreadPoolExecutor(1) as pool:
        losing = pool.submit(within_second.put, "note", run, note(1))
        time.sleep(0.3)
        assert not losing.done()
        first.commit()
        with pytest.raises(ConflictingDefinitionError):
            losing.result()
    within_second.put("note", run, note(2))
    second.commit()
    assert shared.find("note", note(1), run)
    assert shared.find("note", note(2), run)


def test_one_that_nobody_uses_is_rolled_back(impatient: RegistrySetup) -> None:
    transaction, within = begin_transaction(impatient)
    within.put("note", "run", note(1))
    time.sleep(IDLE_SECONDS + 1.2)
    with pytest.raises(TransactionError, match="nothing came for 1 s"):
        within.find("note", note(1), "run")
    with pytest.raises(TransactionError, match="nothing came for 1 s"):
        transaction.commit()
    assert len(transaction.rollback()) == 1
    assert not impatient.find("note", note(1), "run")


def test_a_put_that_is_under_way_is_use(impatient: RegistrySetup) -> None:
    transaction, within = begin_transaction(impatient)
    intents = within.begin("note", "run", [note(1)])
    time.sleep(IDLE_SECONDS + 0.6)
    within.commit(intents)
    transaction.commit()
    assert impatient.find("note", note(1), "run")


def test_one_that_lasts_too_long_is_rolled_back(impatient: RegistrySetup) -> None:
    transaction, within = begin_transaction(impatient)
    within.put("note", "run", note(1))
    began = time.monotonic()

    def use_it_for_ever() -> None:
        for _ in itertools.repeat(None):
            within.registry.collections.get("run")
            time.sleep(0.1)

    with pytest.raises(TransactionError, match="lasted longer than 3 s"):
        use_it_for_ever()
    assert time.monotonic() - began < LONGEST_SECONDS + 2
    assert transaction.rollback()
    assert not impatient.find("note", note(1), "run")


def test_only_so_many_are_open_at_once(impatient_home: RegistryHome, impatient: RegistrySetup) -> None:
    room = impatient.registry.info.limits.transactions
    assert room == 2
    if not is_on_postgresql(impatient_home):
        pytest.skip("On SQLite the second cannot begin.")
    held = [begin_transaction(impatient)[0] for _ in range(room)]
    with pytest.raises(OverloadedError, match="2 transactions are open already"):
        begin_transaction(impatient)
    # Whatever way one ends, it makes room.
    held[0].rollback()
    begin_transaction(impatient)[0].commit()
    begin_transaction(impatient)
    time.sleep(IDLE_SECONDS + 1.2)
    for _ in range(room):
        begin_transaction(impatient)[0].rollback()


def test_a_transaction_begins_quickly(shared: RegistrySetup) -> None:
    def seconds() -> float:
        began = time.perf_counter()
        transaction, _ = begin_transaction(shared)
        taken = time.perf_counter() - began
        transaction.rollback()
        return taken

    # A few milliseconds; the rest is for a machine that is busy with something else.
    assert min(seconds() for _ in range(20)) < 0.05
