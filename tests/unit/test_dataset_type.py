# SPDX-License-Identifier: BSD-3-Clause
"""Dataset types, and references to datasets."""

from __future__ import annotations

import pickle
import uuid
from typing import Any

import pytest

from butler_model.data_id import DataCoordinate
from butler_model.dataset import DatasetRef, DatasetType, new_dataset_id
from butler_model.errors import (
    AmbiguousDatasetError,
    DatasetTypeMismatchError,
    DimensionNameError,
    DimensionValueError,
    InvalidNameError,
    InvalidRequestError,
)
from butler_model.storage_class import StorageClass
from butler_model.universe import DimensionUniverse

UNIVERSE = DimensionUniverse()
GROUP = UNIVERSE.conform(["visit", "detector"])
CALEXP = DatasetType("calexp", GROUP, "ExposureF")
DATA_ID = {"instrument": "HSC", "visit": 1, "detector": 2}


def make(name: str = "thing", storage: Any = "Text", parent: Any = None, **kwargs: Any) -> DatasetType:
    return DatasetType(name, GROUP, storage, parent, **kwargs)


@pytest.mark.parametrize(
    "name",
    ["", "1a", "a b", "a-b", "a/b", ".a", "a.", "a..b", "é", "a\n", "x" * 129, "../a", "a;b", "a'", 5, None],
    ids=repr,
)
def test_a_malformed_name_is_refused(name: Any) -> None:
    with pytest.raises(InvalidNameError) as caught:
        make(name)
    assert repr(name)[:40] in str(caught.value)


@pytest.mark.parametrize("name", ["a", "_", "deepCoadd_calexp", "A1", "x" * 128])
def test_an_identifier_is_a_name(name: str) -> None:
    assert make(name).name == name


@pytest.mark.parametrize("name", ["instrument", "skymap"])
def test_the_name_of_a_governor_is_refused(name: str) -> None:
    with pytest.raises(InvalidNameError, match=f"'{name}'"):
        make(name)
    assert make("visit").name == "visit"


@pytest.mark.parametrize("storage", ["", "a b", "1a", "x" * 129, "a\0", "a.b", "é"])
def test_a_malformed_storage_class_is_refused(storage: str) -> None:
    with pytest.raises(InvalidNameError, match="storage class"):
        make(storage=storage)
    with pytest.raises(InvalidNameError, match="storage class"):
        make("thing.part", "Text", storage)


def test_a_storage_class_need_not_be_known() -> None:
    assert make(storage="NobodyKnowsIt").storageClass_name == "NobodyKnowsIt"
    assert make(storage=StorageClass("Text", "str")) == make(storage="Text")


def test_dimensions_may_be_given_by_name_with_a_universe() -> None:
    assert DatasetType("calexp", ["visit", "detector"], "ExposureF", universe=UNIVERSE) == CALEXP
    with pytest.raises(InvalidRequestError, match="'calexp'"):
        DatasetType("calexp", ["visit", "detector"], "ExposureF")
    with pytest.raises(DimensionNameError, match="'nope'"):
        DatasetType("calexp", ["nope"], "ExposureF", universe=UNIVERSE)


def test_a_component_has_a_parent_and_nothing_else_has() -> None:
    with pytest.raises(InvalidRequestError, match=r"'calexp\.wcs'"):
        make("calexp.wcs")
    with pytest.raises(InvalidRequestError, match="'calexp'"):
        make("calexp", parent="ExposureF")


@pytest.mark.parametrize("calibration", [False, True])
def test_components_are_made_and_lead_back(calibration: bool) -> None:
    composite = make("calexp", "ExposureF", isCalibration=calibration)
    component = composite.makeComponentDatasetType("wcs", "Wcs")
    assert component.name == composite.componentTypeName("wcs") == "calexp.wcs"
    assert component.nameAndComponent() == ("calexp", "wcs")
    assert component.component() == "wcs"
    assert component.isComponent()
    assert component.parentStorageClass_name == "ExposureF"
    assert component.isCalibration() is calibration
    assert component.makeCompositeDatasetType() == composite
    assert not composite.isComponent()
    assert composite.component() is None
    with pytest.raises(InvalidRequestError, match="'calexp'"):
        composite.makeCompositeDatasetType()


