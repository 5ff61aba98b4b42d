# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import pickle
from typing import Any

import pytest

from butler_api.convert.repositories import composites_from_json
from butler_model.composites import NOTHING_DISASSEMBLED, Composites
from butler_model.dataset import DatasetType
from butler_model.errors import ConfigurationError, LimitExceededError
from butler_model.universe import DimensionUniverse

UNIVERSE = DimensionUniverse()
CALEXP = DatasetType("calexp", ["visit", "detector"], "ExposureF", universe=UNIVERSE)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, False),
        ({"default": True}, True),
        ({"disassembled": {"ExposureF": True}}, True),
        ({"disassembled": {"calexp": False, "ExposureF": True}}, False),
        ({"disassembled": {"visit+detector+": True}}, True),
        ({"default": True, "disassembled": {"visit+detector+": False, "ExposureF": True}}, False),
        ({"disassembled": {"instrument<HSC>": {"calexp": True}, "calexp": False}}, True),
        ({"disassembled": {"instrument<Other>": {"calexp": True}, "calexp": False}}, False),
        ({"default": True, "disassembled": {"raw": False}}, True),
    ],
)
def test_the_most_specific_key_decides(config: dict[str, Any], expected: bool) -> None:
    assert Composites(config).is_disassembled(CALEXP, "HSC") is expected


@pytest.mark.parametrize(
    "config",
    [
        {"default": 1},
        {"default": None},
        {"disassembled": {"calexp": "true"}},
        {"disassembled": {"instrument<HSC>": {"calexp": 0}}},
        {"disassembled": ["calexp"]},
        {"disassembled": {"": True}},
        {"calexp": True},
        [],
    ],
)
def test_a_configuration_of_another_shape_is_refused(config: Any) -> None:
    with pytest.raises(ConfigurationError):
        Composites(config)


def test_they_travel_as_json_and_are_equal_by_content() -> None:
    made = Composites({"disassembled": {"instrument<HSC>": {"calexp": True}, "raw": False}})
    assert composites_from_json(made.config_json) == made
    assert pickle.loads(pickle.dumps(made)) == made
    assert hash(Composites({"default": False})) == hash(NOTHING_DISASSEMBLED)
    assert made != NOTHING_DISASSEMBLED
    assert composites_from_json("") == NOTHING_DISASSEMBLED
    assert "calexp" in repr(made)


@pytest.mark.parametrize("text", ["nonsense", "[]", "[" * 100_000, '{"default": "yes"}'])
def test_a_text_that_is_no_configuration_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        composites_from_json(text)


def test_a_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(LimitExceededError):
        composites_from_json(" " * (1024 * 1024 + 1))
