# SPDX-License-Identifier: BSD-3-Clause
"""Dimension records: which fields they accept, and when two are the same."""

from __future__ import annotations

import math
import pickle
from typing import Any

import lsst.sphgeom
import numpy as np
import pytest
from astropy.time import Time

from butler_model.errors import DimensionNameError, DimensionValueError, InconsistentDataIdError
from butler_model.records import DimensionRecord
from butler_model.timespan import Timespan
from butler_model.universe import DimensionUniverse

UNIVERSE = DimensionUniverse()
VISIT = {"instrument": "HSC", "id": 7, "name": "v7", "physical_filter": "HSC-R", "day_obs": 20200101}


def record(element: str, **fields: Any) -> DimensionRecord:
    return UNIVERSE[element].RecordClass(**fields)


def test_fields_are_attributes() -> None:
    visit = record("visit", **VISIT, exposure_time=30)
    assert (visit.instrument, visit.id, visit.visit, visit.name) == ("HSC", 7, 7, "v7")
    assert (type(visit.exposure_time), visit.exposure_time) == (float, 30.0)
    assert visit.seq_num is None
    assert visit.get("visit") == 7
    assert visit.key == ("HSC", 7)
    with pytest.raises(AttributeError, match="nope"):
        _ = visit.nope
    with pytest.raises(AttributeError):
        visit.id = 8


def test_the_key_may_have_the_name_of_the_dimension() -> None:
    fields = {**VISIT, "visit": VISIT["id"]}
    assert record("visit", **fields) == record("visit", **VISIT)
    del fields["id"]
    assert record("visit", **fields).toDict() == record("visit", **VISIT).toDict()
    with pytest.raises(InconsistentDataIdError, match=r"visit.*'id'"):
        record("visit", **VISIT, visit=8)


@pytest.mark.parametrize("missing", ["instrument", "id", "physical_filter", "day_obs"])
def test_a_missing_key_is_named(missing: str) -> None:
    for fields in ({k: v for k, v in VISIT.items() if k != missing}, {**VISIT, missing: None}):
        with pytest.raises(DimensionNameError, match=missing):
            record("visit", **fields)


def test_an_alternate_key_must_have_a_value() -> None:
    with pytest.raises(DimensionValueError, match=r"detector\.full_name"):
        record("detector", instrument="HSC", id=1)


@pytest.mark.parametrize("field", ["nope", "ID", "", "datetime_middle"])
def test_an_unknown_field_is_named(field: str) -> None:
    with pytest.raises(DimensionValueError, match=f"'{field}'"):
        record("visit", **{**VISIT, field: 1})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "7"),
        ("id", 7.0),
        ("id", True),
        ("id", 2**63),
        ("seq_num", 1.5),
        ("seq_num", "1"),
        ("seq_num", np.array([1, 2])),
        ("exposure_time", "30"),
        ("exposure_time", True),
        ("exposure_time", 10**400),
        ("exposure_time", 1j),
        ("name", 7),
        ("name", "n" * 65),
        ("name", "a\0b"),
        ("name", "\udcff"),
        ("observation_reason", "r" * 69),
        ("region", "circle"),
        ("region", b"\0"),
        ("timespan", (0, 1)),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_value_of_the_wrong_type_or_length_is_refused_and_named(field: str, value: Any) -> None:
    with pytest.raises(DimensionValueError, match=rf"visit\.{field}") as caught:
        record("visit", **{**VISIT, field: value})
    assert caught.value.metadata["column"] == field


def test_flags_are_flags() -> None:
    exposure = {
        "instrument": "HSC",
        "id": 1,
        "obs_id": "o",
        "physical_filter": "R",
        "day_obs": 1,
        "group": "g",
    }
    assert record("exposure", **exposure, has_simulated=np.True_).has_simulated is True
    for value in (1, "true", 0.0):
        with pytest.raises(DimensionValueError, match="has_simulated"):
            record("exposure", **exposure, has_simulated=value)


def test_a_hash_is_bytes() -> None:
    assert record("skymap", name="s", hash=bytearray(40)).hash == bytes(40)
    for value in ("text", bytes(41)):
        with pytest.raises(DimensionValueError, match=r"skymap\.hash"):
            record("skymap", name="s", hash=value)


