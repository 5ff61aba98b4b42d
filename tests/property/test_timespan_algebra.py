# SPDX-License-Identifier: BSD-3-Clause
"""The algebra of timespans, checked against sets of instants."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from butler_model.timespan import MAX_NSEC, MIN_NSEC, Timespan, nsec_from_time, time_from_nsec

# A few instants, so that ends often coincide; the first and the last are the limits.
GRID = [MIN_NSEC, 10, 20, 30, 40, MAX_NSEC]
POINTS = [0, 5, 10, 15, 20, 25, 30, 35, 40, 45, MAX_NSEC - 1]
ends = st.sampled_from([None, *GRID])
coarse = st.builds(Timespan.from_nsec, ends, ends)
nsecs = st.integers(MIN_NSEC, MAX_NSEC)
fine = st.builds(Timespan.from_nsec, nsecs, nsecs)
timespans = st.one_of(coarse, fine)


def instants(span: Timespan) -> set[int]:
    """Return which of the points are inside."""
    begin, end = span.nsec
    return {point for point in POINTS if begin <= point < end}


@given(coarse, coarse)
def test_operations_are_those_of_sets(a: Timespan, b: Timespan) -> None:
    mine, theirs = instants(a), instants(b)
    assert a.isEmpty() == (not mine)
    assert a.overlaps(b) == bool(mine & theirs)
    assert a.contains(b) == (theirs <= mine)
    assert instants(a.intersection(b)) == mine & theirs
    assert set().union(*map(instants, a.difference(b))) == mine - theirs
    assert (a < b) == bool(mine and theirs and max(mine) < min(theirs))
    assert (a > b) == (b < a)
    assert (a == b) == (mine == theirs)


@given(timespans, timespans)
def test_overlap_and_intersection_do_not_depend_on_the_order(a: Timespan, b: Timespan) -> None:
    assert a.overlaps(b) == b.overlaps(a)
    assert a.intersection(b) == b.intersection(a)
    assert a.overlaps(b) == (not a.intersection(b).isEmpty())
    assert not (a < b and a.overlaps(b))


@given(timespans, timespans, timespans)
def test_intersections_associate(a: Timespan, b: Timespan, c: Timespan) -> None:
    assert a.intersection(b).intersection(c) == a.intersection(b, c) == a.intersection(b.intersection(c))


@given(timespans, timespans)
def test_a_difference_and_the_intersection_make_up_the_whole(a: Timespan, b: Timespan) -> None:
    pieces = [*a.difference(b), a.intersection(b)]
    lengths = [piece.nsec[1] - piece.nsec[0] for piece in pieces if not piece.isEmpty()]
    assert sum(lengths) == (0 if a.isEmpty() else a.nsec[1] - a.nsec[0])
    assert len(pieces) <= 3
    for i, piece in enumerate(pieces):
        assert a.contains(piece)
        assert not any(piece.overlaps(other) for other in pieces[i + 1 :])
    for piece in pieces[:-1]:
        assert not piece.isEmpty()
        assert not piece.overlaps(b)


@given(timespans)
def test_a_timespan_is_made_again_from_what_it_tells(span: Timespan) -> None:
    assert Timespan.from_simple(span.to_simple()) == span
    if not span.isEmpty():
        assert Timespan(span.begin, span.end) == span


@given(nsecs)
def test_astropy_times_are_exact_to_the_nanosecond(nsec: int) -> None:
    assert nsec_from_time(time_from_nsec(nsec)) == nsec


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_any_integers_make_a_timespan_within_the_limits_or_are_refused(begin: int, end: int) -> None:
    try:
        span = Timespan.from_nsec(begin, end)
    except ValueError:
        assert (begin < MIN_NSEC and end < MIN_NSEC) or (begin > MAX_NSEC and end > MAX_NSEC)
        return
    low, high = span.nsec
    assert span.isEmpty() or MIN_NSEC <= low < high <= MAX_NSEC
