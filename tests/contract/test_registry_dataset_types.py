# SPDX-License-Identifier: BSD-3-Clause
"""What every registry does with dataset types, in process or over the wire."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import pytest

from butler_model.dataset import DatasetType
from butler_model.errors import (
    ConflictingDefinitionError,
    InvalidRequestError,
    LimitExceededError,
    MissingDatasetTypeError,
)
from tests.support.registries import (  # noqa: F401 - fixtures
    TYPES,
    RegistryHome,
    RegistrySetup,
    at_once,
    registry_home_of_module,
    registry_of_module,
    registry_of_test,
)


def make(
    setup: RegistrySetup, name: str, dimensions: Sequence[str], storage: str = "Text", **kw: Any
) -> DatasetType:
    return DatasetType(name, setup.universe.conform(dimensions), storage, **kw)


def register(setup: RegistrySetup, dataset_type: DatasetType) -> bool:
    return setup.registry.dataset_types.register(dataset_type, request_id=uuid.uuid4())


def test_repositories_that_come_to_the_same_dimensions_in_another_order_keep_apart(
    home: RegistryHome,
) -> None:
    places = {
        "note": {"instrument": "Cam1", "detector": 2},
        "log": {},
        "night": {"instrument": "Cam1", "visit": 1},
    }
    kinds = {"note": ("instrument", "detector"), "log": (), "night": ("instrument", "visit")}
    orders = (("note", "log", "night"), ("night", "note", "log"))
    setups = [home.fresh() for _ in orders]
    put: list[dict[str, uuid.UUID]] = []
    for setup, order in zip(setups, orders, strict=True):
        for name in order:
            setup.register_type(name, kinds[name])
        setup.register_run("run1")
        put.append({name: setup.put(name, "run1", place)[0] for name, place in places.items()})
    for setup, ids in zip(setups, put, strict=True):
        for name, place in places.items():
            found = setup.find(name, place, "run1")
            assert found is not None
            assert found.ref.id == ids[name]


@pytest.mark.parametrize(
    "dimensions",
    [
        (),
        ("instrument",),
        ("band",),
        ("visit", "detector"),
        ("exposure", "visit", "detector"),
        ("tract", "patch", "band", "skymap"),
        ("tract", "visit"),
        ("htm7",),
        ("subfilter", "patch"),
    ],
    ids=str,
)
def test_a_type_comes_back_as_it_was_registered(setup: RegistrySetup, dimensions: tuple[str, ...]) -> None:
    for name, kw in (("plain", {}), ("calibration_1", {"isCalibration": True})):
        given = make(setup, name, dimensions, "NoOneKnowsThisClass", **kw)
        assert register(setup, given) is True
        assert register(setup, given) is False
        found = setup.registry.dataset_types.get(name)
        assert found == given
        assert found.dimensions is given.dimensions
        assert found.isCalibration() is given.isCalibration()


@pytest.mark.parametrize(
    ("dimensions", "storage", "kw"),
    [
        (("instrument", "visit"), "Text", {}),
        ((), "Text", {}),
        (("instrument", "detector"), "Bytes", {}),
        (("instrument", "detector"), "Text", {"isCalibration": True}),
    ],
)
def test_another_definition_of_a_name_is_a_conflict(
    setup: RegistrySetup, dimensions: tuple[str, ...], storage: str, kw: dict[str, Any]
) -> None:
    # Behaviour D67.
    first = make(setup, "thing", ("instrument", "detector"))
    register(setup, first)
    before = setup.registry.info.revision
    with pytest.raises(ConflictingDefinitionError, match="thing"):
        register(setup, make(setup, "thing", dimensions, storage, **kw))
    assert setup.registry.dataset_types.get("thing") == first
    assert setup.registry.info.revision == before


def test_of_many_who_register_one_type_one_makes_it(setup: RegistrySetup) -> None:
    given = make(setup, "thing", ("visit", "detector"))
    results = at_once(*(lambda: register(setup, given) for _ in range(6)))
    assert sorted(results) == [False] * 5 + [True]


def test_types_with_the_same_new_dimensions_may_be_registered_at_once(setup: RegistrySetup) -> None:
    given = [make(setup, f"thing{i}", ("visit", "patch")) for i in range(6)]
    results = at_once(*(lambda t=t: register(setup, t) for t in given))
    assert results == [True] * 6
    assert setup.registry.dataset_types.find(["thing*"]) == given


def test_the_first_calibration_types_of_known_dimensions_may_be_registered_at_once(
    setup: RegistrySetup,
) -> None:
    for dimensions in (("instrument",), ("instrument", "detector"), ("band",), ("visit", "patch")):
        name = "_".join(dimensions)
        register(setup, make(setup, f"plain_{name}", dimensions))
        given = [make(setup, f"calib{i}_{name}", dimensions, isCalibration=True) for i in range(6)]
        assert at_once(*(lambda t=t: register(setup, t) for t in given)) == [True] * 6


def test_a_component_is_not_registered(shared: RegistrySetup) -> None:
    component = make(shared, "thing.wcs", ("visit",), parentStorageClass="Exposure")
    with pytest.raises(InvalidRequestError, match=r"'thing\.wcs'"):
        register(shared, component)
    with pytest.raises(MissingDatasetTypeError, match=r"'thing\.wcs'"):
        shared.registry.dataset_types.get("thing.wcs")


@pytest.mark.parametrize("name", ["nope", "NOTE", "note ", "", "a" * 500, "x\0y", "'; --"])
def test_a_type_that_does_not_exist_is_missing_whatever_its_name(shared: RegistrySetup, name: str) -> None:
    with pytest.raises(MissingDatasetTypeError) as caught:
        shared.registry.dataset_types.get(name)
    assert repr(name)[:80] in str(caught.value)


def test_globs_find_types_by_name(shared: RegistrySetup) -> None:
    def names(*patterns: str) -> list[str]:
        return [found.name for found in shared.registry.dataset_types.find(patterns)]

    assert names("*") == sorted(TYPES)
    assert names("c*") == ["calexp", "coadd"]
    assert names("raw", "note", "nope") == ["note", "raw"]
    assert names("[rn]*") == ["note", "raw"]
    assert names("Raw") == []
    assert names() == []


def test_patterns_have_a_limit(shared: RegistrySetup) -> None:
    with pytest.raises(LimitExceededError, match="255"):
        shared.registry.dataset_types.find(["a" * 256])
    with pytest.raises(LimitExceededError, match="100"):
        shared.registry.dataset_types.find(["*"] * 101)


def test_the_longest_names_can_be_registered(setup: RegistrySetup) -> None:
    given = make(setup, "n" * 128, ("visit",), "S" * 128)
    register(setup, given)
    assert setup.registry.dataset_types.get("n" * 128) == given


def test_a_new_type_advances_the_revision(setup: RegistrySetup) -> None:
    before = setup.registry.info.revision
    register(setup, make(setup, "thing", ("visit",)))
    assert setup.registry.info.revision == before + 1
    register(setup, make(setup, "thing", ("visit",)))
    assert setup.registry.info.revision == before + 1
