# SPDX-License-Identifier: BSD-3-Clause
"""What queries give back: rows, order, limits, counts, tables; through both surfaces of a butler."""

from __future__ import annotations

import warnings
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from butler import Butler, CollectionType, DataCoordinate, DatasetType
from butler_model import errors
from tests.support.butlers import Repository

CAM1: dict[str, Any] = {"instrument": "Cam1"}


@pytest.fixture(scope="module")
def butler(observed: Repository) -> Butler:
    """Give a butler that searches the chain of both runs."""
    return observed.butler(collections="chain", instrument="Cam1")


def runs(refs: Any) -> list[tuple[str | None, Any]]:
    return [(ref.run, ref.dataId["detector"]) for ref in refs]


# Rows.


def test_data_ids_of_unrelated_dimensions_are_every_combination(butler: Butler) -> None:
    # D61a: a product for each instrument, also without records that say so; a tract makes it spatial.
    assert butler.registry.queryDataIds(["visit", "detector"], instrument="Cam1").count() == 24
    assert butler.registry.queryDataIds(["visit", "detector"]).count() == 28
    assert butler.registry.queryDataIds(["visit", "detector", "tract"], instrument="Cam1").count() == 0
    assert butler.registry.queryDataIds(["visit", "tract"], instrument="Cam1").count() == 3


def test_bands_come_once_however_many_filters_have_them(butler: Butler) -> None:
    # D59
    assert [d["band"] for d in butler.registry.queryDataIds("band")] == ["g", "r"]
    found = butler.registry.queryDataIds(["band", "physical_filter"], instrument="Cam1")
    assert [(d["physical_filter"], d["band"]) for d in found] == [
        ("Cam1-G", "g"),
        ("Cam1-R1", "r"),
        ("Cam1-R2", "r"),
    ]


def test_a_visit_and_an_exposure_need_a_definition(butler: Butler) -> None:
    # D60
    found = butler.registry.queryDataIds(["visit", "exposure"], instrument="Cam1")
    assert [(d["visit"], d["exposure"]) for d in found] == [(n, 10 + n) for n in range(1, 7)]
    with pytest.raises(errors.InconsistentDataIdError):
        butler.registry.expandDataId(instrument="Cam1", visit=1, exposure=12)


def test_the_first_collection_that_has_a_dataset_gives_it(butler: Butler) -> None:
    # D61: also for types without dimensions, and in CALIBRATION and TAGGED collections.
    query = butler.registry.queryDatasets
    assert runs(query("bias", findFirst=True)) == [("run1", 1), ("run2", 2), ("run2", 3)]
    assert runs(query("bias", collections=["run1", "run2"], findFirst=True)) == [
        ("run1", 1),
        ("run1", 2),
        ("run2", 3),
    ]
    assert [ref.run for ref in query("log", findFirst=True)] == ["run2"]
    assert [ref.run for ref in query("log", collections=["run1", "run2"], findFirst=True)] == ["run1"]
    assert runs(query("bias", collections=["tag", "run1"], findFirst=True)) == [("run1", 1), ("run2", 2)]


def test_a_dataset_that_stands_in_several_collections_comes_once(butler: Butler) -> None:
    # D62: the model gives it once for each collection.
    query = butler.registry.queryDatasets
    assert runs(query("bias", collections=["tag", "run2"])) == [("run2", 2), ("run2", 3)]
    assert runs(query("bias", collections="calib")) == [("run1", 1), ("run1", 2), ("run2", 2), ("run2", 3)]
    assert query("bias", collections=["tag", "run2"]).count() == 2


def test_types_are_given_by_name_glob_or_object_and_values_are_bound_for_all(butler: Butler) -> None:
    # D63
    query = butler.registry.queryDatasets
    where: dict[str, Any] = {"where": "detector = d", "bind": {"d": 2}}
    expected = [("run2", 2)]
    for given in ("bias", "b*", ["bias"], butler.registry.getDatasetType("bias")):
        assert runs(query(given, findFirst=True, **where)) == expected
    assert [ref.datasetType.name for ref in query(["bias", "log"], findFirst=True)] == ["bias"] * 3 + ["log"]


def test_components_are_given_where_they_are_asked_for(repository: Repository) -> None:
    # D63
    butler = repository.butler(run="run1")
    table = DatasetType("table", [], "ArrowAstropy", universe=butler.dimensions)
    butler.registry.registerDatasetType(table)
    from astropy.table import Table

    ref = butler.put(Table({"x": [1]}), "table")
    query = butler.registry.queryDatasets
    names = [r.datasetType.name for r in query("table", components=True)]
    assert names[0] == "table"
    assert {"table.columns", "table.rowcount"} <= set(names)
    assert [r.datasetType.name for r in query("t*")] == ["table"]
    (part,) = query("table.rowcount")
    assert (part.datasetType.name, part.id, butler.get(part)) == ("table.rowcount", ref.id, 1)
    assert query("table.rowcount").parentDatasetType == table
    listed = butler.registry.queryDatasetTypes("*", components=True)
    assert "table.columns" in [t.name for t in listed]
    assert [t.name for t in butler.registry.queryDatasetTypes("*.rowcount", components=None)] == [
        "table.rowcount"
    ]