def test_not_a_number_is_no_value() -> None:
    assert record("visit", **VISIT, azimuth=math.nan).azimuth is None
    assert record("visit", **VISIT, azimuth=np.float32("nan")).azimuth is None
    assert record("visit", **VISIT, azimuth=math.inf).azimuth == math.inf


def test_a_record_without_times_is_valid_for_ever() -> None:
    # Behaviour D42.
    unbounded = Timespan(None, None)
    assert record("visit", **VISIT).timespan == unbounded
    assert record("visit", **VISIT, timespan=None).timespan == unbounded
    begin, end = Time("2020-01-01", scale="tai"), Time("2020-01-02", scale="tai")
    assert record("visit", **VISIT, datetime_begin=begin, datetime_end=end).timespan == Timespan(begin, end)
    assert record("visit", **VISIT, datetime_begin=begin).timespan == Timespan(begin, None)


def test_toDict_gives_all_fields_and_may_split_the_timespan() -> None:
    begin = Time("2020-01-01", scale="tai")
    visit = record("visit", **VISIT, datetime_begin=begin)
    assert visit.toDict()["timespan"] == Timespan(begin, None)
    split = visit.toDict(splitTimespan=True)
    assert "timespan" not in split
    assert (split["datetime_begin"], split["datetime_end"]) == (begin, None)
    assert record("visit", **split).toDict() == visit.toDict()


def test_records_are_the_same_if_their_keys_are() -> None:
    mine, theirs = record("visit", **VISIT), record("visit", **VISIT, seq_num=5)
    assert mine == theirs
    assert hash(mine) == hash(theirs)
    assert mine.differences(theirs) == {"seq_num": (None, 5)}
    assert mine.differences(mine) == {}
    assert mine != record("visit", **{**VISIT, "id": 8})
    assert record("tract", skymap="s", id=1) != record("instrument", name="s")


@pytest.mark.parametrize("encoded", ["circle", "box", "polygon", "union"])
def test_equal_regions_do_not_differ(encoded: str) -> None:
    def region() -> lsst.sphgeom.Region:
        centre = lsst.sphgeom.UnitVector3d(lsst.sphgeom.LonLat.fromDegrees(10, 20))
        circle = lsst.sphgeom.Circle(centre, lsst.sphgeom.Angle(0.01))
        box = lsst.sphgeom.Box.fromDegrees(1, 2, 3, 4)
        corners = [
            lsst.sphgeom.UnitVector3d(lsst.sphgeom.LonLat.fromDegrees(*p)) for p in ((0, 0), (1, 0), (0, 1))
        ]
        kinds = {
            "circle": circle,
            "box": box,
            "polygon": lsst.sphgeom.ConvexPolygon(corners),
            "union": lsst.sphgeom.UnionRegion(circle, box),
        }
        return kinds[encoded]

    mine, theirs = (record("visit", **VISIT, region=region()) for _ in range(2))
    assert mine.differences(theirs) == {}
    assert "region" in mine.differences(record("visit", **VISIT))


def test_a_record_knows_its_data_id() -> None:
    data_id = record("visit", **VISIT).dataId
    assert data_id == {"instrument": "HSC", "visit": 7}
    assert not data_id.hasFull()  # the filter's band is not in the record of a visit
    assert record("physical_filter", instrument="HSC", name="R", band="r").dataId.hasFull()


def test_it_can_be_pickled() -> None:
    visit = record("visit", **VISIT, region=lsst.sphgeom.Box.fromDegrees(1, 2, 3, 4), timespan=Timespan.EMPTY)
    copy = pickle.loads(pickle.dumps(visit))
    assert copy == visit
    assert copy.differences(visit) == {}
    assert copy.definition is visit.definition


def test_it_is_shown_without_its_region() -> None:
    shown = str(record("visit", **VISIT, region=lsst.sphgeom.Box.fromDegrees(1, 2, 3, 4)))
    assert shown.startswith("visit{instrument: 'HSC', id: 7")
    assert "region" not in shown
