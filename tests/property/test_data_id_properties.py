# SPDX-License-Identifier: BSD-3-Clause
"""Data IDs: any values come back as they went in or are refused with an error that names them."""

from __future__ import annotations

import itertools
import pickle
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from butler_model.data_id import DataCoordinate
from butler_model.errors import ButlerError, DimensionNameError, DimensionValueError
from butler_model.universe import DimensionUniverse

UNIVERSE = DimensionUniverse()
DIMENSIONS = [*sorted(e.name for e in UNIVERSE if e.is_dimension and not e.skypix), "htm7", "healpix3"]
numbers = st.integers(-(2**63), 2**63 - 1)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=32)
groups = st.sets(st.sampled_from(DIMENSIONS), max_size=5).map(UNIVERSE.conform)
anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=80),
    st.binary(max_size=8),
    st.lists(st.integers(), max_size=2),
    st.integers(-(2**31), 2**31 - 1).map(np.int32),
    st.floats().map(np.float64),
)


@st.composite
def full(draw: st.DrawFn) -> DataCoordinate:
    group = draw(groups)
    return DataCoordinate.standardize({name: draw(value_of(name)) for name in group.names}, dimensions=group)


def value_of(name: str) -> st.SearchStrategy[Any]:
    return numbers if UNIVERSE[name].key_columns[name].python_type is int else texts


@given(full())
def test_values_come_back_as_they_went_in(data_id: DataCoordinate) -> None:
    again = DataCoordinate.standardize(dict(data_id.mapping), dimensions=data_id.dimensions)
    assert again.values_tuple == data_id.values_tuple
    assert again.hasFull()
    copy = pickle.loads(pickle.dumps(data_id))
    assert (copy, copy.values_tuple) == (data_id, data_id.values_tuple)


@given(full())
def test_the_order_of_keys_does_not_matter(data_id: DataCoordinate) -> None:
    items = list(data_id.mapping.items())
    for order in itertools.islice(itertools.permutations(items), 5):
        made = DataCoordinate.standardize(dict(order), universe=UNIVERSE)
        assert (made, hash(made)) == (data_id, hash(data_id))


@given(full(), st.data())
def test_a_subset_of_a_subset_is_the_subset(data_id: DataCoordinate, data: st.DataObject) -> None:
    names = data.draw(
        st.sets(st.sampled_from(data_id.dimensions.names)) if data_id.dimensions.names else st.just(set())
    )
    part = data_id.subset(sorted(names))
    assert part.subset(part.dimensions) is part
    assert all(data_id[name] == value for name, value in part.mapping.items())
    assert part.union(data_id) == data_id
    assert DataCoordinate.standardize(data_id, dimensions=part.dimensions) == part


@given(full(), full())
def test_equality_goes_by_dimensions_and_required_values(a: DataCoordinate, b: DataCoordinate) -> None:
    same = a.dimensions is b.dimensions and dict(a.required) == dict(b.required)
    assert (a == b) is same
    assert (hash(a) == hash(b)) or not same


@given(
    st.dictionaries(st.one_of(st.sampled_from(DIMENSIONS), st.text(max_size=5)), anything, max_size=4), groups
)
def test_anything_is_accepted_with_the_right_types_or_refused(mapping: dict[str, Any], group: Any) -> None:
    for dimensions in (None, group):
        try:
            made = DataCoordinate.standardize(mapping, dimensions=dimensions, universe=UNIVERSE)
        except (DimensionNameError, DimensionValueError) as error:
            assert len(str(error)) < 5_000
        else:
            for name, value in made.mapping.items():
                assert type(value) is UNIVERSE[name].key_columns[name].python_type
                assert value == mapping[name]


@given(groups, groups)
def test_groups_are_a_lattice(a: Any, b: Any) -> None:
    union, common = a | b, a & b
    assert union is b | a
    assert common is b & a
    assert a <= union
    assert common <= a
    assert set(union.names) == {*a.names, *b.names}
    assert (a <= b) is (set(a.names) <= set(b.names))
    assert set(union.required) | set(union.implied) == set(union.names)
    assert not set(union.required) & set(union.implied)


@given(full(), st.sampled_from(DIMENSIONS))
def test_an_unknown_value_is_a_key_error(data_id: DataCoordinate, name: str) -> None:
    try:
        value = data_id[name]
    except KeyError as error:
        assert name not in data_id
        assert not isinstance(error, ButlerError) or name in str(error)
    else:
        assert data_id.mapping[name] == value