def test_a_name_is_split_at_its_first_dot() -> None:
    assert DatasetType.splitDatasetTypeName("a.b.c") == ("a", "b.c")
    assert DatasetType.splitDatasetTypeName("a") == ("a", None)
    assert DatasetType.nameWithComponent("a", "b") == "a.b"


def test_types_are_the_same_if_all_is() -> None:
    assert make() == make()
    assert hash(make()) == hash(make())
    for other in (make("other"), make(storage="Bytes"), make(isCalibration=True)):
        assert make() != other
    assert make() != DatasetType("thing", UNIVERSE.conform(["visit"]), "Text")
    assert make() != "thing"
    assert sorted([make("b"), make("a")])[0].name == "a"


def test_types_and_refs_can_be_pickled() -> None:
    component = CALEXP.makeComponentDatasetType("wcs", "Wcs")
    for each in (CALEXP, component, make(isCalibration=True)):
        copy = pickle.loads(pickle.dumps(each))
        assert copy == each
        assert copy.dimensions is each.dimensions
    for ref in (DatasetRef(CALEXP, DATA_ID), DatasetRef(component, DATA_ID, "run")):
        copy = pickle.loads(pickle.dumps(ref))
        assert copy == ref
        assert (copy.id, copy.run) == (ref.id, ref.run)


def test_a_ref_is_unresolved_or_has_id_and_run() -> None:
    unresolved, resolved = DatasetRef(CALEXP, DATA_ID), DatasetRef(CALEXP, DATA_ID, "run")
    assert not unresolved.is_resolved
    assert (unresolved.id, unresolved.run) == (None, None)
    assert resolved.is_resolved
    assert resolved.getCheckedId() == resolved.id
    assert resolved.unresolved() == unresolved
    with pytest.raises(AmbiguousDatasetError, match="calexp"):
        unresolved.getCheckedId()
    with pytest.raises(InvalidRequestError, match="calexp"):
        DatasetRef(CALEXP, DATA_ID, id=new_dataset_id())


def test_a_run_must_have_a_name_that_can_be() -> None:
    with pytest.raises(InvalidNameError, match=r"'\.\./x'"):
        DatasetRef(CALEXP, DATA_ID, "../x")


def test_the_data_id_of_a_ref_is_that_of_its_type() -> None:
    assert dict(DatasetRef(CALEXP, {**DATA_ID, "tract": 5}).dataId) == DATA_ID
    with pytest.raises(DimensionNameError, match="detector"):
        DatasetRef(CALEXP, {"instrument": "HSC", "visit": 1})
    with pytest.raises(DimensionValueError, match="visit"):
        DatasetRef(CALEXP, {**DATA_ID, "visit": "1"})


def test_refs_are_the_same_if_type_data_id_and_id_are() -> None:
    one = uuid.uuid4()
    ref = DatasetRef(CALEXP, DATA_ID, "run", id=one)
    assert ref == DatasetRef(CALEXP, DATA_ID, "run", id=one)
    assert hash(ref) == hash(DatasetRef(CALEXP, DATA_ID, "run", id=one))
    assert ref != DatasetRef(CALEXP, DATA_ID, "run")
    assert ref != ref.unresolved()
    assert ref != DatasetRef(CALEXP, {**DATA_ID, "visit": 2}, "run", id=one)


def test_a_component_ref_has_the_id_of_its_composite() -> None:
    ref = DatasetRef(CALEXP, DATA_ID, "run")
    component = ref.makeComponentRef("wcs", "Wcs")
    assert component.isComponent()
    assert (component.id, component.run, component.dataId) == (ref.id, ref.run, ref.dataId)
    assert component.makeCompositeRef() == ref