def test_unknown_types_give_nothing_and_unknown_collections_are_an_error(butler: Butler) -> None:
    # D64
    query = butler.registry.queryDatasets
    assert list(query("nope", collections=...)) == []
    assert list(query("bias", collections=[])) == []
    assert butler.registry.queryDataIds("detector", datasets="nope", collections=...).count() == 0
    assert butler.registry.queryDataIds("detector", datasets="bias", collections=[]).count() == 0
    with pytest.raises(errors.MissingCollectionError):
        list(query("bias", collections="nope"))
    with pytest.raises(TypeError):
        query("bias", collections=..., findFirst=True)
    with pytest.raises(errors.MissingDatasetTypeError):
        butler.query().datasets("nope", "run1")


def test_data_ids_are_equal_by_what_is_required_and_sort(butler: Butler) -> None:
    # D66: those from queries are full, those from findDataset minimal.
    found = list(butler.registry.queryDataIds("visit", instrument="Cam1"))
    assert all(data_id.hasFull() and not data_id.hasRecords() for data_id in found)
    minimal = DataCoordinate.standardize(CAM1, visit=1, universe=butler.dimensions)
    assert found[0] == minimal
    assert hash(found[0]) == hash(minimal)
    assert sorted([found[2], found[0], found[1]]) == found[:3]
    ref = butler.registry.findDataset("calexp", visit=1, detector=1)
    assert ref is not None
    assert not ref.dataId.hasFull()
    (same,) = butler.registry.queryDatasets("calexp", visit=1, detector=1)
    assert same == ref
    assert same.dataId["band"] == "r"


def test_data_ids_are_restricted_to_those_that_datasets_have(butler: Butler) -> None:
    query = butler.registry.queryDataIds
    assert [d["detector"] for d in query("detector", datasets="bias", collections="run2")] == [2, 3]
    both = query(["visit", "detector"], datasets=["bias", "calexp"], collections=["run1", "run2"])
    assert [(d["visit"], d["detector"]) for d in both] == [(1, 1), (2, 1), (1, 2), (2, 2)]
    assert [d["visit"] for d in query("visit", datasets="calexp", collections="chain")] == [1, 2]
    records = butler.registry.queryDimensionRecords("visit", datasets="calexp", collections="chain")
    assert [record.name for record in records] == ["v1", "v2"]


# Order, limits, counts.


def test_rows_come_in_the_order_asked_for(butler: Butler) -> None:
    results = butler.registry.queryDimensionRecords("visit", instrument="Cam1")
    assert [r.id for r in results] == [1, 2, 3, 4, 5, 6]
    assert [r.id for r in results.order_by("-visit.exposure_time")] == [5, 4, 3, 2, 1, 6]
    assert [r.id for r in results.order_by("day_obs", "-visit")] == [2, 1, 4, 3, 6, 5]
    assert [r.id for r in results.order_by("-timespan.begin").limit(2)] == [6, 5]
    datasets = butler.registry.queryDatasets("bias", collections=["run1", "run2"])
    assert runs(datasets.order_by("-detector", "run")) == [("run2", 3), ("run1", 2), ("run2", 2), ("run1", 1)]
    newest = datasets.order_by("-ingest_date").limit(1)
    assert runs(newest)[0][0] == "run2"
    with pytest.raises(errors.UnknownNameError):
        list(results.order_by("nonsense"))
    with pytest.raises(errors.UnsupportedOperationError):
        list(results.order_by("region"))
    with pytest.raises(errors.InvalidRequestError):
        list(butler.registry.queryDataIds("instrument").order_by("visit.exposure_time"))


def test_a_limit_takes_the_first_rows_of_all_types_together(butler: Butler) -> None:
    results = butler.registry.queryDatasets(["bias", "log"], collections=["run1", "run2"])
    assert [results.limit(n).count() for n in (0, 1, 5, 6, 9)] == [0, 1, 5, 6, 6]
    assert [len(list(results.limit(n))) for n in (0, 1, 5, 6, 9)] == [0, 1, 5, 6, 6]
    assert list(results.limit(3)) == list(results)[:3]
    assert len(list(results.limit(3).limit(None))) == 6
    with pytest.raises(errors.InvalidRequestError):
        results.limit(-1)


