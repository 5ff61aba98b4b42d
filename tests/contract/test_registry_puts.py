# SPDX-License-Identifier: BSD-3-Clause
"""What every registry does with puts: intent, receipts, commit, abort; in process or over the wire."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from butler_model.artifact import ArtifactLayout, Operation
from butler_model.dataset import new_dataset_id
from butler_model.errors import (
    AmbiguousDataIdError,
    ConflictingDefinitionError,
    DataIdValueError,
    DatasetTypeMismatchError,
    DimensionNameError,
    GrantError,
    InconsistentDataIdError,
    IntentError,
    InvalidRequestError,
    LimitExceededError,
    MissingCollectionError,
    MissingDatasetTypeError,
)
from butler_model.grants import TokenSigner
from butler_model.ports import BeginPut, PutBatch
from tests.support.notes import NEW_NAMES, note, run_of_test  # noqa: F401 - fixture
from tests.support.registries import (  # noqa: F401 - fixtures
    LAYOUT,
    LIMITS,
    RegistrySetup,
    at_once,
    registry_home_of_module,
    registry_of_module,
)

CAM = {"instrument": "Cam1"}


def abort(shared: RegistrySetup, *ids: uuid.UUID) -> list[bytes]:
    return shared.registry.puts.abort(ids, request_id=uuid.uuid4())


def finish_abort(shared: RegistrySetup, *ids: uuid.UUID) -> None:
    shared.registry.puts.finish_abort(ids, request_id=uuid.uuid4())


def begin_batches(shared: RegistrySetup, run: str, *batches: PutBatch) -> Any:
    return shared.registry.puts.begin(BeginPut(uuid.uuid4(), run, batches))


# ---- what a put is


def test_a_committed_dataset_is_found_with_what_its_receipt_said(shared: RegistrySetup, run: str) -> None:
    (intent,) = shared.begin("note", run, [note(1)])
    shared.commit([intent], shared.receipts([intent], size=123, checksum="sha256:" + "ab" * 32))
    found = shared.find("note", note(1), run, want_artifacts=True)
    assert found is not None
    (artifact,) = found.artifacts
    record = artifact.record
    assert (found.ref.id, found.ref.run, dict(found.ref.dataId)) == (intent.dataset_id, run, note(1))
    assert (record.dataset_id, record.store, record.layout) == (intent.dataset_id, "main", LAYOUT)
    assert (record.size, record.checksum) == (123, "sha256:" + "ab" * 32)
    grant = shared.signer.open_grant(artifact.grant, Operation.READ)
    assert (grant.key, grant.size, grant.checksum) == (record.key, 123, record.checksum)
    assert (grant.repository, grant.dataset_id) == (shared.repository, intent.dataset_id)


def test_what_is_begun_is_not_seen_before_the_commit(shared: RegistrySetup, run: str) -> None:
    (intent,) = shared.begin("note", run, [note(1)])
    assert shared.find("note", note(1), run) is None
    assert shared.registry.datasets.get([intent.dataset_id]) == [None]
    shared.commit([intent])
    assert shared.find("note", note(1), run) is not None


def test_an_intent_has_the_expanded_data_id_and_a_grant_for_each_artifact(
    shared: RegistrySetup, run: str
) -> None:
    layouts = (
        ArtifactLayout("parquet", ".parq", "ArrowTable", "table"),
        ArtifactLayout("json", ".json", "StructuredDataDict", "wcs"),
    )
    (intent,) = shared.begin("calexp", run, [{**CAM, "visit": 2, "detector": 3}], artifacts=layouts)
    assert intent.data_id.full["band"] == "r"
    assert intent.data_id.records["detector"].full_name == "Ba"  # type: ignore[union-attr]
    assert [grant.component for grant in intent.grants] == ["table", "wcs"]
    for given, layout in zip(intent.grants, layouts, strict=True):
        grant = shared.signer.open_grant(given.token, Operation.WRITE)
        assert (grant.key, grant.component, grant.store) == (given.key, layout.component, "main")
        assert grant.dataset_id == intent.dataset_id
        assert given.key.startswith(f"{run}/calexp/{layout.component}/")
        assert given.key.endswith(intent.dataset_id.hex[-12:] + layout.extension)


def test_a_dataset_may_be_put_without_artifacts(shared: RegistrySetup, run: str) -> None:
    (intent,) = shared.begin("note", run, [note(1)], artifacts=())
    shared.commit([intent], [])
    found = shared.find("note", note(1), run, want_artifacts=True)
    assert found is not None
    assert found.artifacts == ()


def test_a_dataset_of_no_dimensions_is_put_once_per_run(shared: RegistrySetup, run: str) -> None:
    (first,) = shared.put("log", run, {})
    with pytest.raises(ConflictingDefinitionError, match=str(first)):
        shared.put("log", run, {})
    other = shared.register_run(next(NEW_NAMES))
    (second,) = shared.put("log", other, {})
    found = shared.find("log", {}, other, run)
    assert found is not None
    assert found.ref.id == second


def test_a_put_of_nothing_is_nothing(shared: RegistrySetup, run: str) -> None:
    assert begin_batches(shared, run) == []
    assert shared.begin("note", run, []) == []
    shared.commit([])
    assert abort(shared) == []
    finish_abort(shared)


def test_several_types_may_be_put_together(shared: RegistrySetup, run: str) -> None:
    ids = [new_dataset_id() for _ in range(3)]
    intents = begin_batches(
        shared,
        run,
        PutBatch("note", LAYOUT.storage_class, [note(1), note(2)], ids[:2], (LAYOUT,)),
        PutBatch("log", LAYOUT.storage_class, [{}], ids[2:], (LAYOUT,)),
    )
    assert [intent.dataset_id for intent in intents] == ids
    shared.commit(intents)
    found = shared.registry.datasets.get(ids)
    assert [each.ref.datasetType.name for each in found if each] == ["note", "note", "log"]


def test_data_ids_of_a_put_are_rewritten_as_those_of_a_search_are(shared: RegistrySetup, run: str) -> None:
    names = [{**CAM, "detector.full_name": "Aa"}, {**CAM, "full_name": "Ab"}, {**CAM, "detector": "Ba"}]
    intents = shared.begin("note", run, names)
    assert [intent.data_id["detector"] for intent in intents] == [1, 2, 3]


# ---- what is refused


@pytest.mark.parametrize(
    ("dataset_type", "data_id", "error", "offender"),
    [
        ("note", note(99), DataIdValueError, "99"),
        ("note", CAM, DimensionNameError, "detector"),
        ("note", {**CAM, "detector": "Zz"}, AmbiguousDataIdError, "Zz"),
        ("calexp", {**CAM, "visit": 2, "detector": 1, "band": "g"}, InconsistentDataIdError, "band"),
        ("no_such_type", note(1), MissingDatasetTypeError, "no_such_type"),
    ],
)
def test_one_wrong_data_id_keeps_the_whole_batch_out(
    shared: RegistrySetup, run: str, dataset_type: str, data_id: dict[str, Any], error: type, offender: str
) -> None:
    good = {**CAM, "visit": 2, "detector": 2} if dataset_type == "calexp" else note(2)
    ids = [new_dataset_id(), new_dataset_id()]
    with pytest.raises(error) as caught:
        shared.begin(dataset_type, run, [good, data_id], ids=ids)
    assert type(caught.value) is error
    assert offender in str(caught.value)
    assert abort(shared, *ids) == []


def test_a_put_can_be_checked_and_placed_without_being_begun(shared: RegistrySetup, run: str) -> None:
    ids = [new_dataset_id(), new_dataset_id()]
    checked = shared.begin("note", run, [note(1), {**CAM, "full_name": "Ab"}], ids=ids, validate_only=True)
    assert [grant.token for intent in checked for grant in intent.grants] == [b"", b""]
    assert abort(shared, *ids) == []
    begun = shared.begin("note", run, [note(1), note(2)], ids=ids)
    places = [
        [(grant.store, grant.key) for intent in put for grant in intent.grants] for put in (checked, begun)
    ]
    assert places[0] == places[1]
    assert [intent.data_id for intent in checked] == [intent.data_id for intent in begun]
    shared.commit(begun)
    with pytest.raises(ConflictingDefinitionError, match=run):
        shared.begin("note", run, [note(1)], validate_only=True)


def test_a_run_must_exist(shared: RegistrySetup) -> None:
    with pytest.raises(MissingCollectionError, match="no/such/run"):
        shared.begin("note", "no/such/run", [note(1)])


def test_the_storage_class_must_be_the_registered_one(shared: RegistrySetup, run: str) -> None:
    batch = PutBatch("note", "ArrowTable", [note(1)], [new_dataset_id()], (LAYOUT,))
    with pytest.raises(DatasetTypeMismatchError, match=r"note.*StructuredDataDict.*ArrowTable"):
        begin_batches(shared, run, batch)


@pytest.mark.parametrize("seconds", [-1, 86_401])
def test_a_lease_has_bounds(shared: RegistrySetup, run: str, seconds: int) -> None:
    with pytest.raises(InvalidRequestError, match="86400"):
        shared.begin("note", run, [note(1)], lease_seconds=seconds)


def test_a_batch_needs_as_many_ids_as_data_ids(shared: RegistrySetup, run: str) -> None:
    with pytest.raises(InvalidRequestError, match="note"):
        shared.begin("note", run, [note(1), note(2)], ids=[new_dataset_id()])


def test_a_batch_over_the_limit_is_refused(shared: RegistrySetup, run: str) -> None:
    n = LIMITS.batch_items + 1
    with pytest.raises(LimitExceededError, match=str(LIMITS.batch_items)):
        shared.begin("note", run, [note(1)] * n)
    ids = [new_dataset_id() for _ in range(n)]
    for call in (abort, finish_abort):
        with pytest.raises(LimitExceededError, match=str(LIMITS.batch_items)):
            call(shared, *ids)
    with pytest.raises(LimitExceededError, match=str(LIMITS.batch_items)):
        shared.registry.puts.commit(ids, [], request_id=uuid.uuid4())


def test_one_id_cannot_stand_for_two_datasets_of_a_put(shared: RegistrySetup, run: str) -> None:
    same = new_dataset_id()
    with pytest.raises(InvalidRequestError, match=str(same)):
        shared.begin("note", run, [note(1), note(2)], ids=[same, same])


def test_one_dataset_has_one_artifact_per_component(shared: RegistrySetup, run: str) -> None:
    with pytest.raises(InvalidRequestError, match="note"):
        shared.begin("note", run, [note(1)], artifacts=(LAYOUT, LAYOUT))


def test_one_batch_cannot_hold_a_data_id_twice(shared: RegistrySetup, run: str) -> None:
    with pytest.raises(ConflictingDefinitionError, match=r"note.*twice") as caught:
        shared.begin("note", run, [note(1), {**CAM, "detector": "Aa"}])
    assert "detector: 1" in str(caught.value)


def test_two_batches_cannot_hold_the_same_data_id_of_a_type(shared: RegistrySetup, run: str) -> None:
    def batch() -> PutBatch:
        return PutBatch("note", LAYOUT.storage_class, [note(1)], [new_dataset_id()], (LAYOUT,))

    with pytest.raises(ConflictingDefinitionError, match=r"note.*twice"):
        begin_batches(shared, run, batch(), batch())


def test_what_a_run_has_cannot_be_put_again(shared: RegistrySetup, run: str) -> None:
    # Behaviour D1: in another run it succeeds.
    (first,) = shared.put("note", run, note(1))
    with pytest.raises(ConflictingDefinitionError) as caught:
        shared.begin("note", run, [note(2), note(1)])
    assert caught.value.metadata["existing_id"] == str(first)
    assert run in str(caught.value)
    assert "detector: 1" in str(caught.value)
    shared.put("note", shared.register_run(next(NEW_NAMES)), note(1))
    found = shared.find("note", note(1), run)
    assert found is not None
    assert found.ref.id == first


@pytest.mark.parametrize("moment", ["committed", "begun"])
def test_an_id_cannot_be_used_again_for_another_dataset(shared: RegistrySetup, run: str, moment: str) -> None:
    (intent,) = shared.begin("note", run, [note(1)])
    if moment == "committed":
        shared.commit([intent])
    taken = [intent.dataset_id]
    elsewhere = shared.register_run(next(NEW_NAMES))
    error = ConflictingDefinitionError if moment == "committed" else IntentError
    for dataset_type, where, data_id in (
        ("note", run, note(2)),
        ("note", elsewhere, note(1)),
        ("log", run, {}),
    ):
        with pytest.raises(error, match=str(intent.dataset_id)):
            shared.begin(dataset_type, where, [data_id], ids=taken)


def test_an_id_of_another_request_cannot_be_taken_over(shared: RegistrySetup, run: str) -> None:
    (intent,) = shared.begin("note", run, [note(1)])
    with pytest.raises(IntentError, match=str(intent.dataset_id)):
        shared.begin("note", run, [note(1)], ids=[intent.dataset_id])
    shared.commit([intent])


def test_a_refused_batch_leaves_the_intents_of_others_as_they_were(shared: RegistrySetup, run: str) -> None:
    (mine,) = shared.begin("note", run, [note(1)])
    fresh = new_dataset_id()
    with pytest.raises(IntentError, match=str(mine.dataset_id)):
        shared.begin("note", run, [note(2), note(1)], ids=[fresh, mine.dataset_id])
    assert abort(shared, fresh) == []
    shared.commit([mine])


# ---- receipts


def test_every_artifact_needs_its_receipt(shared: RegistrySetup, run: str) -> None:
    layouts = (LAYOUT, ArtifactLayout("json", ".json", "StructuredDataDict", "wcs"))
    intents = shared.begin("note", run, [note(1), note(2)], artifacts=layouts)
    receipts = shared.receipts(intents)
    for missing in range(len(receipts)):
        with pytest.raises(IntentError, match="receipt") as caught:
            shared.commit(intents, receipts[:missing] + receipts[missing + 1 :])
        assert intents[missing // 2].grants[missing % 2].key in str(caught.value)
    assert shared.find("note", note(1), run) is None
    shared.commit(intents, receipts)


@pytest.mark.parametrize(
    "change", [{"key": "another/key"}, {"store": "second"}, {"dataset_id": uuid.uuid4()}, {"component": "x"}]
)
def test_a_receipt_for_something_else_proves_nothing(
    shared: RegistrySetup, run: str, change: dict[str, Any]
) -> None:
    (intent,) = shared.begin("note", run, [note(1)])
    with pytest.raises(IntentError, match="receipt"):
        shared.commit([intent], shared.receipts([intent], **change))
    assert shared.find("note", note(1), run) is None


def test_a_receipt_of_another_repository_is_refused(shared: RegistrySetup, run: str) -> None:
    (intent,) = shared.begin("note", run, [note(1)])
    with pytest.raises(GrantError, match="elsewhere"):
        shared.commit([intent], shared.receipts([intent], repository="elsewhere"))


def _last_byte_changed(token: bytes) -> bytes:
    return token[:-1] + bytes([token[-1] ^ 1])


@pytest.mark.parametrize(
    "alter",
    [
        _last_byte_changed,
        lambda token: token[:-1],
        lambda token: token + b" ",
        lambda token: b"",
        lambda token: b"\0" * 60,
    ],
    ids=["changed", "shorter", "longer", "empty", "zeros"],
)
def test_an_altered_receipt_is_refused(
    shared: RegistrySetup, run: str, alter: Callable[[bytes], bytes]
) -> None:
    (intent,) = shared.begin("note", run, [note(1)])
    with pytest.raises(GrantError, match="receipt"):
        shared.commit([intent], [alter(shared.receipts([intent])[0])])
    assert shared.find("note", note(1), run) is None


def test_a_receipt_signed_by_somebody_else_is_refused(shared: RegistrySetup, run: str) -> None:
    (intent,) = shared.begin("note", run, [note(1)])
    stranger = RegistrySetup(
        shared.registry, shared.repository, TokenSigner([b"not the key of this deployment!!"])
    )
    with pytest.raises(GrantError, match="receipt"):
        shared.commit([intent], stranger.receipts([intent]))


def test_a_grant_is_no_receipt(shared: RegistrySetup, run: str) -> None:
    (intent,) = shared.begin("note", run, [note(1)])
    with pytest.raises(GrantError, match="receipt"):
        shared.commit([intent], [intent.grants[0].token])


# Repeats, behaviour D79.


def test_beginning_again_gives_the_same_keys(shared: RegistrySetup, run: str) -> None:
    request_id, ids = uuid.uuid4(), [new_dataset_id(), new_dataset_id()]

    def begin() -> list[Any]:
        return shared.begin("note", run, [note(1), note(2)], ids=ids, request_id=request_id)

    first, second = begin(), begin()
    assert [g.key for i in first for g in i.grants] == [g.key for i in second for g in i.grants]
    shared.commit(second)


def test_a_commit_may_be_repeated(shared: RegistrySetup, run: str) -> None:
    intents = shared.begin("note", run, [note(1), note(2)])
    receipts = shared.receipts(intents)
    for _ in range(3):
        shared.commit(intents, receipts)
    shared.commit(intents, [])
    assert shared.find("note", note(2), run) is not None


def test_a_whole_put_may_be_repeated_after_its_commit(shared: RegistrySetup, run: str) -> None:
    request_id, ids = uuid.uuid4(), [new_dataset_id(), new_dataset_id()]
    for _ in range(2):
        intents = shared.begin("note", run, [note(1), note(2)], ids=ids, request_id=request_id)
        shared.commit(intents)
    # No intent is left over that a reaper would one day discard the artifacts of.
    with pytest.raises(IntentError, match="committed"):
        abort(shared, ids[0])
    finish_abort(shared, *ids)
    assert all(shared.registry.datasets.get(ids))


def test_aborting_may_be_repeated(shared: RegistrySetup, run: str) -> None:
    intents = shared.begin("note", run, [note(1), note(2)])
    ids = [intent.dataset_id for intent in intents]
    keys = [grant.key for intent in intents for grant in intent.grants]
    for _ in range(2):
        grants = [shared.signer.open_grant(token, Operation.DISCARD) for token in abort(shared, *ids)]
        assert sorted(grant.key for grant in grants) == sorted(keys)
    for _ in range(2):
        finish_abort(shared, *ids)
    assert abort(shared, *ids) == []


# ---- ends


def test_what_was_given_up_cannot_be_committed(shared: RegistrySetup, run: str) -> None:
    intents = shared.begin("note", run, [note(1), note(2)])
    abort(shared, intents[1].dataset_id)
    with pytest.raises(IntentError, match=str(intents[1].dataset_id)):
        shared.commit(intents)
    assert shared.find("note", note(1), run) is None
    finish_abort(shared, intents[1].dataset_id)
    with pytest.raises(IntentError, match=str(intents[1].dataset_id)):
        shared.commit(intents)
    shared.commit(intents[:1])


def test_an_id_that_was_given_up_is_not_taken_again(shared: RegistrySetup, run: str) -> None:
    request_id, ids = uuid.uuid4(), [new_dataset_id()]
    shared.begin("note", run, [note(1)], ids=ids, request_id=request_id)
    abort(shared, *ids)
    with pytest.raises(IntentError, match=str(ids[0])):
        shared.begin("note", run, [note(1)], ids=ids, request_id=request_id)
    shared.put("note", run, note(1))


def test_what_was_committed_cannot_be_given_up(shared: RegistrySetup, run: str) -> None:
    (dataset_id,) = shared.put("note", run, note(1))
    with pytest.raises(IntentError, match=str(dataset_id)):
        abort(shared, dataset_id)
    finish_abort(shared, dataset_id)
    assert shared.find("note", note(1), run) is not None


def test_finishing_forgets_only_what_was_given_up(shared: RegistrySetup, run: str) -> None:
    (intent,) = shared.begin("note", run, [note(1)])
    finish_abort(shared, intent.dataset_id)
    shared.commit([intent])


def test_unknown_ids_are_ignored_by_abort_and_refused_by_commit(shared: RegistrySetup, run: str) -> None:
    stranger = new_dataset_id()
    (intent,) = shared.begin("note", run, [note(1)])
    assert len(abort(shared, stranger, intent.dataset_id)) == 1
    with pytest.raises(IntentError, match=str(stranger)):
        shared.registry.puts.commit([stranger], [], request_id=uuid.uuid4())


def test_an_expired_lease_cannot_be_committed_until_it_is_renewed(shared: RegistrySetup, run: str) -> None:
    request_id, ids = uuid.uuid4(), [new_dataset_id()]
    (intent,) = shared.begin("note", run, [note(1)], ids=ids, request_id=request_id, lease_seconds=1)
    time.sleep(1.1)
    with pytest.raises(IntentError, match=str(intent.dataset_id)):
        shared.commit([intent])
    assert shared.find("note", note(1), run) is None
    shared.begin("note", run, [note(1)], ids=ids, request_id=request_id)
    shared.commit([intent])


# Contests, behaviour D77.


def test_of_contested_puts_exactly_one_wins(shared: RegistrySetup, run: str) -> None:
    contestants = [shared.begin("note", run, [note(1)]) for _ in range(6)]
    results = at_once(*(lambda c=c: shared.commit(c) for c in contestants))
    winners = [c[0].dataset_id for c, result in zip(contestants, results, strict=True) if result is None]
    assert len(winners) == 1, results
    for result in results:
        if result is not None:
            assert type(result) is ConflictingDefinitionError
            assert str(winners[0]) in str(result)
    found = shared.find("note", note(1), run)
    assert found is not None
    assert found.ref.id == winners[0]


def test_of_contested_batches_in_any_order_one_wins_whole(shared: RegistrySetup, run: str) -> None:
    data_ids = [{**CAM, "visit": v, "detector": d} for v in (1, 2, 3, 4) for d in (1, 2, 3, 4)]
    for turn in range(4):
        where = f"{run}/{turn}"
        shared.register_run(where)
        orders = [data_ids, data_ids[::-1], data_ids[8:] + data_ids[:8]]
        contestants = [shared.begin("calexp", where, order) for order in orders]
        results = at_once(*(lambda c=c: shared.commit(c) for c in contestants))
        winners = [c for c, result in zip(contestants, results, strict=True) if result is None]
        assert len(winners) == 1, results
        assert [type(r) for r in results if r is not None] == [ConflictingDefinitionError] * 2, results
        found = [shared.find("calexp", data_id, where) for data_id in data_ids]
        assert {each.ref.id for each in found if each} == {intent.dataset_id for intent in winners[0]}


def test_one_commit_sent_many_times_at_once_succeeds_every_time(shared: RegistrySetup, run: str) -> None:
    intents = shared.begin("note", run, [note(1), note(2)])
    receipts = shared.receipts(intents)
    assert at_once(*(lambda: shared.commit(intents, receipts) for _ in range(6))) == [None] * 6


def test_one_begin_sent_many_times_at_once_succeeds_every_time(shared: RegistrySetup, run: str) -> None:
    request_id, ids = uuid.uuid4(), [new_dataset_id() for _ in range(4)]

    def begin() -> list[Any]:
        return shared.begin("note", run, [note(d) for d in (1, 2, 3, 4)], ids=ids, request_id=request_id)

    results = at_once(*(begin for _ in range(6)))
    assert not [result for result in results if isinstance(result, Exception)]
    shared.commit(results[0])


def test_of_commit_and_abort_at_once_one_wins(shared: RegistrySetup, run: str) -> None:
    for detector in (1, 2, 3, 4):
        intents = shared.begin("note", run, [note(detector)])
        dataset_id = intents[0].dataset_id
        committed, aborted = at_once(lambda: shared.commit(intents), lambda: abort(shared, dataset_id))  # noqa: B023
        there = shared.find("note", note(detector), run) is not None
        assert (committed is None) is there
        assert isinstance(aborted, IntentError) is there
        assert isinstance(committed, IntentError) is not there


def test_a_lost_contest_can_be_given_up(shared: RegistrySetup, run: str) -> None:
    winner, loser = (shared.begin("note", run, [note(1)]) for _ in range(2))
    shared.commit(winner)
    with pytest.raises(ConflictingDefinitionError, match=str(winner[0].dataset_id)):
        shared.commit(loser)
    (grant,) = abort(shared, loser[0].dataset_id)
    assert shared.signer.open_grant(grant, Operation.DISCARD).key == loser[0].grants[0].key
    assert loser[0].grants[0].key != winner[0].grants[0].key


def test_a_lost_contest_for_one_dataset_loses_the_batch(shared: RegistrySetup, run: str) -> None:
    winner, loser = (
        shared.begin("note", run, [note(1)]),
        shared.begin("note", run, [note(2), note(1), note(3)]),
    )
    shared.commit(winner)
    with pytest.raises(ConflictingDefinitionError, match="detector: 1"):
        shared.commit(loser)
    assert [shared.find("note", note(d), run) is not None for d in (1, 2, 3)] == [True, False, False]