def test_only_an_equal_data_id_expands_a_ref() -> None:
    ref = DatasetRef(CALEXP, DATA_ID, "run")
    implied = {"band": "r", "physical_filter": "HSC-R", "day_obs": 1}
    full = DataCoordinate.standardize({**DATA_ID, **implied}, dimensions=GROUP)
    assert ref.expanded(full).dataId.hasFull()
    assert ref.expanded(full) == ref
    with pytest.raises(DatasetTypeMismatchError, match="visit: 9"):
        ref.expanded(DataCoordinate.standardize({**DATA_ID, "visit": 9}, dimensions=GROUP))


def test_refs_are_grouped_and_sorted() -> None:
    bias = DatasetType("bias", UNIVERSE.conform(["detector"]), "ExposureF")
    a, b, c = (DatasetRef(t, DATA_ID, run) for t, run in ((CALEXP, "r2"), (bias, "r2"), (CALEXP, "r1")))
    assert DatasetRef.groupByType([a, b, c]) == {CALEXP: [a, c], bias: [b]}
    assert sorted([a, b, c]) == [c, b, a]


# What the current release of the older library writes, seen by running it.
TYPE_JSON = '{"name":"raw","storageClass":"StructuredDataDict","dimensions":["instrument","detector"]}'
BIAS_JSON = (
    '{"name":"bias.wcs","storageClass":"Wcs","dimensions":["instrument","detector"],'
    '"parentStorageClass":"Exposure","isCalibration":true}'
)
REF_JSON = (
    f'{{"id":"00000000-0000-0000-0000-000000000007","datasetType":{TYPE_JSON},'
    '"dataId":{"dataId":{"instrument":"Cam","detector":1}},"run":"run1"}'
)


def test_types_and_refs_are_written_and_read_as_the_json_of_the_older_library() -> None:
    for made, text in ((DatasetType, TYPE_JSON), (DatasetType, BIAS_JSON), (DatasetRef, REF_JSON)):
        read: Any = made.from_json(text, universe=UNIVERSE)
        assert read.to_json() == text
        assert type(read) is made
        assert made.from_simple(read.to_simple(), universe=UNIVERSE) == read
    assert DatasetType.from_json(BIAS_JSON, universe=UNIVERSE).isCalibration()
    ref = DatasetRef.from_json(REF_JSON, universe=UNIVERSE)
    assert (ref.id, ref.run, ref.dataId["detector"]) == (uuid.UUID(int=7), "run1", 1)
    assert DatasetRef.from_json(ref.unresolved().to_json(), universe=UNIVERSE) == ref.unresolved()


def test_a_minimal_form_is_a_name_or_an_id_and_needs_a_registry() -> None:
    assert CALEXP.to_json(minimal=True) == '{"name":"calexp"}'
    ref = DatasetRef(CALEXP.makeComponentDatasetType("wcs", "Wcs"), DATA_ID, "run1", id=uuid.UUID(int=7))
    minimal = ref.to_json(minimal=True)
    assert minimal == '{"id":"00000000-0000-0000-0000-000000000007","component":"wcs"}'
    for made, text in ((DatasetType, CALEXP.to_json(minimal=True)), (DatasetRef, minimal)):
        with pytest.raises(InvalidRequestError, match=r"registry=butler\.registry"):
            made.from_json(text, universe=UNIVERSE)


@pytest.mark.parametrize("text", ["", "[]", "7", "{}", '{"name":1}', b"\xff", '{"id":"x","datasetType":{}}'])
def test_what_is_no_json_of_a_type_or_ref_is_refused_in_words(text: str) -> None:
    with pytest.raises((InvalidRequestError, InvalidNameError)):
        DatasetType.from_json(text, universe=UNIVERSE)
    with pytest.raises(InvalidRequestError):
        DatasetRef.from_json(text, universe=UNIVERSE)
    with pytest.raises(InvalidRequestError, match="universe"):
        DatasetType.from_json(TYPE_JSON)
