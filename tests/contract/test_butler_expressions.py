# SPDX-License-Identifier: BSD-3-Clause
"""The expression language, asked through a butler; embedded and through services, on both databases."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.time import Time

from butler import Butler, Timespan
from butler_model import errors
from tests.support.butlers import Repository
from tests.support.observed import DAY, START, square

CAM1 = "instrument = 'Cam1' AND "


@pytest.fixture(scope="module")
def butler(observed: Repository) -> Butler:
    """Give a butler without defaults."""
    return observed.butler()


def visits(butler: Butler, where: str, bind: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
    """Return which visits of Cam1 satisfy an expression."""
    found = butler.registry.queryDataIds("visit", where=CAM1 + f"({where})", bind=bind, **kwargs)
    return [data_id["visit"] for data_id in found]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        # D51: keywords in any case.
        ("visit In (1, 3)", [1, 3]),
        ("visit = 1 or Visit.id = 2 oR visit=3".replace("Visit", "visit"), [1, 2, 3]),
        ("nOt visit = 1", [2, 3, 4, 5, 6]),
        ("visit.name = 'v2'", [2]),
        ("visit.exposure_time > 100.0", [4, 5]),
        ("visit.exposure_time IS NULL", [6]),
        ("visit.exposure_time IS NOT NULL", [1, 2, 3, 4, 5]),
        ("GLOB(visit.science_program, 'prog_?%')", [1, 2, 3, 4, 5, 6]),
        ("GLOB(visit.science_program, 'prog_2*')", [2]),
        ("GLOB(visit.name, 'V*')", []),
        ("physical_filter = 'Cam1-G'", [3, 6]),
        ("band = 'r'", [1, 2, 4, 5]),
        ("day_obs = 20200102", [3, 4]),
        # D52: ranges include their ends, with strides and negative bounds, also very long ones.
        ("visit IN (1..5:2)", [1, 3, 5]),
        ("visit IN (-3..2, 5)", [1, 2, 5]),
        ("visit IN (2..1000000:2)", [2, 4, 6]),
        ("visit NOT IN (1..4)", [5, 6]),
        ("visit IN (5..1)", []),
        # D53: division of integers is integral, % works, NOT binds as the grammar says.
        ("visit / 2 = 1", [2, 3]),
        ("visit % 3 = 1", [1, 4]),
        ("-visit / 2 = -1", [2, 3]),
        ("NOT visit = 1 AND visit < 4", [2, 3]),
        ("NOT (visit = 1 AND visit < 4)", [2, 3, 4, 5, 6]),
        ("visit + 1 * 2 = 5", [3]),
        ("(visit + 1) * 2 = 6", [2]),
        ("visit.exposure_time / 60.0 = 1.0", [2]),
        ("visit = 1 OR visit = 2 AND visit = 3", [1]),
        ("visit.seq_num = 1 AND visit != 1", [3, 5]),
        ("visit / 0 = 1", []),
    ],
)
def test_an_expression_selects_what_it_says(butler: Butler, where: str, expected: list[int]) -> None:
    assert visits(butler, where) == expected


def test_times_are_utc_as_text_and_tai_as_mjd(butler: Butler) -> None:
    # D54: visit 1 begins at 2020-01-01T00:00:00 TAI, which is 37 s before that hour of UTC.
    first = "visit.timespan OVERLAPS (T'2019-12-31T23:59:00', {})"
    assert visits(butler, first.format("T'2019-12-31T23:59:23'")) == []
    assert visits(butler, first.format("T'2019-12-31T23:59:24'")) == [1]
    assert visits(butler, "visit.timespan OVERLAPS T'58849.0'") == [1]
    assert visits(butler, "visit.timespan OVERLAPS T'2020-01-01/tai'") == [1]
    assert visits(butler, "visit.timespan.begin = T'58849.0'") == [1]
    assert visits(butler, "visit.timespan.end > T'2020-01-03T00:00:00'") == [5, 6]


def test_empty_timespans_overlap_nothing_and_null_ends_are_open(butler: Butler) -> None:
    # D55: the comparisons are strict, ranges half-open.
    empty = {"span": Timespan.makeEmpty()}
    assert visits(butler, "visit.timespan OVERLAPS :span", empty) == []
    assert visits(butler, "visit.timespan OVERLAPS (NULL, T'2020-01-01T06:00:00')") == [1]
    assert visits(butler, "visit.timespan OVERLAPS (T'2020-01-02T06:00:00', NULL)") == [4, 5, 6]
    ends = {"at": Timespan.from_nsec(START + DAY // 24, START + DAY // 2)}
    assert visits(butler, "visit.timespan OVERLAPS :at", ends) == []
    assert visits(butler, "visit.timespan < :at", ends) == [1]
    assert visits(butler, "visit.timespan > :at", ends) == [2, 3, 4, 5, 6]


def test_values_are_bound_by_name_with_or_without_colon(butler: Butler) -> None:
    # D76: integers of NumPy are integers, text is never made a number.
    assert visits(butler, "visit = :v", {"v": 2}) == visits(butler, "visit = v", {"v": np.int64(2)}) == [2]
    assert visits(butler, "visit IN (:v)", {"v": [1, 3]}) == [1, 3]
    assert visits(butler, "visit IN (v)", {"v": np.array([1, 3])}) == [1, 3]
    assert visits(butler, "visit IN (:v)", {"v": []}) == []
    assert visits(butler, "visit IN (:v, 6)", {"v": {1, 3}}) == [1, 3, 6]
    assert visits(butler, "visit.name IN (:n)", {"n": ("v1", np.str_("v2"))}) == [1, 2]
    assert visits(butler, "visit.timespan OVERLAPS t", {"t": Time(58849.0, format="mjd", scale="tai")}) == [1]
    assert visits(butler, "visit.timespan.begin > t", {"t": datetime(2020, 1, 3, tzinfo=UTC)}) == [6]
    assert visits(butler, "visit.exposure_time = :x", {"x": np.float64(60.0)}) == [2]
    with pytest.raises(errors.ExpressionTypeError):
        visits(butler, "visit = :v", {"v": "2"})
    with pytest.raises(errors.ExpressionTypeError):
        visits(butler, "visit IN (:v)", {"v": [1, "2"]})
    assert visits(butler, "visit.name = :n", {"n": "v1' OR 'a' = 'a"}) == []


def test_a_list_of_a_hundred_thousand_values_works_and_a_longer_one_is_refused(butler: Butler) -> None:
    values = list(range(4, 100_004))
    assert visits(butler, "visit IN (:v)", {"v": values}) == [4, 5, 6]
    assert visits(butler, "visit.name IN (:v)", {"v": [f"v{i}" for i in values]}) == [4, 5, 6]
    with pytest.raises(errors.LimitExceededError, match="100000"):
        visits(butler, "visit IN (:v)", {"v": [*values, 1]})


def test_regions_are_compared_with_points_circles_boxes_and_polygons(butler: Butler) -> None:
    # D56: exactly, not by pixels.
    assert visits(butler, "visit.region OVERLAPS POINT(20.5, 0.5)") == [2]
    assert visits(butler, "visit.region OVERLAPS POINT(21.01, 0.5)") == []
    assert visits(butler, "visit.region OVERLAPS CIRCLE(15.0, 0.5, 4.1)") == [1]
    assert visits(butler, "visit.region OVERLAPS CIRCLE(15.0, 0.5, 6.0)") == [1, 2]
    assert visits(butler, "visit.region OVERLAPS BOX(15.5, 0.5, 10.0, 0.1)") == [1, 2]
    assert visits(butler, "visit.region OVERLAPS POLYGON(9.0, -1.0, 12.0, -1.0, 12.0, 2.0, 9.0, 2.0)") == [1]
    assert visits(butler, "visit.region OVERLAPS :here", {"here": square(30.9, 0.9)}) == [3]
    assert visits(butler, "NOT visit.region OVERLAPS CIRCLE(10.5, 0.5, 0.1)") == [2, 3, 4, 5]
    assert visits(butler, "visit.region OVERLAPS CIRCLE(10.5, 0.5, 0.1) OR visit = 6") == [1, 6]


def test_datasets_are_selected_by_their_own_fields(butler: Butler) -> None:
    query = butler.registry.queryDatasets
    everything = list(query("bias", collections=...))
    one = everything[0]
    assert list(query("bias", collections=..., where=f"bias.id = UUID('{one.id}')", check=False)) == [one]
    assert list(
        query("bias", collections=..., where="bias.id IN (:ids)", bind={"ids": [one.id]}, check=False)
    ) == [one]
    assert [r.run for r in query("bias", collections=..., where="bias.run = 'run2'", check=False)] == [
        "run2"
    ] * 2
    after = "ingest_date > T'2020-01-01'"
    assert query("bias", collections=..., where=after).count() == len(everything) == 4
    assert query("bias", collections=..., where="ingest_date < T'2020-01-01'").count() == 0
    assert (
        query("bias", collections=..., where="bias.id = :id", bind={"id": uuid.uuid4()}, check=False).count()
        == 0
    )


@pytest.mark.parametrize(
    "where",
    [
        # D49: the instrument must be given, by = and a literal, in every branch of OR.
        "visit = 1",
        "instrument IN ('Cam1') AND visit = 1",
        "instrument != 'Cam1' AND visit = 1",
        "instrument = :camera AND visit = 1",
        "instrument = 'Cam1' AND visit = 1 OR visit = 2",
        # D50: and only one.
        "instrument = 'Cam1' AND instrument = 'Cam2' AND visit = 1",
    ],
)
def test_an_expression_must_say_which_instrument_it_means(butler: Butler, where: str) -> None:
    bind = {"camera": "Cam1"} if ":camera" in where else None
    with pytest.raises(errors.GovernorError, match="instrument"):
        butler.registry.queryDataIds("visit", where=where, bind=bind).count()
    assert butler.registry.queryDataIds("visit", where=where, bind=bind, check=False).count() >= 0


def test_branches_may_mean_different_instruments(butler: Butler) -> None:
    # D49
    where = "instrument = 'Cam1' AND visit = 1 OR instrument = 'Cam2' AND visit = 2"
    found = [(d["instrument"], d["visit"]) for d in butler.registry.queryDataIds("visit", where=where)]
    assert found == [("Cam1", 1), ("Cam2", 2)]
    assert butler.registry.queryDataIds("visit", where="visit = 1", instrument="Cam2").count() == 1


def test_an_unknown_instrument_has_no_rows_and_one_that_contradicts_is_an_error(butler: Butler) -> None:
    # D50
    assert butler.registry.queryDataIds("visit", where="instrument = 'Nope' AND visit = 1").count() == 0
    assert butler.registry.queryDataIds("visit", instrument="Nope").count() == 0
    with pytest.raises(errors.GovernorError):
        butler.registry.queryDataIds(
            "visit", where="instrument = 'Cam1' AND visit = 1", instrument="Cam2"
        ).count()


def test_defaults_reach_expressions_and_never_override_what_is_said(observed: Repository) -> None:
    # D48
    butler = observed.butler(instrument="Cam2")
    query = butler.registry.queryDataIds
    assert [d["instrument"] for d in query("detector", where="detector = 2")] == ["Cam2"]
    assert [d["instrument"] for d in query("detector", where="instrument = 'Cam1' AND detector = 2")] == [
        "Cam1"
    ]
    assert [d["instrument"] for d in query("detector", where="detector = 2", instrument="Cam1")] == ["Cam1"]
    assert query("detector", detector=2).count() == 1
    with pytest.raises(errors.GovernorError):
        query("detector", where="detector = 2 OR instrument = 'Cam1' AND detector = 1").count()


@pytest.mark.parametrize(
    ("where", "error"),
    [
        # D51: one equals sign, single quotes, exact names.
        ("visit == 1", errors.ExpressionSyntaxError),
        ('visit.name = "v1"', errors.ExpressionSyntaxError),
        ("Visit = 1", errors.UnknownNameError),
        ("visit IN ()", errors.ExpressionSyntaxError),
        ("visit LIKE 'a'", errors.ExpressionSyntaxError),
        ("visit BETWEEN 1 AND 2", errors.ExpressionSyntaxError),
        ("visit = 1 AND", errors.ExpressionSyntaxError),
        ("(visit = 1", errors.ExpressionSyntaxError),
        ("visit IN (1..5:0)", errors.ExpressionSyntaxError),
        ("visit = 'a", errors.ExpressionSyntaxError),
        ("nonsense = 1", errors.UnknownNameError),
        ("visit.nonsense = 1", errors.UnknownNameError),
        ("detector.instrument = 'Cam1'", errors.UnknownNameError),
        ("visit = :missing", errors.UnknownNameError),
        # D53: types are checked.
        ("visit = '1'", errors.ExpressionTypeError),
        ("visit = 1.0", errors.ExpressionTypeError),
        ("visit.exposure_time > '3'", errors.ExpressionTypeError),
        ("visit = NULL", errors.ExpressionTypeError),
        ("visit IN (1, 'a')", errors.ExpressionTypeError),
        ("visit", errors.ExpressionTypeError),
        ("visit = 1 AND 2", errors.ExpressionTypeError),
        ("visit.timespan = 3", errors.ExpressionTypeError),
        ("visit.timespan OVERLAPS 'x'", errors.ExpressionTypeError),
        ("visit.region OVERLAPS visit.timespan", errors.ExpressionTypeError),
        ("visit = 9223372036854775808", errors.ExpressionTypeError),
        ("T'nonsense' < visit.timespan.begin", errors.ExpressionTypeError),
        ("visit.region OVERLAPS CIRCLE(1.0, 95.0, 1.0)", errors.ExpressionTypeError),
    ],
)
def test_what_cannot_be_read_is_refused(butler: Butler, where: str, error: type[errors.ButlerError]) -> None:
    with pytest.raises(error) as caught:
        visits(butler, where)
    assert type(caught.value) is error


def test_an_error_shows_where_it_is(butler: Butler) -> None:
    with pytest.raises(errors.ExpressionSyntaxError) as caught:
        butler.registry.queryDataIds("visit", where="instrument = 'Cam1' AND visit == 1").count()
    page = Path(__file__).parents[2] / "docs/reference/expressions.md"
    assert f"ExpressionSyntaxError: {caught.value}\n" in page.read_text(encoding="utf-8")
    *_, text, caret = str(caught.value).splitlines()
    assert text[caret.index("^")] == "="
    with pytest.raises(LookupError):
        visits(butler, "visitt = 1")
    with pytest.raises(TypeError):
        visits(butler, "visit = '1'")


@pytest.mark.parametrize(
    ("where", "bind"),
    [
        ("(" * 101 + "visit = 1" + ")" * 101, {}),
        ("NOT " * 200 + "visit = 1", {}),
        ("visit = 1" + " OR visit = 2" * 100_000, {}),
        ("visit = " + "-" * 200 + "1", {}),
    ],
    ids=["parentheses", "NOTs", "a megabyte", "minuses"],
)
def test_what_is_too_deep_or_too_long_is_refused_with_the_limit(
    butler: Butler, where: str, bind: dict[str, Any]
) -> None:
    with pytest.raises(errors.LimitExceededError, match="100"):
        visits(butler, where, bind)


def test_extreme_numbers_are_compared_and_nan_is_refused(butler: Butler) -> None:
    low, high = -(2**63), 2**63 - 1
    assert visits(butler, "visit > :low AND visit < :high", {"low": low, "high": high}) == [1, 2, 3, 4, 5, 6]
    assert visits(butler, f"visit IN ({low}..{high})") == [1, 2, 3, 4, 5, 6]
    assert visits(butler, "visit.exposure_time < :x", {"x": float("inf")}) == [1, 2, 3, 4, 5]
    for bad in (float("nan"), 2**63, b"bytes"[0:0] or object(), [[1]]):
        with pytest.raises((errors.ExpressionTypeError, errors.InvalidRequestError)):
            visits(butler, "visit.exposure_time = :x", {"x": bad})


@pytest.mark.parametrize(
    ("dataset_type", "where", "data_id"),
    [
        ("calexp", "", {}),
        ("calexp", "instrument = 'Cam1' AND band = 'r'", {}),
        ("calexp", "instrument = 'Cam1'", {"band": "r"}),
        ("calexp", "instrument = 'Cam1' AND physical_filter = 'Cam1-R1' AND day_obs > 0", {}),
        ("calexp", "instrument = 'Cam1' AND visit.exposure_time > 40.0 AND detector.raft = 'A'", {}),
        ("calexp", "instrument = 'Cam1' AND exposure = 12", {}),
        ("calexp", "instrument = 'Cam1' AND detector = 2 AND visit IN (1..6)", {}),
        ("bias", "instrument = 'Cam1' AND visit = 1", {}),
        ("bias", "instrument = 'Cam1' AND band = 'g'", {}),
    ],
)
@pytest.mark.parametrize("collections", ["run1", ["run2", "run1"], "chain"], ids=str)
def test_as_many_are_counted_as_are_listed(
    butler: Butler, dataset_type: str, where: str, data_id: dict[str, Any], collections: Any
) -> None:
    for find_first in (False, True):
        results = butler.registry.queryDatasets(
            dataset_type, collections=collections, where=where, dataId=data_id, findFirst=find_first
        )
        listed = list(results)
        assert listed
        assert results.count() == len(listed)


@pytest.mark.parametrize(("band", "expected"), [("r", 4), ("g", 0)])
def test_what_is_given_of_what_is_implied_counts(butler: Butler, band: str, expected: int) -> None:
    # A visit implies its filter, and that its band.
    given = list(butler.registry.queryDataIds("band", where=f"band = '{band}'"))
    with butler.query() as query:
        found = query.join_data_coordinates(given).datasets("calexp", "run1", find_first=False)
        assert (found.count(), len(list(found))) == (expected, expected)
