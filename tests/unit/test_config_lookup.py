# SPDX-License-Identifier: BSD-3-Clause
"""Which entry of a configuration applies to a dataset."""

from __future__ import annotations

from typing import Any

import pytest

from butler_model.config_lookup import find_entry, flat_entries, lookup_keys
from butler_model.dataset import DatasetType
from butler_model.errors import ConfigurationError
from butler_model.universe import DimensionUniverse

UNIVERSE = DimensionUniverse()
CALEXP = DatasetType("calexp", UNIVERSE.conform(["visit", "detector"]), "ExposureF")
WCS = CALEXP.makeComponentDatasetType("wcs", "SkyWcs")


def test_the_most_specific_key_comes_first() -> None:
    assert list(lookup_keys(CALEXP)) == ["calexp", "instrument+detector+visit+", "ExposureF", "default"]


def test_a_component_falls_back_to_its_composite() -> None:
    assert list(lookup_keys(WCS))[:2] == ["calexp.wcs", "calexp"]


def test_entries_of_the_instrument_come_before_all_others() -> None:
    keys = list(lookup_keys(CALEXP, "HSC"))
    assert keys[:3] == [
        "instrument<HSC>/calexp",
        "instrument<HSC>/instrument+detector+visit+",
        "instrument<HSC>/ExposureF",
    ]
    assert keys[3:] == list(lookup_keys(CALEXP))


def test_each_kind_of_key_wins_over_the_next() -> None:
    config = {
        "instrument<HSC>": {"calexp.wcs": 0, "calexp": 1, "detector+visit+": 2, "SkyWcs": 3},
        "calexp.wcs": 4,
        "calexp": 5,
        "visit+detector": 6,
        "SkyWcs": 7,
        "default": 8,
    }
    entries = flat_entries(config)
    for expected in range(9):
        assert find_entry(entries, WCS, "HSC") == expected
        del entries[next(iter(entries))]
    assert find_entry(entries, WCS, "HSC") is None


def test_entries_of_another_instrument_do_not_apply() -> None:
    entries = flat_entries({"instrument<HSC>": {"calexp": 1}, "default": 2})
    assert find_entry(entries, CALEXP, "LATISS") == 2
    assert find_entry(entries, CALEXP) == 2


@pytest.mark.parametrize(
    "key",
    [
        "visit+detector+",
        "detector+visit",
        "instrument+visit+detector+",
        "visit+detector+physical_filter+band+",
    ],
)
def test_a_set_of_dimensions_is_written_in_any_order_and_with_or_without_what_it_implies(key: str) -> None:
    assert find_entry({key: 1}, CALEXP) == 1


def test_a_set_of_one_dimension_has_a_plus_and_a_larger_or_foreign_set_does_not_apply() -> None:
    flat = DatasetType("flat", UNIVERSE.conform(["instrument"]), "ExposureF")
    assert find_entry({"instrument+": 1}, flat) == 1
    assert find_entry({"instrument": 1, "instrument+visit+": 1, "nonsense+": 1}, flat) is None


@pytest.mark.parametrize("config", [{5: 1}, {"": 1}, {"instrument<HSC": {}}, {"instrument<HSC>": 1}])
def test_a_malformed_key_is_refused(config: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"key"):
        flat_entries(config)