def test_counts_are_of_distinct_rows_and_exact(butler: Butler) -> None:
    results = butler.registry.queryDataIds(["visit", "tract"], instrument="Cam1")
    assert results.count() == len(list(results)) == 3
    assert results.count(exact=False) >= 3
    assert results.any()
    assert not butler.registry.queryDataIds("visit", instrument="Cam1", visit=99).any()


def test_why_there_are_no_results_is_told(butler: Butler) -> None:
    registry = butler.registry
    none = registry.queryDatasets("raw", collections="run1")
    assert "no datasets of type 'raw' in run1" in " ".join(none.explain_no_results())
    assert "without the condition" in " ".join(
        registry.queryDataIds("visit", where="visit > 100").explain_no_results()
    )
    assert "no instrument 'Nope'" in " ".join(
        registry.queryDataIds("visit", instrument="Nope").explain_no_results()
    )
    assert registry.queryDatasets("bias", collections="run1").explain_no_results() == []
    assert registry.queryDatasets("nope", collections="run1").explain_no_results()


# What a result can be turned into.


def test_a_result_becomes_a_table_without_objects(butler: Butler) -> None:
    refs = butler.registry.queryDatasets("calexp", collections="run1")
    table = refs.to_table()
    assert {"instrument", "detector", "visit", "band", "id", "run"} <= set(table.colnames)
    assert list(table["visit"]) == [ref.dataId["visit"] for ref in refs]
    assert list(table["id"]) == [str(ref.id) for ref in refs]
    arrow = refs.to_arrow()
    assert arrow.num_rows == 4
    assert [UUID(bytes=raw) for raw in arrow["id"].to_pylist()] == [ref.id for ref in refs]
    frame = refs.to_pandas()
    assert list(frame["id"]) == [ref.id for ref in refs]
    assert set(frame["run"]) == {"run1"}


def test_records_become_tables_with_gaps_where_there_is_no_value(butler: Butler) -> None:
    records = butler.registry.queryDimensionRecords("visit", instrument="Cam1")
    table = records.to_table()
    assert list(table["exposure_time"].mask) == [False] * 5 + [True]
    assert table["timespan_begin"].dtype == np.int64
    frame = records.to_pandas()
    assert frame["exposure_time"].isna().tolist() == [False] * 5 + [True]
    assert records.to_arrow()["region"].null_count == 1
    assert len(butler.registry.queryDataIds("visit", instrument="Nope").to_arrow()) == 0
    assert len(butler.registry.queryDataIds("visit", instrument="Nope").to_table()) == 0
    with pytest.raises(errors.InvalidRequestError):
        butler.registry.queryDatasets(["bias", "log"], collections="run1").to_table()


def test_data_ids_can_be_expanded_narrowed_and_kept(butler: Butler) -> None:
    visits = butler.registry.queryDataIds(["visit", "detector"], where="visit IN (1, 2)")
    assert all(data_id.hasRecords() for data_id in visits.expanded())
    assert [d["visit"] for d in visits.subset("visit")] == [1, 2]
    with pytest.raises(errors.InvalidRequestError):
        visits.subset("tract")
    with visits.materialize() as kept:
        assert list(kept) == list(visits)
        assert [d["visit"] for d in kept.subset("visit")] == [1, 2]
        with pytest.raises(errors.MissingDatasetTypeError):
            kept.findDatasets("calexpp", "chain")
        by_name = kept.findDatasets("calexp", "chain")
        calexps = kept.findDatasets(butler.registry.getDatasetType("calexp"), "chain")
        assert list(by_name) == list(calexps)
        assert [(r.run, r.dataId["visit"], r.dataId["detector"]) for r in calexps] == [
            ("run1", 1, 1),
            ("run1", 2, 1),
            ("run1", 1, 2),
            ("run2", 2, 2),
        ]
    refs = butler.registry.queryDatasets("calexp", collections="run1").expanded()
    assert all(getattr(ref.dataId.records["visit"], "name", "") == f"v{ref.dataId['visit']}" for ref in refs)
    by_type = butler.registry.queryDatasets(["bias", "log"], collections="run1").byParentDatasetType()
    assert [(r.parentDatasetType.name, r.count()) for r in by_type] == [("bias", 2), ("log", 1)]


# The current surface.


