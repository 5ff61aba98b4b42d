# SPDX-License-Identifier: BSD-3-Clause
"""How every registry finds datasets by the data IDs that people write; in process or over the wire."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from butler_model.data_id import DataCoordinate
from butler_model.dataset import new_dataset_id
from butler_model.errors import (
    AmbiguousDataIdError,
    DimensionNameError,
    DimensionValueError,
    InconsistentDataIdError,
    LimitExceededError,
    MissingCollectionError,
    MissingDatasetTypeError,
)
from butler_model.ports import DatasetLookup, FoundDataset
from tests.support.registries import (  # noqa: F401 - fixtures
    LIMITS,
    RegistryHome,
    RegistrySetup,
    register_types,
    registry_home_of_module,
)

CAM = {"instrument": "Cam1"}
HOSTILE = "O'B\"; DROP TABLE x; --%s{x}\\ 星"


@pytest.fixture(scope="module")
def filled(home: RegistryHome) -> RegistrySetup:
    """Give a repository with some datasets in the runs r1 and r2, which no test changes."""
    setup = home.fresh()
    register_types(setup)
    setup.insert("instrument", {"name": "Cam2"})
    setup.insert("detector", {**CAM, "id": 9, "full_name": HOSTILE, "raft": "O'"})
    setup.insert("detector", {"instrument": "Cam2", "id": 1, "full_name": "Aa"})
    for run in ("r1", "r2", "empty"):
        setup.register_run(run)
    for run, detectors in (("r1", (1, 2, 3, 9)), ("r2", (2, 3, 4))):
        setup.put("note", run, *({**CAM, "detector": d} for d in detectors))
    setup.put("note", "r2", {"instrument": "Cam2", "detector": 1})
    setup.put("calexp", "r1", *({**CAM, "visit": v, "detector": 1} for v in (1, 2, 3)))
    setup.put("raw", "r1", *({**CAM, "exposure": e, "detector": 1} for e in (11, 12, 13)))
    setup.put("log", "r2", {})
    return setup


def values(setup: RegistrySetup, dataset_type: str, data_id: Any, *collections: str) -> dict[str, Any] | None:
    found = setup.find(dataset_type, data_id, *(collections or ("r1", "r2")))
    return None if found is None else dict(found.ref.dataId)


@pytest.mark.parametrize(
    "data_id",
    [
        {**CAM, "detector": 1},
        {**CAM, "detector": np.int64(1)},
        {"instrument": np.str_("Cam1"), "detector": np.uint8(1)},
        {**CAM, "detector": "Aa"},
        {**CAM, "full_name": "Aa"},
        {**CAM, "detector.full_name": "Aa"},
        {**CAM, "raft": "A", "name_in_raft": "a"},
        {**CAM, "detector.raft": "A", "name_in_raft": "a"},
        {**CAM, "detector": 1, "raft": "A"},
        {**CAM, "detector": 1, "detector.full_name": "Aa"},
        {"instrument": "Cam1", "detector.id": 1},
        {"instrument.name": "Cam1", "detector": 1},
    ],
    ids=str,
)
def test_a_detector_may_be_named_in_any_way(filled: RegistrySetup, data_id: dict[str, Any]) -> None:
    # Behaviour D38.
    assert values(filled, "note", data_id) == {**CAM, "detector": 1}


@pytest.mark.parametrize(
    "data_id",
    [{"full_name": HOSTILE}, {"detector": HOSTILE}, {"detector.full_name": HOSTILE}, {"raft": "O'"}],
)
def test_values_are_bound_whatever_they_contain(filled: RegistrySetup, data_id: dict[str, Any]) -> None:
    assert values(filled, "note", {**CAM, **data_id}) == {**CAM, "detector": 9}


@pytest.mark.parametrize("text", ["'", "' OR '1'='1", "%", "_", "*", "Aa ", "aa", "A", "", "Aa' --", "1"])
def test_a_value_that_only_looks_like_a_match_matches_nothing(filled: RegistrySetup, text: str) -> None:
    with pytest.raises(AmbiguousDataIdError, match="full_name") as caught:
        filled.find("note", {**CAM, "full_name": text}, "r1")
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("data_id", "error", "offender"),
    [
        ({**CAM, "full_name": "Zz"}, AmbiguousDataIdError, "'Zz'"),
        ({**CAM, "detector": "Zz"}, AmbiguousDataIdError, "'Zz'"),
        ({**CAM, "raft": "A"}, AmbiguousDataIdError, "More than one detector has {raft: 'A'"),
        ({**CAM, "purpose": "SCIENCE"}, AmbiguousDataIdError, "purpose"),
        ({"full_name": "Aa"}, AmbiguousDataIdError, "More than one detector"),
        ({**CAM, "detector": 1, "full_name": "Ab"}, InconsistentDataIdError, "'Ab'"),
        ({**CAM, "detector": 1, "detector.raft": "B"}, InconsistentDataIdError, "'B'"),
        ({**CAM, "detector": 1, "bogus": 5}, DimensionValueError, "'bogus'"),
        ({**CAM, "detector": 1, "": 5}, DimensionValueError, "''"),
        ({**CAM, "detector.bogus": 5}, DimensionValueError, "'bogus'"),
        ({**CAM, "bogus.id": 5}, DimensionNameError, "'bogus'"),
        (
            {**CAM, "detector": 1, "visit_detector_region.detector": 1},
            DimensionNameError,
            "visit_detector_region",
        ),
        ({**CAM, "detector.region": 5}, DimensionValueError, "'region'"),
        ({**CAM, "detector": None}, DimensionValueError, "detector"),
        ({**CAM, "detector": 1.0}, DimensionValueError, "detector"),
        ({**CAM, "detector": True}, DimensionValueError, "detector"),
        ({**CAM, "detector": b"Aa"}, DimensionValueError, "detector"),
        ({**CAM, "detector": 2**63}, DimensionValueError, "64 bits"),
        ({**CAM, "raft": 5}, DimensionValueError, "detector.raft"),
        ({**CAM, "raft": "x" * 33}, DimensionValueError, "32"),
        ({**CAM, "raft": "\0"}, DimensionValueError, "NUL"),
        ({**CAM, "raft": "\ud800"}, DimensionValueError, "Unicode"),
        (CAM, DimensionNameError, "detector"),
        ({"detector": 1}, DimensionNameError, "instrument"),
        ({}, DimensionNameError, "instrument"),
    ],
    ids=str,
)
def test_what_names_no_dataset_is_refused_and_the_offender_named(
    filled: RegistrySetup, data_id: dict[str, Any], error: type, offender: str
) -> None:
    with pytest.raises(error) as caught:
        filled.find("note", data_id, "r1")
    assert type(caught.value) is error
    assert offender in str(caught.value)


@pytest.mark.parametrize(
    "data_id",
    [
        {"visit": 2, "detector": 1},
        {"visit": "v2", "detector": "Aa"},
        {"visit.name": "v2", "full_name": "Aa"},
        {"visit": 2, "detector": 1, "physical_filter": "Cam1-R1", "band": "r", "day_obs": 20200102},
        {"day_obs": 20200102, "seq_num": 1, "detector": 1},
        {"physical_filter": "Cam1-R1", "seq_num": 1, "detector": 1},
    ],
    ids=str,
)
def test_a_visit_may_be_named_in_any_way(filled: RegistrySetup, data_id: dict[str, Any]) -> None:
    assert values(filled, "calexp", {**CAM, **data_id}) == {**CAM, "visit": 2, "detector": 1}


@pytest.mark.parametrize(
    "data_id",
    [
        {"exposure": 13},
        {"exposure": "e3"},
        {"obs_id": "e3"},
        {"exposure.obs_id": "e3"},
        {"day_obs": 20200102, "seq_num": 2},
        {"day_obs": np.int32(20200102), "seq_num": np.int32(2)},
        {"group": "g3"},
    ],
    ids=str,
)
def test_an_exposure_may_be_named_in_any_way(filled: RegistrySetup, data_id: dict[str, Any]) -> None:
    # Behaviour D39: day_obs and seq_num pick an exposure.
    expected = {**CAM, "exposure": 13, "detector": 1}
    assert values(filled, "raw", {**CAM, "detector": 1, **data_id}) == expected


def test_a_sequence_number_of_several_nights_is_ambiguous(filled: RegistrySetup) -> None:
    with pytest.raises(AmbiguousDataIdError, match="More than one exposure"):
        filled.find("raw", {**CAM, "detector": 1, "seq_num": 1}, "r1")
    with pytest.raises(AmbiguousDataIdError, match="More than one exposure"):
        filled.find("raw", {**CAM, "detector": 1, "day_obs": 20200102}, "r1")


@pytest.mark.parametrize(
    "extra", [{"visit": 2}, {"visit": 999}, {"skymap": "SM1", "tract": 1}, {"band": "g"}, {"exposure": "e1"}]
)
def test_further_dimensions_are_ignored(filled: RegistrySetup, extra: dict[str, Any]) -> None:
    assert values(filled, "note", {**CAM, "detector": 1, **extra}) == {**CAM, "detector": 1}


def test_a_data_coordinate_is_a_data_id(filled: RegistrySetup) -> None:
    group = filled.universe.conform(["visit", "detector"])
    data_id = DataCoordinate.standardize({**CAM, "visit": 2, "detector": 1}, dimensions=group)
    assert values(filled, "calexp", data_id) == {**CAM, "visit": 2, "detector": 1}
    (expanded,) = filled.registry.dimension_records.expand(group, [data_id])
    assert values(filled, "calexp", expanded) == {**CAM, "visit": 2, "detector": 1}


def test_the_order_of_collections_decides(filled: RegistrySetup) -> None:
    def runs(*collections: str) -> list[str | None]:
        data_ids = [{**CAM, "detector": d} for d in (1, 2, 4)]
        found = filled.registry.datasets.find(DatasetLookup("note", data_ids, collections))
        return [None if each is None else each.ref.run for each in found]

    assert runs("r1", "r2") == ["r1", "r1", "r2"]
    assert runs("r2", "r1") == ["r1", "r2", "r2"]
    assert runs("empty", "r2", "r2", "r1", "r2") == ["r1", "r2", "r2"]
    assert runs("r1") == ["r1", "r1", None]
    assert runs("empty") == [None, None, None]
    assert runs() == [None, None, None]


def test_many_are_found_in_the_order_asked_with_repeats(filled: RegistrySetup) -> None:
    wanted = [3, 1, 8, 3, 2]
    data_ids = [{**CAM, "detector": d} for d in wanted]
    found = filled.registry.datasets.find(DatasetLookup("note", data_ids, ("r1",), want_artifacts=True))
    assert [None if each is None else each.ref.dataId["detector"] for each in found] == [3, 1, None, 3, 2]
    assert all(len(each.artifacts) == 1 for each in found if each)


def test_data_ids_of_one_call_may_be_written_differently(filled: RegistrySetup) -> None:
    data_ids: list[dict[str, Any]] = [
        {**CAM, "detector": 1},
        {**CAM, "full_name": "Ab"},
        {"instrument": "Cam2", "detector": "Aa"},
    ]
    found = filled.registry.datasets.find(DatasetLookup("note", data_ids, ("r1", "r2")))
    assert [dict(each.ref.dataId) for each in found if each] == [
        {**CAM, "detector": 1},
        {**CAM, "detector": 2},
        {"instrument": "Cam2", "detector": 1},
    ]


def test_what_is_found_is_resolved_and_its_data_id_minimal(filled: RegistrySetup) -> None:
    # Behaviour D66.
    found = filled.find("calexp", {**CAM, "visit": 2, "detector": 1, "band": "r"}, "r1")
    assert found is not None
    assert found.ref.is_resolved
    assert found.ref.datasetType.name == "calexp"
    assert not found.ref.dataId.hasFull()
    assert found.artifacts == ()


def test_a_dataset_of_no_dimensions_is_found_by_an_empty_data_id(filled: RegistrySetup) -> None:
    assert values(filled, "log", {}) == {}
    assert values(filled, "log", CAM) == {}
    assert values(filled, "log", {}, "r1") is None


def test_unknown_types_and_collections_are_named(filled: RegistrySetup) -> None:
    with pytest.raises(MissingDatasetTypeError, match="'nope'"):
        filled.find("nope", {}, "r1")
    with pytest.raises(MissingCollectionError, match="'nope'"):
        filled.find("note", {**CAM, "detector": 1}, "r1", "nope")


def test_datasets_are_found_by_id_in_the_order_asked(filled: RegistrySetup) -> None:
    lookup = DatasetLookup("note", [{**CAM, "detector": d} for d in (1, 2)], ("r1",))
    first, second = (each.ref.getCheckedId() for each in filled.registry.datasets.find(lookup) if each)
    log = filled.find("log", {}, "r2")
    assert log is not None
    ids = [second, new_dataset_id(), log.ref.getCheckedId(), uuid.UUID(int=0), first, second]
    found = filled.registry.datasets.get(ids, want_artifacts=True)
    assert [None if each is None else each.ref.id for each in found] == [
        ids[0],
        None,
        ids[2],
        None,
        ids[4],
        ids[5],
    ]
    assert [None if each is None else each.ref.run for each in found] == ["r1", None, "r2", None, "r1", "r1"]
    assert all(len(each.artifacts) == 1 for each in found if each)
    assert not any(each.artifacts for each in filled.registry.datasets.get(ids) if each)
    assert filled.registry.datasets.get([]) == []


@pytest.mark.parametrize("expected", ["note", "log", "nope", ""])
def test_datasets_are_found_by_id_whatever_their_type_is_expected_to_be(
    filled: RegistrySetup, expected: str
) -> None:
    lookup = DatasetLookup("note", [{**CAM, "detector": d} for d in (1, 2)], ("r1",), want_artifacts=True)
    notes = [each for each in filled.registry.datasets.find(lookup) if each]
    log = filled.find("log", {}, "r2")
    assert log is not None
    ids = [*(note.ref.getCheckedId() for note in notes), new_dataset_id(), log.ref.getCheckedId()]
    get = filled.registry.datasets.get
    assert [each and each.ref for each in get(ids, expected_type=expected)] == [
        *(note.ref for note in notes),
        None,
        log.ref,
    ]
    for note in notes:
        (alone,) = get([note.ref.getCheckedId()], want_artifacts=True, expected_type=expected)
        assert alone is not None
        assert [each.record for each in alone.artifacts] == [each.record for each in note.artifacts]
    assert get([new_dataset_id()], expected_type=expected) == [None]


def test_more_than_the_limit_is_split_or_refused(filled: RegistrySetup) -> None:
    n = LIMITS.batch_items + 1
    lookup = DatasetLookup("note", [{**CAM, "detector": 1}] * n, ("r1",))
    calls: list[Callable[[], list[FoundDataset | None]]] = [
        lambda: filled.registry.datasets.find(lookup),
        lambda: filled.registry.datasets.get([uuid.uuid4()] * n),
    ]
    for call in calls:
        try:
            answered = len(call())
        except LimitExceededError:
            continue
        assert answered == n


def test_there_is_a_limit_to_the_collections_of_one_search(filled: RegistrySetup) -> None:
    with pytest.raises(LimitExceededError, match="1000"):
        filled.find("note", {**CAM, "detector": 1}, *(["r1"] * 1001))
