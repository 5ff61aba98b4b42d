# SPDX-License-Identifier: BSD-3-Clause
"""Timespans: half-open, integer nanoseconds inside, astropy times outside."""

from __future__ import annotations

import pickle

import pytest
from astropy.time import Time

from butler_model.timespan import MAX_NSEC, MIN_NSEC, Timespan, nsec_from_time, time_from_nsec

BEGIN, MIDDLE, END = (Time(f"2020-01-0{day}T00:00:00", scale="tai") for day in (1, 2, 3))
SECOND = 10**9
DAY = 86_400 * SECOND


def test_times_are_tai_nanoseconds_since_1970() -> None:
    assert nsec_from_time(Time("1970-01-01", scale="tai")) == 0
    assert nsec_from_time(BEGIN) == 18_262 * DAY
    assert nsec_from_time(Time("2100-01-01", scale="tai")) == MAX_NSEC
    assert MIN_NSEC == 0


def test_utc_is_behind_tai() -> None:
    # Behaviours A9 and D54: 37 s since 2017.
    assert nsec_from_time(Time("2020-01-01", scale="utc")) - nsec_from_time(BEGIN) == 37 * SECOND
    span = Timespan(Time("2020-01-01", scale="utc"), Time("2020-01-02", scale="utc"))
    assert span.begin is not None
    assert span.begin.isot == "2020-01-01T00:00:37.000"


@pytest.mark.parametrize(
    "nsec", [1, 999_999_999, 18_262 * DAY + 1, 18_262 * DAY + DAY // 2 - 1, MAX_NSEC - 1]
)
def test_a_nanosecond_is_not_lost_on_the_way_to_astropy_and_back(nsec: int) -> None:
    assert nsec_from_time(time_from_nsec(nsec)) == nsec


def test_none_is_unbounded() -> None:
    assert Timespan(None, None).nsec == (MIN_NSEC, MAX_NSEC)
    span = Timespan(None, END)
    assert span.begin is None
    assert span.end == END
    assert Timespan(BEGIN, None).end is None
    assert Timespan(None, None) == Timespan.from_nsec(None, None)


def test_times_outside_the_limits_count_as_unbounded() -> None:
    assert Timespan(Time("1960-01-01", scale="tai"), END) == Timespan(None, END)
    assert Timespan(BEGIN, Time("2200-01-01", scale="tai")) == Timespan(BEGIN, None)
    for begin, end in (("1950-01-01", "1960-01-01"), ("2150-01-01", "2160-01-01")):
        with pytest.raises(ValueError, match="1970 to 2100"):
            Timespan(Time(begin, scale="tai"), Time(end, scale="tai"))


def test_an_instant_is_a_nanosecond_long() -> None:
    assert Timespan(BEGIN, BEGIN) == Timespan.fromInstant(BEGIN)
    assert Timespan.fromInstant(BEGIN).nsec == (18_262 * DAY, 18_262 * DAY + 1)
    assert Timespan(BEGIN, BEGIN, padInstantaneous=False) == Timespan.EMPTY
    assert Timespan.from_nsec(5, 5) == Timespan.EMPTY
    for make in (Timespan.fromInstant, lambda text: Timespan(text, None)):
        with pytest.raises(TypeError, match="Time of astropy, not '2020-01-01'"):
            make("2020-01-01")


def test_all_empty_timespans_are_one() -> None:
    for span in (
        Timespan(END, BEGIN),
        Timespan.makeEmpty(),
        Timespan.from_nsec(9, 3),
        Timespan.from_simple([9, 3]),
    ):
        assert span == Timespan.EMPTY
        assert hash(span) == hash(Timespan.EMPTY)
        assert span.isEmpty()
        assert str(span) == "(empty)"
    for end in ("begin", "end"):
        with pytest.raises(ValueError, match="neither begin nor end"):
            getattr(Timespan.EMPTY, end)


def test_the_end_is_outside() -> None:
    # Behaviour D43.
    first, second = Timespan(BEGIN, MIDDLE), Timespan(MIDDLE, END)
    assert not first.overlaps(second)
    assert not first.contains(MIDDLE)
    assert second.contains(MIDDLE)
    assert first.contains(BEGIN)
    assert first < second
    assert second > first
    assert not first > second
    assert list(Timespan(BEGIN, END).difference(second)) == [first]


def test_the_empty_timespan_overlaps_nothing_and_is_in_everything() -> None:
    # Behaviour D55.
    whole = Timespan(None, None)
    for span in (whole, Timespan(BEGIN, END), Timespan.EMPTY):
        assert not span.overlaps(Timespan.EMPTY)
        assert not Timespan.EMPTY.overlaps(span)
        assert span.contains(Timespan.EMPTY)
        assert not span < Timespan.EMPTY
        assert not span > Timespan.EMPTY
        assert span.intersection(Timespan.EMPTY) == Timespan.EMPTY
        assert list(Timespan.EMPTY.difference(span)) == []
    assert not Timespan.EMPTY.contains(whole)
    assert not Timespan.EMPTY.contains(BEGIN)
    assert not Timespan.EMPTY.overlaps(BEGIN)


def test_times_are_compared_with_timespans() -> None:
    span = Timespan(BEGIN, MIDDLE)
    assert span < MIDDLE
    assert span < END
    assert not span < BEGIN
    assert Timespan(MIDDLE, END) > BEGIN
    assert span.overlaps(BEGIN)
    assert not span.overlaps(MIDDLE)


def test_an_intersection_may_be_of_many() -> None:
    span = Timespan(None, None).intersection(
        Timespan(BEGIN, None), Timespan(None, END), Timespan(None, MIDDLE)
    )
    assert span == Timespan(BEGIN, MIDDLE)
    assert span.intersection() == span


def test_a_difference_may_be_two() -> None:
    inside = Timespan.from_nsec(4, 6)
    assert list(Timespan.from_nsec(1, 9).difference(inside)) == [
        Timespan.from_nsec(1, 4),
        Timespan.from_nsec(6, 9),
    ]
    assert list(inside.difference(Timespan.from_nsec(1, 9))) == []
    assert list(inside.difference(Timespan.from_nsec(6, 9))) == [inside]


def test_it_cannot_be_changed_and_can_be_pickled() -> None:
    span = Timespan(BEGIN, END)
    with pytest.raises(AttributeError):
        span._begin = 5
    for each in (span, Timespan(None, None), Timespan.EMPTY):
        assert pickle.loads(pickle.dumps(each)) == each
        assert Timespan.from_simple(each.to_simple()) == each
    assert {span: 1}[Timespan(BEGIN, END)] == 1
    assert span != (1, 2)


def test_it_is_shown_as_an_interval() -> None:
    assert str(Timespan(BEGIN, None)) == "[2020-01-01T00:00:00.000, ∞)"
    assert str(Timespan(None, END)) == "(-∞, 2020-01-03T00:00:00.000)"
