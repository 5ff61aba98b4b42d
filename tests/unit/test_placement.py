# SPDX-License-Identifier: BSD-3-Clause
"""Placement: which store takes a dataset, and by which template it is named there."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from butler_model.artifact import ArtifactLayout
from butler_model.data_id import DataCoordinate
from butler_model.dataset import DatasetRef, DatasetType
from butler_model.errors import ConfigurationError, DatasetTypeNotSupportedError
from butler_model.placement import Place, Placement
from butler_model.repository import Constraints, Store
from butler_model.universe import DimensionUniverse

UNIVERSE = DimensionUniverse()
ID = uuid.UUID("01890000-0000-7000-8000-0123456789ab")
TAIL = "_0123456789ab.json"


def ref(name: str = "raw", instrument: str = "HSC", storage_class: str = "StructuredDataDict") -> DatasetRef:
    group = UNIVERSE.conform(["instrument", "detector"])
    data_id = DataCoordinate.from_required_values(group, (instrument, 7))
    return DatasetRef(DatasetType(name, group, storage_class), data_id, "run", id=ID)


def place(*stores: Store, component: str = "", **which: Any) -> Place:
    layout = ArtifactLayout("json", ".json", which.get("storage_class", "StructuredDataDict"), component)
    return Placement(stores, UNIVERSE).place(ref(**which), layout)


def templates(**texts: str) -> dict[str, str]:
    return {key: f"{text}/{{run}}/{{datasetType}}" for key, text in texts.items()}


def test_the_most_specific_template_names_the_artifact() -> None:
    store = Store.from_mapping(
        {
            "name": "main",
            "template": "rest/{run}/{datasetType}",
            "templates": {
                **templates(raw="by_type", Text="by_class"),
                "detector+instrument": "by_dimensions/{run}/{datasetType}",
                "instrument<LSST>": templates(raw="by_instrument"),
            },
        }
    )
    assert place(store).key == f"by_type/run/raw{TAIL}"
    assert place(store, instrument="LSST").key == f"by_instrument/run/raw{TAIL}"
    assert place(store, name="flat", storage_class="Text").key == f"by_dimensions/run/flat{TAIL}"
    assert place(Store("main", templates=templates(Text="by_class")), storage_class="Text").key.startswith(
        "by_class/"
    )


def test_a_component_is_named_by_a_template_of_its_own_or_by_that_of_the_composite() -> None:
    store = Store("main", templates={**templates(raw="whole"), "raw.wcs": "wcs/{run}/{datasetType}"})
    assert place(store, component="wcs").key.startswith("wcs/")
    assert place(store, component="image").key.startswith("whole/")


def test_the_first_store_that_takes_a_dataset_gets_it() -> None:
    small = Store("small", constraints=Constraints(accept=("flat",)))
    assert place(small, Store("main")).store == "main"
    assert place(small, Store("main"), name="flat").store == "small"


@pytest.mark.parametrize(
    ("constraints", "taken"),
    [
        (Constraints(), True),
        (Constraints(accept=("raw",)), True),
        (Constraints(accept=("flat",)), False),
        (Constraints(reject=("raw",)), False),
        (Constraints(reject=("flat",)), True),
        (Constraints(reject=("all",)), False),
        (Constraints(accept=("all",)), True),
        (Constraints(accept=("raw",), reject=("all",)), True),
        (Constraints(accept=("all",), reject=("raw",)), False),
        (Constraints(accept=("raw",), reject=("StructuredDataDict",)), True),
        (Constraints(accept=("instrument<HSC>/raw",)), True),
        (Constraints(accept=("instrument<LSST>/raw",)), False),
        (Constraints(accept=("detector+instrument",)), True),
    ],
)
def test_an_explicit_key_goes_before_all_and_acceptance_before_rejection(
    constraints: Constraints, taken: bool
) -> None:
    if taken:
        assert place(Store("main", constraints=constraints)).store == "main"
        return
    with pytest.raises(DatasetTypeNotSupportedError, match="'raw'"):
        place(Store("main", constraints=constraints))


def test_the_members_of_a_chain_have_constraints_of_their_own() -> None:
    members = {"memory": Constraints(accept=("flat",)), "files": Constraints(reject=("log",))}
    chain = Store("both", members=members)
    assert place(chain).members == ("files",)
    assert place(chain, name="flat").members == ("memory", "files")
    with pytest.raises(DatasetTypeNotSupportedError, match="'log'"):
        place(chain, name="log")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"name": "a", "template": 1}, "not empty"),
        ({"name": ""}, "not empty"),
        ({"name": "a", "templates": ["x"]}, "mappings"),
        ({"name": "a", "tempaltes": {}}, "nearest known one is 'templates'"),
        ({"name": "a", "templates": {"instrument<A": "x"}}, "instrument<NAME>"),
        ({"name": "a", "constraints": {"acept": []}}, "nearest known one is 'accept'"),
        ({"name": "a", "constraints": {"accept": "raw"}}, "list of names"),
        ({"name": "a", "constraints": {"accept": ["all"], "reject": ["all"]}}, "both accept and reject"),
        ({"name": "a", "members": {"m": {"reject": [3]}}}, "list of names"),
    ],
)
def test_a_malformed_configuration_is_refused_with_what_is_wrong(content: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Store.from_mapping(content)
