# SPDX-License-Identifier: BSD-3-Clause
"""Data IDs: what they accept, what they know, and when two are the same."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from butler_model.data_id import DataCoordinate
from butler_model.errors import (
    DimensionNameError,
    DimensionValueError,
    InconsistentDataIdError,
    InvalidRequestError,
)
from butler_model.records import DimensionRecord
from butler_model.timespan import Timespan
from butler_model.universe import DimensionUniverse

UNIVERSE = DimensionUniverse()
VISIT = UNIVERSE.conform(["visit"])
VALUES = {"instrument": "HSC", "visit": 7}
IMPLIED = {"physical_filter": "HSC-R", "day_obs": 20200101, "band": "r"}


def standardize(mapping: Any = None, **kwargs: Any) -> DataCoordinate:
    return DataCoordinate.standardize(mapping, **{"universe": UNIVERSE, **kwargs})


def test_without_dimensions_the_keys_say_which_they_are() -> None:
    assert standardize(VALUES).dimensions is VISIT
    assert standardize(instrument="HSC", visit=7) == standardize(VALUES)
    assert standardize({}) == DataCoordinate.make_empty(UNIVERSE)


def test_further_keys_are_left_out_if_the_dimensions_are_given() -> None:
    data_id = standardize({**VALUES, "detector": 1, "tract": 3}, dimensions=VISIT)
    assert dict(data_id) == VALUES


def test_keyword_arguments_win() -> None:
    assert standardize(VALUES, visit=8)["visit"] == 8
    assert DataCoordinate.standardize(standardize(VALUES), visit=8)["visit"] == 8


def test_defaults_fill_only_what_is_missing() -> None:
    # Behaviours D47 and D48.
    defaults = standardize(instrument="HSC")
    assert standardize({"visit": 7}, dimensions=VISIT, defaults=defaults) == standardize(VALUES)
    other = standardize({"instrument": "LATISS", "visit": 7}, dimensions=VISIT, defaults=defaults)
    assert other["instrument"] == "LATISS"


def test_numpy_integers_are_integers_and_strings_are_not() -> None:
    # Behaviour D76.
    for number in (np.int64(7), np.uint8(7), np.int16(7), np.array(7)):
        value = standardize({**VALUES, "visit": number})["visit"]
        assert (type(value), value) == (int, 7)
    text = standardize({**VALUES, "instrument": np.str_("HSC")})["instrument"]
    assert (type(text), text) == (str, "HSC")


@pytest.mark.parametrize(
    "value",
    [
        "7",
        7.0,
        True,
        b"7",
        [7],
        np.float64(7),
        np.array([7, 8]),
        2**63,
        -(2**63) - 1,
        10**5000,
        Timespan.EMPTY,
    ],
    ids=lambda value: repr(value)[:20] if not isinstance(value, int) else f"{value.bit_length()} bits",
)
def test_a_value_of_the_wrong_type_is_refused_and_named(value: Any) -> None:
    with pytest.raises(DimensionValueError, match="visit") as caught:
        standardize({**VALUES, "visit": value})
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("value", [5, "x" * 33, "a\0", "\ud800", b"HSC"])
def test_a_name_that_cannot_be_is_refused(value: Any) -> None:
    with pytest.raises(DimensionValueError, match="instrument"):
        standardize({**VALUES, "instrument": value})


def test_the_limits_of_values_are_inside() -> None:
    for number in (2**63 - 1, -(2**63), 0):
        assert standardize({"instrument": "é" * 32, "visit": number})["visit"] == number


@pytest.mark.parametrize("mapping", [{"instrument": "HSC"}, {"visit": 7}, {**VALUES, "instrument": None}, {}])
def test_a_missing_value_is_named(mapping: dict[str, Any]) -> None:
    missing = {"instrument", "visit"} - {name for name, value in mapping.items() if value is not None}
    with pytest.raises(DimensionNameError) as caught:
        standardize(mapping, dimensions=VISIT)
    assert all(name in str(caught.value) for name in missing)
    assert isinstance(caught.value, KeyError)


def test_an_unknown_key_is_named_even_where_it_is_not_needed() -> None:
    for dimensions in (None, VISIT):
        with pytest.raises(DimensionNameError, match="'bogus'"):
            standardize({**VALUES, "bogus": 1}, dimensions=dimensions)
    with pytest.raises(DimensionNameError, match="'visit_definition'"):
        standardize({**VALUES, "visit_definition": 1})


def test_a_plain_mapping_needs_a_universe() -> None:
    with pytest.raises(DimensionNameError, match="universe"):
        DataCoordinate.standardize(VALUES)
    assert DataCoordinate.standardize(VALUES, dimensions=VISIT) == standardize(VALUES)


def test_it_is_full_if_all_implied_values_are_given() -> None:
    minimal, full = standardize(VALUES), standardize({**VALUES, **IMPLIED})
    assert not minimal.hasFull()
    assert full.hasFull()
    assert dict(full.full) == dict(full.mapping) == {**VALUES, **IMPLIED}
    assert not standardize({**VALUES, "band": "r"}, dimensions=VISIT).hasFull()
    with pytest.raises(InconsistentDataIdError, match="expand"):
        _ = minimal.full
    with pytest.raises(InconsistentDataIdError, match="expand"):
        _ = full.records


def test_implied_values_do_not_count_for_identity() -> None:
    # Behaviour D66.
    minimal, full = standardize(VALUES), standardize({**VALUES, **IMPLIED})
    assert minimal == full
    assert hash(minimal) == hash(full)
    assert list(minimal) == list(full) == ["instrument", "visit"]
    assert len(full) == 2
    assert len({minimal, full}) == 1
    assert minimal != standardize(VALUES, visit=8)
    assert minimal != standardize({**VALUES, "detector": 1})


def test_it_equals_a_mapping_of_the_same_values() -> None:
    full = standardize({**VALUES, **IMPLIED})
    assert full == VALUES
    assert full == {**VALUES, **IMPLIED}
    assert full != {**VALUES, "band": "r"}
    assert full != 5


def test_implied_values_are_there_only_if_it_is_full() -> None:
    minimal, full = standardize(VALUES), standardize({**VALUES, **IMPLIED})
    assert full["band"] == full[UNIVERSE["band"]] == "r"  # type: ignore[index]
    assert "band" in full
    assert "band" not in minimal
    assert minimal.get("band") is None
    for name in ("band", "detector", "nope"):
        with pytest.raises(KeyError):
            minimal[name]


def test_a_subset_has_fewer_dimensions() -> None:
    full = standardize({**VALUES, **IMPLIED})
    assert dict(full.subset(["instrument"])) == {"instrument": "HSC"}
    assert full.subset(["band"]) == {"band": "r"}
    assert full.subset(VISIT) is full
    assert full.subset(["physical_filter"]).hasFull()
    with pytest.raises(DimensionNameError, match="detector"):
        full.subset(["detector"])
    with pytest.raises(DimensionNameError, match="band"):
        standardize(VALUES).subset(["band"])


def test_a_union_has_the_dimensions_of_both() -> None:
    both = standardize(VALUES).union(standardize(instrument="HSC", detector=3))
    assert both == {**VALUES, "detector": 3}
    with pytest.raises(InconsistentDataIdError, match="instrument"):
        standardize(VALUES).union(standardize(instrument="LATISS"))


def records() -> dict[str, DimensionRecord | None]:
    made: dict[str, DimensionRecord | None] = {
        "instrument": UNIVERSE["instrument"].RecordClass(name="HSC"),
        "day_obs": UNIVERSE["day_obs"].RecordClass(
            instrument="HSC", id=20200101, timespan=Timespan.from_nsec(0, 100)
        ),
        "physical_filter": UNIVERSE["physical_filter"].RecordClass(instrument="HSC", name="HSC-R", band="r"),
        "band": UNIVERSE["band"].RecordClass(name="r"),
        "visit": UNIVERSE["visit"].RecordClass(
            instrument="HSC",
            id=7,
            name="v7",
            physical_filter="HSC-R",
            day_obs=20200101,
            timespan=Timespan.from_nsec(10, 20),
        ),
    }
    return made


def test_expanding_attaches_records_and_what_they_imply() -> None:
    expanded = standardize(VALUES).expanded(records())
    assert expanded.hasRecords()
    assert expanded.full == {**VALUES, **IMPLIED}
    assert expanded == standardize(VALUES)
    assert expanded.subset(["physical_filter"]).records.keys() >= {"physical_filter", "band"}


def test_the_first_member_of_a_family_gives_the_timespan() -> None:
    assert standardize(VALUES).expanded(records()).timespan == Timespan.from_nsec(10, 20)
    night = standardize({"instrument": "HSC", "day_obs": 20200101})
    of_night = {name: records()[name] for name in ("instrument", "day_obs")}
    assert night.expanded(of_night).timespan == Timespan.from_nsec(0, 100)
    assert night.expanded(of_night).subset(["instrument"]).timespan is None


def test_a_data_id_without_a_region_has_none() -> None:
    assert standardize(VALUES).expanded(records()).region is None


def test_data_ids_are_sorted_by_value() -> None:
    made = [standardize(VALUES, visit=visit) for visit in (3, 1, 2)]
    assert [data_id["visit"] for data_id in sorted(made)] == [1, 2, 3]


def test_it_is_shown_as_its_values() -> None:
    assert str(standardize(VALUES)) == "{instrument: 'HSC', visit: 7}"


@pytest.mark.parametrize("form", ["minimal", "full", "expanded"])
def test_it_can_be_pickled(form: str) -> None:
    made = standardize(VALUES if form == "minimal" else {**VALUES, **IMPLIED})
    if form == "expanded":
        made = made.expanded(records())
    copy = pickle.loads(pickle.dumps(made))
    assert copy == made
    assert hash(copy) == hash(made)
    assert (copy.hasFull(), copy.hasRecords(), copy.mapping) == (
        made.hasFull(),
        made.hasRecords(),
        made.mapping,
    )
    assert copy.dimensions is made.dimensions


def test_it_is_written_and_read_as_the_json_of_the_older_library() -> None:
    text = '{"dataId":{"instrument":"HSC","visit":7}}'
    assert standardize(VALUES).to_json() == text
    full = standardize({**VALUES, **IMPLIED})
    assert full.to_json(minimal=True) == text
    read = DataCoordinate.from_json(full.to_json(), universe=UNIVERSE)
    assert (read, read.mapping) == (full, full.mapping)
    assert DataCoordinate.from_simple(full.to_simple(), universe=UNIVERSE) == full
    with pytest.raises(InvalidRequestError, match="universe=butler"):
        DataCoordinate.from_json(text)


def test_the_empty_one_has_two_names() -> None:
    assert DataCoordinate.makeEmpty(UNIVERSE) == DataCoordinate.make_empty(UNIVERSE) == {}
