# SPDX-License-Identifier: BSD-3-Clause
"""Pruning datasets and removing runs, in process or over the wire; nothing is deleted but rows."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from butler_model.collection import CollectionType
from butler_model.dataset import new_dataset_id
from butler_model.errors import (
    ButlerError,
    ChainMembershipError,
    CollectionTypeError,
    DatasetNotFoundError,
    InvalidRequestError,
    LimitExceededError,
    MissingCollectionError,
    OrphanedRecordError,
)
from butler_model.ports import DatasetEventKind, PruneDatasets, RemovalSummary, RemoveRun
from butler_model.timespan import Timespan
from butler_model.trash import TrashSelection, TrashState
from tests.support.registries import (  # noqa: F401 - fixtures
    LAYOUT,
    LIMITS,
    RegistrySetup,
    at_once,
    register_types,
    registry_home_of_module,
    registry_of_test,
)

NOTES = [{"instrument": "Cam1", "detector": d} for d in (1, 2, 3, 4)]
CALEXPS = [{"instrument": "Cam1", "visit": v, "detector": d} for v in (1, 2) for d in (1, 2)]
MANY = LIMITS.batch_items * 2 + 50


@pytest.fixture(name="filled")
def setup_with_runs(setup: RegistrySetup) -> RegistrySetup:
    """Give a repository with the runs ``run`` and ``other``, a tag and a calibration collection, all empty."""
    register_types(setup)
    setup.register_type("flat", ("instrument", "detector"), is_calibration=True)
    setup.register_run("run")
    setup.register_run("other")
    setup.register("tag", CollectionType.TAGGED)
    setup.register("calib", CollectionType.CALIBRATION)
    return setup


def prune(setup: RegistrySetup, ids: Sequence[UUID], **fields: Any) -> RemovalSummary:
    request = PruneDatasets(fields.pop("request_id", None) or uuid.uuid4(), tuple(ids), **fields)
    return setup.registry.removals.prune(request)


def purge(setup: RegistrySetup, ids: Sequence[UUID], **fields: Any) -> RemovalSummary:
    return prune(setup, ids, unstore=True, purge=True, **fields)


def remove_run(setup: RegistrySetup, run: str, **fields: Any) -> RemovalSummary:
    request = RemoveRun(fields.pop("request_id", None) or uuid.uuid4(), run, **fields)
    return setup.registry.removals.remove_run(request)


def trash_of(setup: RegistrySetup, *trash_ids: UUID) -> dict[str, int]:
    return dict(setup.registry.trash.count(TrashSelection(trash_ids=trash_ids)))


def found(setup: RegistrySetup, ids: Sequence[UUID]) -> list[bool]:
    return [each is not None for each in setup.registry.datasets.get(ids)]


def stored(setup: RegistrySetup, ids: Sequence[UUID]) -> list[bool]:
    got = setup.registry.datasets.get(ids, want_artifacts=True)
    return [each is not None and bool(each.artifacts) for each in got]


def put_many(setup: RegistrySetup, run: str, number: int = MANY) -> list[UUID]:
    """Put many notes, one for each of as many new detectors."""
    ids: list[UUID] = []
    for start in range(100, 100 + number, LIMITS.batch_items):
        detectors = range(start, min(start + LIMITS.batch_items, 100 + number))
        setup.insert("detector", *({"instrument": "Cam1", "id": d, "full_name": f"D{d}"} for d in detectors))
        ids += setup.put("note", run, *({"instrument": "Cam1", "detector": d} for d in detectors))
    return ids


def test_a_purge_removes_datasets_and_moves_their_artifacts_to_the_trash(filled: RegistrySetup) -> None:
    notes, calexps = filled.put("note", "run", *NOTES), filled.put("calexp", "run", *CALEXPS)
    summary = purge(filled, [*notes[:2], calexps[0]])
    assert summary.datasets == {"calexp": 1, "note": 2}
    assert (summary.artifacts, summary.size, summary.complete) == (3, 30, True)
    assert set(summary.sample) == {*notes[:2], calexps[0]}
    assert found(filled, notes) == [False, False, True, True]
    assert filled.find("note", NOTES[0], "run") is None
    assert trash_of(filled, summary.trash_id) == {"trashed": 3}


def test_what_was_trashed_is_listed_with_all_that_is_known_of_it(filled: RegistrySetup) -> None:
    before = time.time_ns()
    (note,) = filled.put("note", "run", NOTES[2])
    record = filled.registry.datasets.get([note], want_artifacts=True)[0]
    assert record is not None
    summary = purge(filled, [note], purge_after_seconds=3600)
    (trashed,) = filled.registry.trash.entries(TrashSelection(trash_ids=(summary.trash_id,))).artifacts
    assert trashed.record == record.artifacts[0].record
    assert (trashed.dataset_type, trashed.run, trashed.purged) == ("note", "run", True)
    assert (trashed.trash_id, trashed.state, trashed.attempts, trashed.last_error) == (
        summary.trash_id,
        TrashState.TRASHED,
        0,
        None,
    )
    assert abs(trashed.trashed_nsec - before) < 60 * 10**9
    assert trashed.due_nsec - trashed.trashed_nsec == pytest.approx(3600e9, abs=1e9)


def test_a_purge_takes_datasets_out_of_tags_and_ranges_of_validity(filled: RegistrySetup) -> None:
    # D12
    (note,), (flat,) = filled.put("note", "run", NOTES[0]), filled.put("flat", "run", NOTES[0])
    filled.associate("tag", note)
    filled.certify("calib", Timespan(None, None), flat)
    purge(filled, [note, flat])
    summaries = filled.registry.collections.summaries(["run", "tag", "calib"])
    assert [summary.dataset_types for summary in summaries] == [(), (), ()]
    assert filled.find("note", NOTES[0], "tag") is None


def test_unstore_alone_gives_up_artifacts_and_the_data_ids_stay_taken(filled: RegistrySetup) -> None:
    # D3
    notes = filled.put("note", "run", *NOTES)
    summary = prune(filled, notes[:2], unstore=True)
    assert summary.datasets == {"note": 2}
    assert found(filled, notes) == [True] * 4
    assert stored(filled, notes) == [False, False, True, True]
    assert prune(filled, notes[:2], unstore=True).artifacts == 0
    with pytest.raises(ButlerError, match="note"):
        filled.put("note", "run", NOTES[0])
    assert purge(filled, notes[:1]).datasets == {"note": 1}
    (trashed,) = filled.registry.trash.entries(TrashSelection(dataset_ids=(notes[0],))).artifacts
    assert trashed.purged
    filled.put("note", "run", NOTES[0])


def test_a_dataset_without_artifacts_is_purged(filled: RegistrySetup) -> None:
    intents = filled.begin("note", "run", NOTES[:1], artifacts=())
    filled.commit(intents)
    summary = purge(filled, [intents[0].dataset_id])
    assert (summary.datasets, summary.artifacts) == ({"note": 1}, 0)


def test_all_components_go_to_the_trash(filled: RegistrySetup) -> None:
    parts = tuple(
        type(LAYOUT)(LAYOUT.formatter, LAYOUT.extension, LAYOUT.storage_class, name) for name in ("a", "b")
    )
    intents = filled.begin("note", "run", NOTES[:1], artifacts=parts)
    filled.commit(intents)
    summary = purge(filled, [intents[0].dataset_id])
    assert (summary.datasets, summary.artifacts, summary.size) == ({"note": 1}, 2, 20)


def test_datasets_of_no_dimensions_are_purged(filled: RegistrySetup) -> None:
    (log,) = filled.put("log", "run", {})
    assert purge(filled, [log]).artifacts == 1


def test_ids_that_no_dataset_has_and_repeated_ones_are_ignored(filled: RegistrySetup) -> None:
    (note,) = filled.put("note", "run", NOTES[0])
    assert purge(filled, [note, new_dataset_id(), note]).datasets == {"note": 1}
    assert purge(filled, [note]).datasets == {}
    assert purge(filled, []).datasets == {}


def test_tags_alone_take_datasets_out_of_these_collections(filled: RegistrySetup) -> None:
    notes = filled.put("note", "run", *NOTES)
    filled.register("second", CollectionType.TAGGED)
    for tag in ("tag", "second"):
        filled.associate(tag, *notes)
    summary = prune(filled, notes[:2], tags=("tag",))
    assert (summary.datasets, summary.artifacts) == ({"note": 2}, 0)
    assert stored(filled, notes) == [True] * 4
    assert [filled.find("note", data_id, "tag") is None for data_id in NOTES] == [True, True, False, False]
    assert filled.find("note", NOTES[0], "second") is not None
    assert prune(filled, notes[:2], tags=("tag",)).datasets == {}


def test_what_cannot_be_pruned_is_refused_and_nothing_changes(filled: RegistrySetup) -> None:
    notes = filled.put("note", "run", *NOTES)
    filled.associate("tag", *notes)
    with pytest.raises(InvalidRequestError, match="unstore"):
        prune(filled, notes)
    with pytest.raises(InvalidRequestError, match="unstore"):
        prune(filled, notes, purge=True)
    with pytest.raises(CollectionTypeError, match="'run' is a RUN"):
        prune(filled, notes, unstore=True, tags=("tag", "run"))
    with pytest.raises(MissingCollectionError, match="nowhere"):
        prune(filled, notes, unstore=True, tags=("tag", "nowhere"))
    with pytest.raises(InvalidRequestError, match="seconds"):
        purge(filled, notes, purge_after_seconds=-1)
    with pytest.raises(LimitExceededError):
        purge(filled, [new_dataset_id() for _ in range(LIMITS.batch_items + 1)])
    assert stored(filled, notes) == [True] * 4
    assert all(filled.find("note", data_id, "tag") for data_id in NOTES)


def test_a_dry_run_counts_the_same_and_changes_nothing(filled: RegistrySetup) -> None:
    notes = filled.put("note", "run", *NOTES)
    filled.associate("tag", *notes[:1])
    planned = [
        prune(filled, notes, validate_only=True, **fields)
        for fields in ({"unstore": True, "purge": True}, {"unstore": True}, {"tags": ("tag",)})
    ]
    assert [summary.datasets for summary in planned] == [{"note": 4}, {"note": 4}, {"note": 1}]
    assert [summary.artifacts for summary in planned] == [4, 4, 0]
    assert stored(filled, notes) == [True] * 4
    assert trash_of(filled) == {}
    done = purge(filled, notes)
    assert (done.datasets, done.artifacts, done.size, done.sample) == (
        planned[0].datasets,
        planned[0].artifacts,
        planned[0].size,
        planned[0].sample,
    )


def test_a_repeated_request_gets_the_same_answer_and_has_no_second_effect(filled: RegistrySetup) -> None:
    # D79
    notes = filled.put("note", "run", *NOTES)
    request_id = uuid.uuid4()
    first = purge(filled, notes[:2], request_id=request_id)
    again = filled.put("note", "run", *NOTES[:2])
    assert purge(filled, list(reversed(notes[:2])), request_id=request_id) == first
    assert found(filled, again) == [True, True]
    assert trash_of(filled) == {"trashed": 2}
    with pytest.raises(InvalidRequestError, match="belongs to another request"):
        purge(filled, notes[2:], request_id=request_id)
    assert found(filled, notes[2:]) == [True, True]


def test_those_who_watch_are_told_what_was_removed(filled: RegistrySetup) -> None:
    notes, others = filled.put("note", "run", *NOTES), filled.put("note", "other", *NOTES)
    position = filled.registry.events.position()
    purge(filled, [*notes[:2], others[0]])
    seen: dict[str, set[UUID]] = {}
    for event in filled.registry.events.watch(position):
        if event is not None:
            assert event.kind is DatasetEventKind.REMOVED
            seen[event.run] = set(event.dataset_ids)
        if len(seen) == 2:
            break
    assert seen == {"run": set(notes[:2]), "other": {others[0]}}


def test_summaries_of_collections_stay_exact(filled: RegistrySetup) -> None:
    notes = filled.put("note", "run", *NOTES)
    purge(filled, notes)
    assert filled.registry.collections.summaries(["run"])[0].dataset_types == ()
    filled.put("note", "run", NOTES[0])
    assert filled.registry.collections.summaries(["run"])[0].dataset_types == ("note",)


def test_a_run_is_removed_a_part_at_a_time_and_the_last_part_removes_the_collection(
    filled: RegistrySetup,
) -> None:
    ids = put_many(filled, "run")
    others = filled.put("note", "other", *NOTES)
    filled.associate("tag", *ids[:10])
    revision = filled.registry.info.revision
    parts = [remove_run(filled, "run") for _ in range(3)]
    assert [part.complete for part in parts] == [False, False, True]
    assert sum(part.datasets["note"] for part in parts) == sum(part.artifacts for part in parts) == MANY
    with pytest.raises(MissingCollectionError):
        filled.registry.collections.get("run")
    assert filled.registry.revision > revision
    assert trash_of(filled) == {"trashed": MANY}
    assert found(filled, others) == [True] * 4
    assert filled.registry.collections.summaries(["tag"])[0].dataset_types == ()
    gone = remove_run(filled, "run")
    assert (gone.complete, gone.datasets) == (True, {})


def test_a_run_whose_artifacts_stay_is_forgotten(filled: RegistrySetup) -> None:
    # D18
    notes = filled.put("note", "run", *NOTES)
    summary = remove_run(filled, "run", unstore=False)
    assert (summary.datasets, summary.artifacts, summary.complete) == ({"note": 4}, 4, True)
    assert found(filled, notes) == [False] * 4
    assert trash_of(filled) == {}


def test_a_run_in_a_chain_stays_with_all_it_has_unless_it_is_unlinked(filled: RegistrySetup) -> None:
    # D11
    notes = filled.put("note", "run", *NOTES)
    filled.chain("chain", "other", "run")
    filled.chain("second", "run", "tag")
    with pytest.raises(OrphanedRecordError, match="'chain', 'second'"):
        remove_run(filled, "run")
    with pytest.raises(OrphanedRecordError, match="'second'"):
        remove_run(filled, "run", unlink=("chain",))
    with pytest.raises(ChainMembershipError, match="'tag' is no chain"):
        remove_run(filled, "run", unlink=("chain", "second", "tag"))
    with pytest.raises(OrphanedRecordError):
        remove_run(filled, "run", validate_only=True)
    assert stored(filled, notes) == [True] * 4
    assert filled.registry.collections.get("chain").children == ("other", "run")
    assert remove_run(filled, "run", unlink=("second", "chain")).complete
    assert filled.registry.collections.get("chain").children == ("other",)
    assert filled.registry.collections.get("second").children == ("tag",)


def test_every_chain_can_be_unlinked(filled: RegistrySetup) -> None:
    filled.chain("chain", "other", "run")
    assert remove_run(filled, "run", unlink_all=True).complete
    assert filled.registry.collections.get("chain").children == ("other",)
    assert remove_run(filled, "other", unlink_all=True).complete
    assert filled.registry.collections.get("chain").children == ()


def test_other_collections_are_unlinked_and_removed_in_one_step(filled: RegistrySetup) -> None:
    # D11
    filled.chain("chain", "tag", "run")
    remove = filled.registry.collections.remove
    with pytest.raises(OrphanedRecordError, match="'chain'"):
        remove("tag", request_id=uuid.uuid4())
    with pytest.raises(ChainMembershipError, match="'run' is no chain"):
        remove("tag", request_id=uuid.uuid4(), unlink=("run",))
    remove("tag", request_id=uuid.uuid4(), unlink=("chain",))
    assert filled.registry.collections.get("chain").children == ("run",)
    remove("run", request_id=uuid.uuid4(), unlink_all=True)
    assert filled.registry.collections.get("chain").children == ()


def test_only_runs_are_removed_as_runs(filled: RegistrySetup) -> None:
    with pytest.raises(CollectionTypeError, match="'tag' is a TAGGED"):
        remove_run(filled, "tag")


def test_a_run_that_is_being_put_into_stays(filled: RegistrySetup) -> None:
    intents = filled.begin("note", "run", NOTES[:1])
    with pytest.raises(OrphanedRecordError, match="was begun"):
        remove_run(filled, "run")
    filled.commit(intents)
    assert remove_run(filled, "run").complete


def test_a_dry_run_counts_a_whole_run(filled: RegistrySetup) -> None:
    ids = put_many(filled, "run")
    planned = remove_run(filled, "run", validate_only=True)
    assert (planned.datasets, planned.artifacts, planned.complete) == ({"note": MANY}, MANY, True)
    assert planned.size == 10 * MANY
    assert len(planned.sample) == 10
    assert set(planned.sample) <= set(ids)
    assert all(found(filled, ids[:10]))


def test_a_repeated_removal_of_a_part_gets_the_same_answer(filled: RegistrySetup) -> None:
    # D79
    put_many(filled, "run", LIMITS.batch_items + 10)
    request_id = uuid.uuid4()
    first = remove_run(filled, "run", request_id=request_id)
    assert not first.complete
    assert remove_run(filled, "run", request_id=request_id) == first
    assert trash_of(filled) == {"trashed": LIMITS.batch_items}
    rest = remove_run(filled, "run")
    assert (rest.complete, rest.artifacts) == (True, 10)
    with pytest.raises(InvalidRequestError, match="belongs to another request"):
        remove_run(filled, "other", request_id=request_id)


def test_many_prune_the_same_datasets_at_once_and_each_goes_once(filled: RegistrySetup) -> None:
    ids = put_many(filled, "run", 300)
    calls = [
        lambda part=part: purge(filled, ids[part * 20 : part * 20 + 160][:: 1 if part % 2 else -1])
        for part in range(8)
    ]
    summaries = at_once(*calls)
    assert [s for s in summaries if isinstance(s, Exception)] == []
    assert sum(summary.datasets.get("note", 0) for summary in summaries) == 300
    assert trash_of(filled) == {"trashed": 300}


def test_prunes_and_tags_at_the_same_time_never_wait_for_each_other_for_ever(filled: RegistrySetup) -> None:
    ids = put_many(filled, "run", 300)
    filled.register("second", CollectionType.TAGGED)

    def associate(tag: str) -> None:
        try:
            filled.associate(tag, *ids)
        except DatasetNotFoundError:
            filled.associate(tag, *ids[200:])

    def disassociate() -> None:
        filled.registry.associations.disassociate("tag", ids, request_id=uuid.uuid4())

    results = at_once(
        lambda: associate("tag"),
        lambda: purge(filled, ids[:100]),
        lambda: associate("second"),
        lambda: purge(filled, ids[50:200][::-1]),
        disassociate,
        lambda: prune(filled, ids, tags=("tag", "second")),
    )
    assert [each for each in results if isinstance(each, Exception)] == []
    assert found(filled, ids[:200]) == [False] * 200
    assert found(filled, ids[200:]) == [True] * 100
