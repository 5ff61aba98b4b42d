# SPDX-License-Identifier: BSD-3-Clause
"""Collections and dataset types through both surfaces of a butler; embedded and through services."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from butler import Butler, CollectionType, DatasetType, Timespan
from butler_model import errors
from tests.support.butlers import Repository
from tests.support.observed import DAY, START


@pytest.fixture
def butler(repository: Repository) -> Butler:
    """Give a butler of a repository with three runs and two chains."""
    butler = repository.surveyed()
    for run in ("a", "b", "c"):
        butler.registry.registerRun(run, f"run {run}")
    for chain in ("inner", "outer"):
        butler.registry.registerCollection(chain, CollectionType.CHAINED)
    return butler


def test_a_flattened_chain_keeps_the_leaves_and_a_nested_one_follows_its_members(butler: Butler) -> None:
    # D10
    registry = butler.registry
    registry.setCollectionChain("inner", ["a", "b"])
    registry.setCollectionChain("outer", ["c", "inner", "a"], flatten=True)
    assert registry.getCollectionChain("outer") == ("c", "a", "b")
    registry.registerCollection("live", CollectionType.CHAINED)
    registry.setCollectionChain("live", ["c", "inner"])
    registry.setCollectionChain("inner", "b")
    assert registry.getCollectionChain("live") == ("c", "inner")
    assert registry.queryCollections("live", flattenChains=True) == ["c", "b"]
    assert registry.queryCollections("live", flattenChains=True, includeChains=True) == [
        "live",
        "c",
        "inner",
        "b",
    ]
    assert registry.getCollectionChain("outer") == ("c", "a", "b")
    with pytest.raises(errors.CollectionTypeError):
        registry.getCollectionChain("a")
    with pytest.raises(ValueError, match="outer"):
        registry.setCollectionChain("outer", ["outer"])


def test_collections_are_found_by_type_and_described(butler: Butler) -> None:
    registry = butler.registry
    assert registry.queryCollections(collectionTypes=CollectionType.CHAINED) == ["inner", "outer"]
    assert registry.queryCollections("*", includeChains=False) == ["a", "b", "c", "run1"]
    assert registry.queryCollections(["a", "in*"]) == ["a", "inner"]
    assert registry.getCollectionDocumentation("a") == "run a"
    registry.setCollectionDocumentation("a", None)
    assert registry.getCollectionDocumentation("a") is None
    registry.setCollectionChain("outer", ["inner", "a"])
    assert registry.getCollectionParentChains("a") == {"outer"}
    with pytest.raises(errors.OrphanedRecordError):
        registry.removeCollection("a")
    registry.removeCollection("outer")
    registry.removeCollection("a")
    assert registry.queryCollections("a*") == []


def test_what_is_no_name_no_type_no_id_and_no_time_is_refused_by_name(butler: Butler) -> None:
    registry = butler.registry
    wrong: list[tuple[Callable[[Any], object], Any]] = [
        (registry.queryCollections, re.compile("a.*")),
        (registry.queryDatasetTypes, re.compile("b.*")),
        (lambda given: registry.queryDatasets(given, collections=...), re.compile("b.*")),
        (lambda given: registry.queryDatasets("bias", collections=given), re.compile("a.*")),
        (lambda given: registry.queryCollections(collectionTypes=given), "RUN"),
        (lambda given: butler.collections.query(collection_types=given), ["RUN"]),
        (lambda given: next(registry.queryDatasetAssociations("bias", collectionTypes=given)), "RUN"),
        (lambda given: registry.registerCollection("more", given), "TAGGED"),
        (registry.getDataset, "no id"),
        (lambda given: registry.insertDimensionData("detector", given), [{"instrument": "Cam1", "id": 9}]),
        (lambda given: registry.certify("a", [], given), START),
        (lambda given: registry.decertify("a", "bias", given), START),
        (lambda given: butler.find_dataset("bias", {}, collections="a", timespan=given), START),
    ]
    for call, given in wrong:
        with pytest.raises(errors.InvalidRequestError):
            call(given)
    assert registry.getDataset(str(uuid4())) is None
    assert registry.queryCollections(collectionTypes=[CollectionType.CHAINED]) == ["inner", "outer"]


def test_what_is_not_found_in_no_collection_says_so(butler: Butler) -> None:
    with pytest.raises(errors.DatasetNotFoundError, match="in no collection;"):
        butler.get("log", collections=[])


def test_a_collection_is_described_or_not(butler: Butler) -> None:
    registry = butler.registry
    assert registry.registerRun("undescribed", doc=None)
    assert registry.registerCollection("tags", CollectionType.TAGGED, None)
    assert butler.collections.register("more", doc=None)
    names = ("undescribed", "tags", "more", "a")
    assert [registry.getCollectionDocumentation(name) for name in names] == [None, None, None, "run a"]


def test_summaries_tell_what_is_there_now(butler: Butler) -> None:
    butler.put({}, "note", instrument="Cam1", detector=1, run="a")
    registry = butler.registry
    registry.setCollectionChain("outer", ["b", "a"])
    for name in ("a", "outer"):
        summary = registry.getCollectionSummary(name)
        assert (summary.dataset_types, dict(summary.governors)) == (("note",), {"instrument": ("Cam1",)})
    assert registry.getCollectionSummary("b").dataset_types == ()


def test_the_current_surface_edits_chains_and_tells_of_collections(butler: Butler) -> None:
    collections = butler.collections
    assert collections == ("run1",)
    assert (list(collections), collections[0], len(collections)) == (["run1"], "run1", 1)
    collections.redefine_chain("outer", ["a"])
    seen = collections.get_info("outer")
    collections.extend_chain("outer", ["b", "c"])
    collections.prepend_chain("outer", "c")
    collections.remove_from_chain("outer", ["a", "inner"])
    assert collections.get_info("outer").children == ("c", "b")
    with pytest.raises(errors.StaleEditError):
        collections.redefine_chain("outer", [], etag=seen.etag)
    info = collections.get_info("b", include_parents=True, include_summary=True)
    assert (info.type, info.doc, info.parents) == (CollectionType.RUN, "run b", frozenset({"outer"}))
    assert info.summary is not None
    assert collections.register("new")
    assert not collections.register("new", CollectionType.RUN)
    assert [i.name for i in collections.query_info("?", include_summary=True)] == ["a", "b", "c"]
    assert collections.query("outer", flatten_chains=True) == ["c", "b"]
    collections.x_remove("new")
    with pytest.raises(errors.MissingCollectionError):
        collections.get_info("new")
    assert pickle.loads(pickle.dumps(butler)).collections == collections


def test_a_dataset_type_goes_only_with_its_last_dataset(butler: Butler) -> None:
    # D68
    registry = butler.registry
    butler.put({}, "note", instrument="Cam1", detector=1, run="a")
    with pytest.raises(errors.OrphanedRecordError, match="note"):
        registry.removeDatasetType("note")
    registry.removeDatasetType(["unknown", "also*"])
    registry.removeDatasetType("calexp")
    with pytest.raises(errors.MissingDatasetTypeError):
        registry.getDatasetType("calexp")
    other = DatasetType("calexp", ["instrument"], "StructuredDataDict", universe=butler.dimensions)
    assert registry.registerDatasetType(other)
    assert registry.getDatasetType("calexp") == other
    with pytest.raises(ValueError, match="component"):
        registry.removeDatasetType("frame.columns")


def test_a_default_is_inferred_only_from_exactly_one_value(repository: Repository, butler: Butler) -> None:
    # D47
    from tests.support.survey import insert_survey

    insert_survey(butler, "Cam2")
    butler.put({}, "note", instrument="Cam1", detector=1, run="a")
    butler.put({}, "note", instrument="Cam2", detector=1, run="b")

    def default(collections: Any, **arguments: Any) -> object:
        opened = repository.butler(collections=collections, **arguments)
        return dict(opened.registry.defaults.dataId.mapping).get("instrument")

    assert default("a") == default(["a", "c", "missing"]) == "Cam1"
    assert default(["a", "b"]) is None
    assert default("c") is None
    assert default(["a", "b"], instrument="Cam2") == "Cam2"
    assert default("a", inferDefaults=False) is None
    butler.registry.setCollectionChain("outer", ["c", "b"])
    assert default("outer") == "Cam2"


def test_tags_and_validity_ranges_are_edited_by_refs(butler: Butler) -> None:
    registry = butler.registry
    bias = DatasetType(
        "bias",
        ["instrument", "detector"],
        "StructuredDataDict",
        universe=butler.dimensions,
        isCalibration=True,
    )
    registry.registerDatasetType(bias)
    refs = [butler.put({"of": d}, "bias", instrument="Cam1", detector=d, run="a") for d in (1, 2)]
    registry.registerCollection("tag", CollectionType.TAGGED)
    registry.registerCollection("calib", CollectionType.CALIBRATION)
    registry.associate("tag", refs)
    registry.disassociate("tag", refs[:1])
    assert [ref.dataId["detector"] for ref in registry.queryDatasets("bias", collections="tag")] == [2]
    registry.certify("calib", refs, Timespan.from_nsec(START, None))
    day = Timespan.from_nsec(START + DAY, START + 2 * DAY)
    registry.decertify("calib", "bias", day, dataIds=[{"instrument": "Cam1", "detector": 1}])
    find = registry.findDataset
    assert find("bias", instrument="Cam1", detector=1, collections="calib", timespan=day) is None
    assert find("bias", instrument="Cam1", detector=2, collections="calib", timespan=day) == refs[1]
    one, two = ({"instrument": "Cam1", "detector": detector} for detector in (1, 2))
    assert butler.get("bias", two, collections="calib", timespan=day) == {"of": 2}
    assert butler.getDeferred("bias", two, collections="calib", timespan=day).get() == {"of": 2}
    for nothing in ((one, day), (two, None)):
        with pytest.raises(errors.DatasetNotFoundError):
            butler.get("bias", nothing[0], collections="calib", timespan=nothing[1])
    found = registry.queryDatasetAssociations("bias", "calib")
    assert sorted((a.ref.dataId["detector"], a.timespan.nsec[0]) for a in found if a.timespan) == [
        (1, START),
        (1, START + 2 * DAY),
        (2, START),
    ]
    registry.decertify("calib", bias, Timespan.from_nsec(None, None))
    assert list(registry.queryDatasetAssociations("bias", "calib")) == []
    with pytest.raises(TypeError):
        registry.associate("calib", refs)
    with pytest.raises(TypeError):
        registry.certify("tag", refs, day)


def test_a_misspelt_collection_is_told_when_there_is_nothing_to_put_into_it(butler: Butler) -> None:
    registry, always = butler.registry, Timespan.from_nsec(None, None)
    calls: list[Any] = [
        lambda: registry.associate("typo", []),
        lambda: registry.disassociate("typo", []),
        lambda: registry.certify("typo", [], always),
    ]
    for call in calls:
        with pytest.raises(errors.MissingCollectionError, match="typo"):
            call()
    registry.registerCollection("tag", CollectionType.TAGGED)
    registry.associate("tag", [])
    registry.disassociate("tag", iter(()))


def test_records_are_replaced_and_updated_where_that_is_asked_for(butler: Butler) -> None:
    registry = butler.registry
    row = {"instrument": "Cam1", "id": 1, "full_name": "Aa", "raft": "new"}
    with pytest.raises(errors.ConflictingDefinitionError):
        registry.insertDimensionData("detector", row)
    assert (
        registry.insertDimensionData("detector", row, {**row, "id": 9, "full_name": "Zz"}, replace=True) == 1
    )
    (record,) = registry.queryDimensionRecords("detector", instrument="Cam1", detector=1)
    assert (record.raft, record.purpose) == ("new", None)
    assert registry.syncDimensionData("detector", {**row, "raft": "newer"}, update=True)
    assert not registry.syncDimensionData("detector", {**row, "raft": "newer"}, update=True)
    with pytest.raises(errors.ConflictingDefinitionError):
        registry.syncDimensionData("detector", row)
    with pytest.raises(errors.InvalidRequestError):
        registry.insertDimensionData("detector", row, skip_existing=True, replace=True)


def test_a_read_only_butler_changes_nothing(repository: Repository, butler: Butler) -> None:
    # D75
    ref = butler.put({}, "note", instrument="Cam1", detector=1, run="a")
    reader = repository.butler(collections="a")
    registry, span = reader.registry, Timespan.from_nsec(None, None)
    before = repository.content()
    calls: list[Any] = [
        lambda: registry.registerRun("x"),
        lambda: registry.removeCollection("c"),
        lambda: registry.setCollectionChain("outer", ["a"]),
        lambda: registry.setCollectionDocumentation("a", "x"),
        lambda: registry.removeDatasetType("raw"),
        lambda: registry.associate("tag", [ref]),
        lambda: registry.disassociate("tag", [ref]),
        lambda: registry.certify("calib", [ref], span),
        lambda: registry.decertify("calib", "note", span),
        lambda: registry.insertDimensionData("instrument", {"name": "x"}, replace=True),
        lambda: reader.collections.extend_chain("outer", ["a"]),
        lambda: reader.collections.remove("c"),
    ]
    for call in calls:
        with pytest.raises(errors.ReadOnlyError):
            call()
    assert repository.content() == before


def test_what_happens_can_be_watched(butler: Butler) -> None:
    watch = butler.registry.watch(b"", datasetType="note", runs="a")
    ref = butler.put({}, "note", instrument="Cam1", detector=1, run="a")
    event = next(watch)
    assert event.dataset_ids == (ref.id,)
    watch.close()  # type: ignore[attr-defined] # a generator


def test_types_of_collections_have_names_in_any_case() -> None:
    every = frozenset(CollectionType)
    assert CollectionType.all() == CollectionType.from_names() == CollectionType.from_names([]) == every
    assert CollectionType.from_names(["run", "TAGGED"]) == {CollectionType.RUN, CollectionType.TAGGED}
    assert CollectionType.from_names("Run") == {CollectionType.RUN}
    for wrong in ("ran", 5):
        with pytest.raises(errors.InvalidNameError, match=str(wrong)):
            CollectionType.from_names([wrong])  # type: ignore[list-item]
