# SPDX-License-Identifier: BSD-3-Clause
"""What every registry does with dimension records and data IDs, in process or over the wire."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import lsst.sphgeom
import numpy as np
import pytest

from butler_model.errors import (
    AmbiguousDataIdError,
    ConflictingDefinitionError,
    DataIdValueError,
    DimensionNameError,
    DimensionValueError,
    InconsistentDataIdError,
    InvalidRequestError,
    LimitExceededError,
    MissingParentError,
    NotInsertableError,
)
from butler_model.query.spec import QuerySpec, ResultKind
from butler_model.records import DimensionRecord
from butler_model.timespan import Timespan
from butler_model.universe import DimensionUniverse
from tests.support.registries import (  # noqa: F401 - fixtures
    LIMITS,
    RegistrySetup,
    at_once,
    registry_home_of_module,
    registry_of_module,
    registry_of_test,
    square,
)

CAM = {"instrument": "Cam1"}


def records(setup: RegistrySetup, element: str, **data_id: Any) -> list[dict[str, Any]]:
    """Return all records of an element as fields."""
    names = [column.name for column in setup.universe[element].columns]
    spec = QuerySpec(ResultKind.DIMENSION_RECORDS, element=element, data_id=data_id)
    return [dict(zip(names, row, strict=True)) for row in setup.rows(spec)]


def expand(setup: RegistrySetup, *dimensions: str, **data_id: Any) -> Any:
    """Expand one data ID."""
    group = setup.universe.conform(dimensions)
    return setup.registry.dimension_records.expand(group, [data_id])[0]


def test_records_come_back_as_they_went_in(setup: RegistrySetup) -> None:
    region, span = square(33.0, -7.0), Timespan.from_nsec(1, 10**18)
    fields = {
        "instrument": "Cam1",
        "id": -(2**63),
        "name": "naïve 星 'q' \"d\" % _ ; --",
        "physical_filter": "Cam1-G",
        "day_obs": 20200101,
        "seq_num": 2**63 - 1,
        "exposure_time": 5e-324,
        "target_name": "",
        "observation_reason": "x" * 68,
        "science_program": None,
        "azimuth": -0.0,
        "zenith_angle": 1.7976931348623157e308,
        "region": region,
        "timespan": span,
    }
    assert setup.insert("visit", fields) == 1
    assert records(setup, "visit", instrument="Cam1", visit=-(2**63)) == [fields]
    expanded = expand(setup, "visit", instrument="Cam1", visit=-(2**63))
    assert expanded.records["visit"].toDict() == fields
    assert (expanded.region, expanded.timespan) == (region, span)


def test_an_unbounded_and_an_empty_timespan_are_kept_apart(setup: RegistrySetup) -> None:
    unbounded = Timespan(None, None)
    setup.insert("day_obs", {**CAM, "id": 1}, {**CAM, "id": 2, "timespan": Timespan.EMPTY})
    spans = {r["id"]: r["timespan"] for r in records(setup, "day_obs")}
    assert (spans[1], spans[2]) == (unbounded, Timespan.EMPTY)


def test_a_skymap_keeps_its_hash(setup: RegistrySetup) -> None:
    setup.insert("skymap", {"name": "other", "hash": bytes(range(40))})
    assert {r["name"]: r["hash"] for r in records(setup, "skymap")}["other"] == bytes(range(40))


def test_a_record_that_exists_is_a_conflict_and_none_of_its_batch_goes_in(setup: RegistrySetup) -> None:
    new, old = {**CAM, "id": 77, "full_name": "new"}, {**CAM, "id": 1, "full_name": "again"}
    with pytest.raises(ConflictingDefinitionError, match="detector") as caught:
        setup.insert("detector", new, old)
    assert caught.value.metadata["element"] == "detector"
    assert 77 not in {r["id"] for r in records(setup, "detector")}


def test_one_batch_cannot_hold_a_key_twice(setup: RegistrySetup) -> None:
    with pytest.raises(ConflictingDefinitionError, match="77"):
        setup.insert("detector", {**CAM, "id": 77, "full_name": "a"}, {**CAM, "id": 77, "full_name": "b"})
    assert len(records(setup, "detector")) == 4


@pytest.mark.parametrize("skip_existing", [False, True])
def test_two_records_cannot_agree_in_an_alternate_key(setup: RegistrySetup, skip_existing: bool) -> None:
    with pytest.raises(ConflictingDefinitionError, match="detector"):
        setup.insert("detector", {**CAM, "id": 77, "full_name": "Aa"}, skip_existing=skip_existing)
    assert len(records(setup, "detector")) == 4


def test_an_alternate_key_may_occur_again_with_another_parent(setup: RegistrySetup) -> None:
    setup.insert("instrument", {"name": "Cam2"})
    assert setup.insert("detector", {"instrument": "Cam2", "id": 1, "full_name": "Aa"}) == 1


def test_skip_existing_counts_what_is_new_and_leaves_the_rest_alone(setup: RegistrySetup) -> None:
    batch = [{**CAM, "id": 1, "full_name": "changed"}, {**CAM, "id": 77, "full_name": "new"}]
    assert setup.insert("detector", *batch, skip_existing=True) == 1
    assert setup.insert("detector", *batch, skip_existing=True) == 0
    names = {r["id"]: r["full_name"] for r in records(setup, "detector")}
    assert (names[1], names[77]) == ("Aa", "new")


@pytest.mark.parametrize(
    ("element", "fields", "parent"),
    [
        ("detector", {"instrument": "Nope", "id": 1, "full_name": "x"}, "instrument"),
        (
            "visit",
            {**CAM, "id": 9, "name": "n", "physical_filter": "Nope", "day_obs": 20200101},
            "physical_filter",
        ),
        ("visit", {**CAM, "id": 9, "name": "n", "physical_filter": "Cam1-G", "day_obs": 1}, "day_obs"),
        ("visit_detector_region", {**CAM, "visit": 1, "detector": 99}, "detector"),
        ("visit_definition", {**CAM, "visit": 99, "exposure": 11}, "visit"),
        ("patch", {"skymap": "SM1", "tract": 9, "id": 0, "cell_x": 0, "cell_y": 0}, "tract"),
    ],
)
@pytest.mark.parametrize("skip_existing", [False, True])
def test_a_record_without_its_parent_is_refused_and_named(
    shared: RegistrySetup, element: str, fields: dict[str, Any], parent: str, skip_existing: bool
) -> None:
    before = records(shared, element)
    with pytest.raises(MissingParentError) as caught:
        shared.insert(element, fields, skip_existing=skip_existing)
    assert element in str(caught.value)
    assert parent in str(caught.value)
    assert records(shared, element) == before


def test_an_implied_value_without_a_table_needs_no_parent(setup: RegistrySetup) -> None:
    setup.insert("physical_filter", {**CAM, "name": "Cam1-Z", "band": "z"})
    assert [r["name"] for r in records(setup, "band")] == ["g", "r", "z"]


@pytest.mark.parametrize("name", ["band", "htm7", "healpix3"])
def test_dimensions_without_records_of_their_own_take_none(shared: RegistrySetup, name: str) -> None:
    # D58: bands come from physical filters only, pixels are computed.
    with pytest.raises(NotInsertableError, match=name) as caught:
        shared.insert(name, {"name": "y"} if name == "band" else {"id": 1})
    assert isinstance(caught.value, TypeError)


def test_an_unknown_element_is_named(shared: RegistrySetup) -> None:
    with pytest.raises(DimensionNameError, match="no_such_thing"):
        shared.registry.dimension_records.insert("no_such_thing", [], request_id=uuid.uuid4())


def test_a_record_of_another_element_or_universe_is_refused(shared: RegistrySetup) -> None:
    mine = shared.universe["instrument"].RecordClass(name="Cam9")
    foreign = DimensionUniverse(version=0)["instrument"].RecordClass(name="Cam9")
    for element, record in (("detector", mine), ("instrument", foreign)):
        with pytest.raises(InvalidRequestError, match="instrument"):
            shared.registry.dimension_records.insert(element, [record], request_id=uuid.uuid4())


def test_a_batch_over_the_limit_is_refused(shared: RegistrySetup) -> None:
    n = LIMITS.batch_items + 1
    with pytest.raises(LimitExceededError, match=str(LIMITS.batch_items)):
        shared.insert("group", *({**CAM, "name": f"x{i}"} for i in range(n)))
    with pytest.raises(LimitExceededError, match=str(LIMITS.batch_items)):
        shared.insert("group", *({**CAM, "name": f"x{i}"} for i in range(n)), skip_existing=True)


def test_an_empty_batch_changes_nothing(shared: RegistrySetup) -> None:
    assert shared.insert("detector") == 0


def test_sync_inserts_once_and_knows_an_identical_record(setup: RegistrySetup) -> None:
    # Behaviour D65, with empty fields and a region.
    fields = {**CAM, "id": 9, "name": "v9", "physical_filter": "Cam1-G", "day_obs": 20200101}
    assert setup.sync("visit", **fields, region=square(1.0, 2.0)) is True
    assert setup.sync("visit", **fields, region=square(1.0, 2.0)) is False
    assert setup.sync("detector", **CAM, id=88, full_name="d88") is True
    assert setup.sync("detector", **CAM, id=88, full_name="d88") is False


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "other"}, "name"),
        ({"exposure_time": 1.5}, "exposure_time"),
        ({"region": None}, "region"),
        ({"timespan": Timespan.EMPTY}, "timespan"),
        ({"physical_filter": "Cam1-G"}, "physical_filter"),
    ],
)
def test_sync_names_the_field_that_differs(shared: RegistrySetup, change: dict[str, Any], field: str) -> None:
    held = records(shared, "visit", instrument="Cam1", visit=2)[0]
    with pytest.raises(ConflictingDefinitionError, match=field):
        shared.sync("visit", **{**held, **change})
    assert records(shared, "visit", instrument="Cam1", visit=2) == [held]


def test_sync_refuses_a_taken_alternate_key_and_a_missing_parent(shared: RegistrySetup) -> None:
    with pytest.raises(ConflictingDefinitionError, match="detector"):
        shared.sync("detector", **CAM, id=66, full_name="Aa")
    with pytest.raises(MissingParentError, match="detector"):
        shared.sync("detector", instrument="Nope", id=66, full_name="x")
    with pytest.raises(NotInsertableError, match="band"):
        shared.sync("band", name="y")


def test_of_many_who_sync_the_same_record_one_inserts_it(setup: RegistrySetup) -> None:
    for detector in range(88, 100):
        fields = {**CAM, "id": detector, "full_name": f"d{detector}"}
        results = at_once(*(lambda fields=fields: setup.sync("detector", **fields) for _ in range(6)))
        assert sorted(results, key=repr) == [False] * 5 + [True]


@pytest.mark.parametrize("option", ["skip_existing", "replace"])
def test_of_many_who_insert_the_same_records_each_new_one_is_counted_once(
    setup: RegistrySetup, option: str
) -> None:
    for first in range(100, 400, 50):
        rows = [{**CAM, "id": i, "full_name": f"d{i}"} for i in range(first, first + 50)]
        results = at_once(
            *(lambda rows=rows: setup.insert("detector", *rows, **{option: True}) for _ in range(4))
        )
        assert sum(results) == 50, results


def test_of_many_who_sync_different_records_one_wins_and_the_others_learn_of_it(setup: RegistrySetup) -> None:
    def sync(raft: str) -> Callable[[], bool]:
        return lambda: setup.sync("detector", **CAM, id=88, full_name="d88", raft=raft)

    results = at_once(*(sync(f"R{i}") for i in range(6)))
    conflicts = [r for r in results if isinstance(r, ConflictingDefinitionError)]
    assert results.count(True) == 1
    assert len(conflicts) == 5, results
    winner = records(setup, "detector", instrument="Cam1", detector=88)[0]["raft"]
    assert results[int(winner[1:])] is True


def test_those_who_insert_the_same_records_in_any_order_do_not_block_each_other(setup: RegistrySetup) -> None:
    def insert(rows: list[dict[str, Any]], skip_existing: bool) -> Callable[[], int]:
        return lambda: setup.insert("group", *rows, skip_existing=skip_existing)

    for turn in range(4):
        rows = [{**CAM, "name": f"turn{turn}_{i}"} for i in range(100)]
        others = [insert(rows[::-1], True), insert(rows[50:] + rows[:50], False)]
        results = at_once(insert(rows, True), *others)
        counts = [result for result in results if isinstance(result, int)]
        conflicts = [result for result in results if isinstance(result, ConflictingDefinitionError)]
        assert len(counts) + len(conflicts) == 3, results
        assert sum(counts) == 100, results


def test_expanding_gives_implied_values_and_all_records(shared: RegistrySetup) -> None:
    data_id = expand(shared, "visit", "detector", **CAM, visit=2, detector=np.int64(3))
    assert dict(data_id.full) == {
        **CAM,
        "detector": 3,
        "visit": 2,
        "physical_filter": "Cam1-R1",
        "day_obs": 20200102,
        "band": "r",
    }
    assert data_id.hasFull()
    assert data_id.hasRecords()
    assert data_id.records["detector"].full_name == "Ba"
    assert data_id.records["band"].name == "r"
    assert data_id.records["visit_detector_region"] is None
    assert data_id.region == square(20.0, 0.0)


def test_data_ids_of_one_visit_that_are_expanded_one_after_the_other_each_have_their_own_region(
    setup: RegistrySetup,
) -> None:
    def regions() -> dict[int, Any]:
        found = {}
        for detector in (4, 1, 2, 3):
            data_id = expand(setup, "visit", "detector", **CAM, visit=2, detector=detector)
            record = data_id.records["visit_detector_region"]
            assert record is None or record.key == ("Cam1", detector, 2)
            found[detector] = None if record is None else record.region
        return found

    of_visit = {**CAM, "visit": 2}
    setup.insert("visit_detector_region", {**of_visit, "detector": 1, "region": square(20.0, 1.0)})
    assert regions() == {1: square(20.0, 1.0), 2: None, 3: None, 4: None}
    setup.insert("visit_detector_region", {**of_visit, "detector": 3, "region": square(20.0, 3.0)})
    assert regions() == {1: square(20.0, 1.0), 2: None, 3: square(20.0, 3.0), 4: None}


def test_expanding_many_keeps_their_order_and_repeats(shared: RegistrySetup) -> None:
    group = shared.universe.conform(["detector"])
    wanted = [4, 1, 4, 2, 3, 1]
    expanded = shared.registry.dimension_records.expand(group, [{**CAM, "detector": d} for d in wanted])
    assert [data_id["detector"] for data_id in expanded] == wanted
    assert shared.registry.dimension_records.expand(group, []) == []


def test_expanding_no_dimensions_gives_the_empty_data_id(shared: RegistrySetup) -> None:
    assert dict(expand(shared).full) == {}


def test_expanding_a_band_alone_looks_among_the_physical_filters(shared: RegistrySetup) -> None:
    assert expand(shared, "band", band="g").records["band"].name == "g"
    with pytest.raises(DataIdValueError, match="'y'"):
        expand(shared, "band", band="y")


@pytest.mark.parametrize(
    ("dimensions", "data_id", "error", "offender"),
    [
        (("detector",), {**CAM, "detector": 99}, DataIdValueError, "99"),
        (("detector",), {"instrument": "Nope", "detector": 1}, DataIdValueError, "Nope"),
        (("detector",), CAM, DimensionNameError, "detector"),
        (("detector",), {"detector": 1}, DimensionNameError, "instrument"),
        (("detector",), {**CAM, "detector": 1, "bogus": 5}, DimensionValueError, "bogus"),
        (("detector",), {**CAM, "detector": "5"}, AmbiguousDataIdError, "'5'"),
        (("detector",), {**CAM, "detector": 1.0}, DimensionValueError, "1.0"),
        (("detector",), {**CAM, "detector": True}, DimensionValueError, "True"),
        (("detector",), {**CAM, "detector": 2**63}, DimensionValueError, str(2**63)),
        (("detector",), {"instrument": 5, "detector": 1}, DimensionValueError, "instrument"),
        (("detector",), {"instrument": "x" * 33, "detector": 1}, DimensionValueError, "32"),
        (("detector",), {"instrument": "a\0b", "detector": 1}, DimensionValueError, "NUL"),
        (("visit",), {**CAM, "visit": 2, "band": "g"}, InconsistentDataIdError, "band"),
        (
            ("visit",),
            {**CAM, "visit": 2, "physical_filter": "Cam1-G"},
            InconsistentDataIdError,
            "physical_filter",
        ),
        (("visit",), {**CAM, "visit": 2, "day_obs": 20200101}, InconsistentDataIdError, "day_obs"),
        (("visit", "exposure"), {**CAM, "visit": 1, "exposure": 12}, InconsistentDataIdError, "day_obs"),
        (
            ("visit", "exposure"),
            {**CAM, "visit": 4, "exposure": 12},
            InconsistentDataIdError,
            "visit_definition",
        ),
    ],
)
def test_a_data_id_that_cannot_be_is_refused_and_the_offender_named(
    shared: RegistrySetup, dimensions: tuple[str, ...], data_id: dict[str, Any], error: type, offender: str
) -> None:
    with pytest.raises(error) as caught:
        expand(shared, *dimensions, **data_id)
    assert type(caught.value) is error
    assert offender in str(caught.value)


def test_a_visit_and_its_exposure_belong_together(shared: RegistrySetup) -> None:
    data_id = expand(shared, "visit", "exposure", **CAM, visit=1, exposure=11)
    assert data_id.records["visit_definition"] is not None


def test_expanding_more_than_the_limit_is_refused_or_split(shared: RegistrySetup) -> None:
    group = shared.universe.conform(["detector"])
    many = [{**CAM, "detector": 1}] * (LIMITS.batch_items + 1)
    try:
        assert len(shared.registry.dimension_records.expand(group, many)) == len(many)
    except LimitExceededError as error:
        assert str(LIMITS.batch_items) in str(error)


def test_a_change_of_records_advances_the_revision_and_nothing_else_does(setup: RegistrySetup) -> None:
    before = setup.registry.info.revision
    setup.insert("detector", {**CAM, "id": 1, "full_name": "Aa"}, skip_existing=True)
    setup.sync("detector", **records(setup, "detector", instrument="Cam1", detector=1)[0])
    assert setup.registry.info.revision == before
    setup.insert("group", {**CAM, "name": "new"})
    assert setup.registry.info.revision == before + 1


def test_records_are_made_of_the_types_that_the_universe_says(shared: RegistrySetup) -> None:
    record: DimensionRecord = expand(shared, "visit", **CAM, visit=1).records["visit"]
    types = {
        c.name: type(v)
        for c, v in zip(record.definition.columns, record.values, strict=True)
        if v is not None
    }
    assert types["id"] is int
    assert types["name"] is str
    assert types["exposure_time"] is float
    assert types["timespan"] is Timespan
    assert issubclass(types["region"], lsst.sphgeom.Region)
