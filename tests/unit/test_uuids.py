# SPDX-License-Identifier: BSD-3-Clause
"""Many UUIDs in one string of bytes are a sequence like a list of them."""

from __future__ import annotations

import pickle
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from butler_model.uuids import Uuids

LISTS = st.lists(st.uuids(), max_size=20)


def packed(uuids: list[UUID]) -> Uuids:
    return Uuids(b"".join(each.bytes for each in uuids))


@given(LISTS)
def test_it_has_the_values_of_a_list(uuids: list[UUID]) -> None:
    assert list(packed(uuids)) == uuids
    assert len(packed(uuids)) == len(uuids)
    assert [packed(uuids)[i] for i in range(len(uuids))] == uuids
    assert packed(uuids) == uuids


@given(LISTS, st.slices(20))
def test_its_parts_are_those_of_a_list(uuids: list[UUID], part: slice) -> None:
    assert list(packed(uuids)[part]) == uuids[part]


@given(LISTS)
def test_what_it_gives_are_ordinary_uuids(uuids: list[UUID]) -> None:
    for made, known in zip(packed(uuids), uuids, strict=True):
        assert (made, hash(made), str(made), made.is_safe) == (known, hash(known), str(known), known.is_safe)
        assert pickle.loads(pickle.dumps(made)) == known


def test_it_is_pickled_and_compared_with_its_like() -> None:
    uuids = packed([uuid4(), uuid4()])
    assert pickle.loads(pickle.dumps(uuids)) == uuids
    assert uuids != packed([uuid4(), uuid4()])
    assert uuids != "uuids"


def test_a_place_beyond_its_end_and_half_a_uuid_are_refused() -> None:
    with pytest.raises(IndexError):
        packed([uuid4()])[1]
    with pytest.raises(ValueError, match="17 bytes"):
        Uuids(b"x" * 17)