def test_a_query_is_made_step_by_step(butler: Butler) -> None:
    with butler.query() as query:
        query = query.where("visit.exposure_time > 40.0", instrument="Cam1")
        assert [d["visit"] for d in query.data_ids("visit")] == [2, 3, 4, 5]
        assert [r.id for r in query.where("visit < 4").dimension_records("visit")] == [2, 3]
        assert [d["visit"] for d in query.join_dataset_search("calexp", "run1").data_ids("visit")] == [2]
        given = list(butler.registry.queryDataIds("visit", where="visit IN (3, 4)"))
        assert [d["visit"] for d in query.join_data_coordinates(given).data_ids("visit")] == [3, 4]
        assert [d["visit"] for d in query.join_dimensions("tract").data_ids("visit")] == [2, 3]
        assert runs(butler.query().datasets("bias")) == [("run1", 1), ("run2", 2), ("run2", 3)]
        assert butler.query().datasets("bias", ["run1", "run2"], find_first=False).count() == 4
    with pytest.raises(errors.InvalidRequestError):
        butler.query().where(visit=1).where(visit=2)


def test_expressions_can_be_made_in_python(butler: Butler) -> None:
    x = butler.query().expression_factory

    def visits(*conditions: Any) -> list[Any]:
        found = butler.query().where(*conditions, instrument="Cam1").data_ids("visit")
        return [data_id["visit"] for data_id in found]

    assert visits(x.visit > 4) == [5, 6]
    assert visits(x.any(x.visit == 1, x.visit == -1, x.visit.name == "v2")) == [1, 2]
    assert visits((x.visit > 1) & ~(x.visit >= 3)) == [2]
    assert visits(x.visit.in_range(1, 6, 2)) == visits(x.visit.in_iterable([1, 3, 5])) == [1, 3, 5]
    assert visits(x.visit.exposure_time.is_null) == visits(x.visit.exposure_time == None) == [6]  # noqa: E711
    assert visits(x.visit.name.glob("v[12]"), x.visit < 3) == []
    assert visits(x.not_(x.visit % 2 == 0), x.visit * 2 - 1 < 6) == [1, 3]
    assert visits(
        x.visit.timespan.overlaps(x.literal(butler.registry.expandDataId(CAM1, visit=2).timespan))
    ) == [2]
    with pytest.raises(TypeError):
        bool(x.visit == 1)
    with pytest.raises(errors.UnknownNameError):
        x.nonsense  # noqa: B018
    results = butler.registry.queryDimensionRecords("visit", instrument="Cam1")
    assert [r.id for r in results.order_by(x.visit.desc).limit(1)] == [6]


def test_lists_have_a_limit_and_say_so(butler: Butler) -> None:
    assert [d["visit"] for d in butler.query_data_ids("visit", order_by="-visit", limit=2)] == [6, 5]
    with pytest.warns(UserWarning, match="more than 2"):
        assert len(butler.query_data_ids("visit", limit=-2)) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(butler.query_data_ids("visit", limit=-8, instrument="Cam1")) == 6
    assert len(butler.query_dimension_records("detector", instrument="Cam1")) == 4
    assert runs(butler.query_datasets("bias")) == [("run1", 1), ("run2", 2), ("run2", 3)]
    assert len(butler.query_datasets("bias", "run*", find_first=False)) == 4
    assert all(ref.dataId.hasRecords() for ref in butler.query_datasets("bias", with_dimension_records=True))
    with pytest.raises(errors.EmptyQueryResultError, match="no datasets of type 'raw'"):
        butler.query_datasets("raw")
    assert butler.query_datasets("raw", explain=False) == []


def test_all_datasets_of_collections_are_listed(butler: Butler) -> None:
    names = [ref.datasetType.name for ref in butler.query_all_datasets()]
    assert names == ["bias"] * 3 + ["calexp"] * 4 + ["log"]
    assert len(butler.query_all_datasets("run1", name="*a*")) == 6
    assert len(butler.query_all_datasets("run1", where="detector = 1", name=["bias", "calexp"])) == 3


def test_where_datasets_stand_is_listed(butler: Butler) -> None:
    registry = butler.registry
    found = [
        (a.collection, a.ref.dataId["detector"], None if a.timespan is None else a.timespan.end is None)
        for a in registry.queryDatasetAssociations("bias")
    ]
    assert sorted(found, key=str) == sorted(
        [
            ("run1", 1, None),
            ("run1", 2, None),
            ("run2", 2, None),
            ("run2", 3, None),
            ("tag", 2, None),
            ("calib", 1, False),
            ("calib", 2, False),
            ("calib", 2, True),
            ("calib", 3, True),
        ],
        key=str,
    )
    tags = registry.queryDatasetAssociations("bias", collectionTypes=CollectionType.TAGGED)
    assert [(a.collection, a.ref.run) for a in tags] == [("tag", "run2")]
    chained = registry.queryDatasetAssociations("bias", "chain", flattenChains=True)
    assert {a.collection for a in chained} == {"run1", "run2"}
    assert list(registry.queryDatasetAssociations("bias", "chain")) == []
    (ref,) = registry.queryDatasets("bias", collections="tag")
    assert registry.getDatasetLocations(ref) == ["main"]
