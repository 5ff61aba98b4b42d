# SPDX-License-Identifier: BSD-3-Clause
"""Objects of another Python type can be put, and got as; embedded and through services."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from astropy.table import Table

from butler import Butler, DatasetType
from butler.formatters import default_formatters
from butler.storage_classes import default_storage_classes
from butler_model.errors import DatasetTypeMismatchError, StorageClassError, StorageClassTypeError
from tests.support.butlers import Repository
from tests.support.composites import MetricsExample, Pair, add_metrics

CATALOG = {"instrument": "Cam1", "visit": 1, "detector": 1}
FRAME = {"instrument": "Cam1", "detector": 1}
COLUMNS = {"a": [1, 2], "b": [0.5, 1.5]}


@pytest.fixture
def butler(repository: Repository) -> Butler:
    """Give a butler that writes to run1 of a surveyed repository."""
    add_metrics()
    names = {"TestMetrics": "json", "TestPair": "json", "TestMappingPair": "json"}
    default_formatters().add_config({"formatters": names})
    butler = repository.surveyed()
    for name in names:
        butler.registry.registerDatasetType(DatasetType(name.lower(), [], name, universe=butler.dimensions))
    return butler


@pytest.mark.parametrize(
    "made",
    [pd.DataFrame(COLUMNS), pa.table(COLUMNS), Table(COLUMNS)],
    ids=lambda made: type(made).__module__.partition(".")[0],
)
def test_a_table_of_any_library_is_put_as_that_of_the_storage_class(butler: Butler, made: Any) -> None:
    butler.put(made, "catalog", CATALOG)
    stored = butler.get("catalog", CATALOG)
    assert isinstance(stored, pa.Table)
    assert stored.select(["a", "b"]).to_pydict() == COLUMNS
    butler.put(made, "frame", FRAME)
    assert butler.get("frame", FRAME).to_dict("list") == COLUMNS


def test_a_table_is_got_as_that_of_another_library(butler: Butler) -> None:
    ref = butler.put(pa.table(COLUMNS), "catalog", CATALOG)
    frame = butler.get("catalog", CATALOG, storageClass="DataFrame")
    assert frame.to_dict("list") == COLUMNS
    astropy = default_storage_classes().getStorageClass("ArrowAstropy")
    assert list(butler.getDirect(ref, storageClass=astropy)["a"]) == [1, 2]
    part = butler.get("catalog", CATALOG, storageClass="ArrowNumpy", parameters={"columns": ["b"]})
    assert part.dtype == np.dtype([("b", "f8")])
    handle = butler.getDeferred("catalog", CATALOG, storageClass="DataFrame")
    assert isinstance(handle.get(), pd.DataFrame)
    assert isinstance(handle.get(storageClass="ArrowTable"), pa.Table)
    assert handle.get(component="rowcount") == 2
    assert isinstance(butler.getDirectDeferred(ref, storageClass="DataFrame").get(), pd.DataFrame)
    with pytest.raises(StorageClassTypeError):
        butler.get("catalog", CATALOG, storageClass="StructuredDataDict")
    with pytest.raises(StorageClassError):
        butler.get("catalog", CATALOG, storageClass="Nonsense")


def test_a_ref_and_a_dataset_type_may_name_another_storage_class_that_converts(butler: Butler) -> None:
    ref = butler.put(pa.table(COLUMNS), "catalog", CATALOG)
    other = ref.overrideStorageClass("DataFrame")
    assert other.id == ref.id
    assert isinstance(butler.get(other), pd.DataFrame)
    assert isinstance(butler.getDirect(other), pd.DataFrame)
    assert isinstance(butler.getDeferred(other).get(), pd.DataFrame)
    whole, converted = butler.get_many([ref, other])
    assert isinstance(whole, pa.Table)
    assert isinstance(converted, pd.DataFrame)
    frame_type = ref.datasetType.overrideStorageClass("DataFrame")
    assert isinstance(butler.get(frame_type, CATALOG), pd.DataFrame)
    again = butler.put(pd.DataFrame(COLUMNS), frame_type, {**CATALOG, "detector": 2})
    assert again.datasetType == ref.datasetType
    with pytest.raises(DatasetTypeMismatchError):
        butler.get(ref.overrideStorageClass("StructuredDataDict"))
    with pytest.raises(DatasetTypeMismatchError):
        butler.get(ref.overrideStorageClass("Nonsense"))


def test_a_component_can_be_got_as_another_storage_class(butler: Butler) -> None:
    ref = butler.put({"left": 3, "right": {"n": 1}}, "testpair")
    assert butler.get(ref) == Pair(3, {"n": 1})
    with pytest.raises(StorageClassTypeError):
        butler.get("testpair.right", storageClass="DataFrame")
    assert butler.get("testpair.right", storageClass="TestMappingPair") == {"n": 1}


def test_a_mapping_is_put_as_a_data_class_and_got_as_a_mapping(butler: Butler) -> None:
    butler.put({"left": 1}, "testpair")
    assert butler.get("testpair") == Pair(1)
    assert butler.get("testpair", storageClass="TestMappingPair") == {"left": 1, "right": None}
    butler.put(Pair(2, {"n": 1}), "testmappingpair")
    assert butler.get("testmappingpair") == {"left": 2, "right": {"n": 1}}
    assert butler.get("testmappingpair", storageClass="TestPair") == Pair(2, {"n": 1})


def test_a_converter_of_this_process_is_used_and_its_failure_is_said(
    repository: Repository, butler: Butler
) -> None:
    before = repository.content()
    with pytest.raises(StorageClassTypeError, match="test-metrics-from-dict"):
        butler.put({"nonsense": 1}, "testmetrics")
    with pytest.raises(StorageClassTypeError):
        butler.put("text", "testmetrics")
    assert repository.content() == before
    butler.put({"data": [1]}, "testmetrics")
    assert butler.get("testmetrics") == MetricsExample(data=[1])
