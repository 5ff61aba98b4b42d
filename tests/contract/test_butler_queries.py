# SPDX-License-Identifier: BSD-3-Clause
"""Queries for datasets, data IDs and dimension records, through a butler; embedded and through services."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from butler import Butler, DataCoordinate, DatasetRef, DatasetType, DimensionRecord
from butler_model.errors import (
    DimensionNameError,
    DimensionValueError,
    InvalidRequestError,
    MissingCollectionError,
    NoDefaultCollectionError,
)
from tests.support.butlers import Repository
from tests.support.survey import insert_survey


@pytest.fixture
def butler(repository: Repository) -> Butler:
    """Give a butler of a repository in which run1 has notes on detectors 1 and 2, run2 on 2 and 3, and a log each."""
    butler = repository.surveyed()
    butler.registry.registerRun("run2")
    for run, detectors in (("run1", (1, 2)), ("run2", (2, 3))):
        items: list[tuple[object, str, dict[str, Any]]] = [
            ({"run": run}, "note", {"instrument": "Cam1", "detector": detector}) for detector in detectors
        ]
        butler.put_many([*items, (run, "log", {})], run=run)
    return butler


def found(refs: Any) -> list[tuple[str | None, Any]]:
    return [(ref.run, ref.dataId.get("detector")) for ref in refs]


def test_datasets_are_found_in_the_order_of_their_keys(butler: Butler) -> None:
    query = butler.registry.queryDatasets
    results = query("note", collections=["run2", "run1"])
    assert sorted(found(results)) == [("run1", 1), ("run1", 2), ("run2", 2), ("run2", 3)]
    assert [ref.dataId["detector"] for ref in results] == [1, 2, 2, 3]
    assert all(isinstance(ref, DatasetRef) and ref.is_resolved and ref.dataId.hasFull() for ref in results)
    assert found(query("note")) == [("run1", 1), ("run1", 2)]
    assert [butler.getDirect(ref)["run"] for ref in query("note", collections="run2")] == ["run2", "run2"]
    assert found(query(butler.registry.getDatasetType("note"), detector=2, instrument="Cam1")) == [
        ("run1", 2)
    ]
    assert found(query("note", dataId={"instrument": "Cam1"}, detector=np.int64(2))) == [("run1", 2)]
    assert found(query("note", instrument="Cam2")) == []


def test_find_first_keeps_the_dataset_of_the_first_collection(butler: Butler) -> None:
    # D61
    query = butler.registry.queryDatasets
    both = ["run2", "run1"]
    assert found(query("note", collections=both, findFirst=True)) == [("run1", 1), ("run2", 2), ("run2", 3)]
    assert found(query("note", collections=both[::-1], findFirst=True)) == [
        ("run1", 1),
        ("run1", 2),
        ("run2", 3),
    ]
    assert [ref.run for ref in query("log", collections=both, findFirst=True)] == ["run2"]
    assert query("log", collections=both).count() == 2


def test_unknown_types_add_nothing_and_unknown_collections_are_refused(butler: Butler) -> None:
    # D64
    query = butler.registry.queryDatasets
    assert list(query("nothing")) == []
    assert not query("nothing").any()
    assert list(query("note", collections=[])) == []
    with pytest.raises(MissingCollectionError):
        list(query("note", collections=["run1", "nothing"]))
    with pytest.raises(NoDefaultCollectionError):
        butler.clone(collections=(), run=None, writeable=False).registry.queryDatasets("note")


def test_types_and_collections_may_be_globs(butler: Butler) -> None:
    # D63: of components nothing is listed
    query = butler.registry.queryDatasets
    names = {ref.datasetType.name for ref in query(..., collections=...)}
    assert names == {"log", "note"}
    assert query(..., collections=...).count() == 6
    assert query("n*", collections="run*").count() == 4
    assert query(["note", "log"], collections="run[2]").count() == 3
    assert query("log", collections="x*").count() == 0


def test_results_can_be_iterated_again_and_see_what_came_meanwhile(butler: Butler) -> None:
    results = butler.registry.queryDatasets("note")
    assert len(list(results)) == len(list(results)) == results.count() == len(results.toSet()) == 2
    assert results.any()
    butler.put({}, "note", instrument="Cam1", detector=4)
    assert results.count() == 3


def test_results_of_many_pages_have_every_row_once(butler: Butler) -> None:
    # D80
    count = 4_500
    registry = butler.registry
    registry.insertDimensionData(
        "detector", *({"instrument": "Cam1", "id": 1000 + i, "full_name": f"D{i}"} for i in range(count))
    )
    ids = [1, 2, 3, 4, *range(1000, 1000 + count)]
    assert [record.id for record in registry.queryDimensionRecords("detector")] == ids
    assert [data_id["detector"] for data_id in registry.queryDataIds("detector")] == ids
    assert registry.queryDataIds(["detector", "visit"]).count() == 2 * len(ids)


def test_data_ids_are_full_and_combine_what_is_unrelated(butler: Butler) -> None:
    # D61a, D66
    registry = butler.registry
    results = registry.queryDataIds(["visit", "detector"])
    assert results.dimensions == butler.dimensions.conform(["visit", "detector"])
    data_ids = list(results)
    assert len(data_ids) == 8
    assert all(isinstance(data_id, DataCoordinate) and data_id.hasFull() for data_id in data_ids)
    assert data_ids == sorted(data_ids)
    assert {data_id["band"] for data_id in data_ids} == {"g", "r"}
    insert_survey(butler, "Cam2")
    assert registry.queryDataIds(["visit", "detector"]).count() == 16
    assert registry.queryDataIds(["visit", "detector"], instrument="Cam2").count() == 8
    assert list(registry.queryDataIds([])) == [{}]


def test_data_ids_are_restricted_by_dimensions_that_they_do_not_have(butler: Butler) -> None:
    query = butler.registry.queryDataIds
    assert [data_id["visit"] for data_id in query("visit", day_obs=20200102, instrument="Cam1")] == [2]
    assert [data_id["visit"] for data_id in query("visit", band="g")] == [1]
    assert list(query("detector", detector=3)) == [{"instrument": "Cam1", "detector": 3}]
    assert list(query("visit", instrument="Nope")) == []


def test_filters_of_one_band_give_one_row_for_it(butler: Butler) -> None:
    # D59
    assert [data_id["band"] for data_id in butler.registry.queryDataIds("band")] == ["g", "r"]
    assert butler.registry.queryDataIds("physical_filter").count() == 3


def test_records_are_found_by_their_dimensions(butler: Butler) -> None:
    query = butler.registry.queryDimensionRecords
    records = list(query("detector"))
    assert all(isinstance(record, DimensionRecord) for record in records)
    assert [record.full_name for record in records] == ["Aa", "Ab", "Ba", "Bb"]
    assert [record.full_name for record in query("detector", instrument="Cam1", detector=3)] == ["Ba"]
    assert [record.id for record in query("visit", instrument="Cam1", physical_filter="Cam1-R1")] == [2]
    assert [record.id for record in query("visit", dataId={"instrument": "Cam1", "day_obs": 20200101})] == [1]
    assert query("visit").element is butler.dimensions["visit"]
    assert not query("subfilter").any()


def test_the_assumed_instrument_restricts_only_what_depends_on_it(
    repository: Repository, butler: Butler
) -> None:
    # D48
    insert_survey(butler, "Cam2")
    assert [ref["instrument"] for ref in butler.registry.queryDataIds("detector", detector=2)] == ["Cam1"]
    assert butler.registry.queryDataIds("detector").count() == 8
    other = repository.butler(collections="run1", instrument="Cam2").registry
    assert [ref["instrument"] for ref in other.queryDataIds("detector", detector=2)] == ["Cam2"]
    assert [ref["instrument"] for ref in other.queryDataIds("detector", detector=2, instrument="Cam1")] == [
        "Cam1"
    ]
    plain = repository.butler(collections="run1", inferDefaults=False).registry
    with pytest.raises(DimensionNameError):
        plain.expandDataId(detector=2)


def test_malformed_queries_are_refused(butler: Butler) -> None:
    registry = butler.registry
    with pytest.raises(DimensionNameError):
        registry.queryDataIds("detektor")
    with pytest.raises(DimensionNameError):
        registry.queryDimensionRecords("detektor")
    with pytest.raises(DimensionNameError):
        list(registry.queryDatasets("note", nonsense=1))
    with pytest.raises(DimensionValueError):
        list(registry.queryDataIds("detector", detector="5", instrument="Cam1"))
    with pytest.raises(DimensionValueError):
        registry.queryDataIds("detector", detector=[5])
    with pytest.raises(InvalidRequestError):
        registry.queryDatasets([1], collections=...)  # type: ignore[list-item]


def test_a_dataset_type_without_dimensions_has_one_dataset_per_run(butler: Butler) -> None:
    (ref,) = butler.registry.queryDatasets("log")
    assert ref.dataId == {}
    assert butler.get(ref) == butler.get("log") == "run1"
    assert DatasetType("log", [], "Text", universe=butler.dimensions) == ref.datasetType
