# SPDX-License-Identifier: BSD-3-Clause
"""Listings in the order of keys."""

from __future__ import annotations

import random

import pytest

from butler_datastore.stores.sorted_listing import sorted_listing
from butler_datastore.stores.store import Listed


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 40, 99])
def test_a_listing_comes_by_key_whether_it_fits_into_memory_or_not(count: int) -> None:
    listed = [Listed(f"run/{'-./'[n % 3]}{n}", n, n / 2) for n in range(count)]
    random.Random(count).shuffle(listed)
    assert list(sorted_listing(listed, in_memory=10)) == sorted(listed, key=lambda each: each.key)
