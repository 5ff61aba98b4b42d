# SPDX-License-Identifier: BSD-3-Clause
"""Random expressions about visits and detectors, of every operator and type."""

from __future__ import annotations

__all__ = ["conditions"]

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from butler_model.query.expression import (
    And,
    Binary,
    Call,
    Compare,
    Expression,
    In,
    IsNull,
    Literal,
    Name,
    Negative,
    Not,
    Or,
    Pair,
    RangeLiteral,
    TimeLiteral,
)

_COMPARISONS = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
_SMALL = st.integers(-20, 20)


def _names(*names: str) -> SearchStrategy[Expression]:
    return st.sampled_from([Name(name) for name in names])


_INT_NAMES = _names("visit", "detector", "visit.seq_num", "visit.id", "detector.id")
_FLOAT_NAMES = _names("visit.exposure_time", "visit.zenith_angle")
_TEXT_NAMES = _names(
    "physical_filter", "band", "visit.name", "visit.science_program", "detector.full_name", "detector.raft"
)
_INSTANTS: SearchStrategy[Expression] = st.builds(
    lambda day, hour: TimeLiteral(f"2020-01-{day:02}T{hour:02}:00:00/tai"),
    st.integers(1, 4),
    st.integers(0, 23),
)
_TIMES = st.one_of(_names("visit.timespan.begin", "visit.timespan.end"), _INSTANTS)
_TEXTS = st.sampled_from(
    ["", "g", "r", "v1", "v10", "Aa", "A", "prog%_1", "it's", "Cam1-G", "é", "a\\b", "[a]"]
).map(Literal)
_NULL = st.just(Literal(None))
_SPANS = st.one_of(
    _names("visit.timespan"), st.builds(Pair, st.one_of(_INSTANTS, _NULL), st.one_of(_INSTANTS, _NULL))
)


def _arithmetic(operands: SearchStrategy[Expression], operators: str) -> SearchStrategy[Expression]:
    return st.recursive(
        operands,
        lambda inner: st.one_of(
            st.builds(Binary, st.sampled_from(operators), inner, inner),
            st.builds(Negative, inner.filter(lambda node: not isinstance(node, Literal))),
        ),
        max_leaves=4,
    )


_INTS = _arithmetic(st.one_of(_INT_NAMES, _SMALL.map(Literal)), "+-*/%")
_FLOATS = _arithmetic(st.one_of(_FLOAT_NAMES, st.integers(-40, 40).map(lambda n: Literal(n / 4))), "+-*/")
_RANGES = st.builds(RangeLiteral, st.integers(-5, 8), st.integers(-5, 20), st.integers(1, 4))
_PATTERNS = st.text(st.sampled_from("*?abvprog_%1[]\\"), max_size=6).map(Literal)
_CIRCLES = st.builds(
    lambda ra, dec, radius: Call("CIRCLE", (Literal(float(ra)), Literal(dec / 2), Literal(radius / 4))),
    st.integers(0, 40),
    st.integers(-4, 4),
    st.integers(1, 40),
)


def _in(members: SearchStrategy[Expression], items: SearchStrategy[Expression]) -> SearchStrategy[Expression]:
    return st.builds(In, members, st.lists(items, min_size=1, max_size=4).map(tuple), st.booleans())


_SIMPLE: SearchStrategy[Expression] = st.one_of(
    st.builds(Compare, _COMPARISONS, _INTS, _INTS),
    st.builds(Compare, _COMPARISONS, _FLOATS, _FLOATS),
    st.builds(Compare, _COMPARISONS, _TEXT_NAMES, st.one_of(_TEXT_NAMES, _TEXTS)),
    st.builds(Compare, _COMPARISONS, _TIMES, _TIMES),
    st.builds(Compare, st.sampled_from(["=", "!=", "<", ">", "OVERLAPS"]), _SPANS, _SPANS),
    st.builds(Compare, st.just("OVERLAPS"), _SPANS, _TIMES),
    st.builds(Compare, st.just("OVERLAPS"), _names("visit.region"), _CIRCLES),
    _in(_INTS, st.one_of(_SMALL.map(Literal), _RANGES)),
    _in(_TEXT_NAMES, _TEXTS),
    st.builds(
        IsNull,
        st.one_of(
            _INTS, _FLOATS, _TEXT_NAMES, _names("visit.timespan", "visit.region", "visit.timespan.end")
        ),
        st.booleans(),
    ),
    st.builds(lambda name, pattern: Call("GLOB", (name, pattern)), _TEXT_NAMES, _PATTERNS),
)


def conditions() -> SearchStrategy[Expression]:
    """Return random conditions; none but names and values in them can be wrong."""
    return st.recursive(
        _SIMPLE,
        lambda inner: st.one_of(
            st.lists(inner, min_size=2, max_size=3).map(lambda each: And(tuple(each))),
            st.lists(inner, min_size=2, max_size=3).map(lambda each: Or(tuple(each))),
            inner.map(Not),
        ),
        max_leaves=5,
    )
