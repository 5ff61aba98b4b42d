# SPDX-License-Identifier: BSD-3-Clause
"""Collections, dataset types and dimension records, through a butler; embedded and through services."""

from __future__ import annotations

import numpy as np
import pytest

from butler import Butler, CollectionType, DataCoordinate, DatasetRef, DatasetType, DimensionRecord
from butler.storage_classes import default_storage_classes
from butler_model.errors import (
    CollectionTypeError,
    ConflictingDefinitionError,
    DataIdValueError,
    DatasetNotFoundError,
    DimensionNameError,
    DimensionValueError,
    InconsistentDataIdError,
    InvalidNameError,
    InvalidRequestError,
    MissingCollectionError,
    MissingDatasetTypeError,
    MissingParentError,
    NotInsertableError,
    StorageClassError,
)
from tests.support.butlers import Deployment, Repository
from tests.support.survey import insert_survey


@pytest.fixture
def butler(repository: Repository) -> Butler:
    """Give a butler that may write, of an empty repository."""
    return repository.butler(writeable=True)


def test_a_new_repository_has_the_dimensions_that_it_was_made_with_and_nothing_else(
    place: Deployment,
) -> None:
    Butler.makeRepo(place.root, dimensionConfig=0, **place.options)
    with Butler(place.root) as opened:
        assert opened.dimensions.version == 0
        assert opened.registry.queryCollections() == []
        assert opened.registry.queryDatasetTypes() == []
        assert opened.run is None
        assert opened.collections == ()


def test_registering_a_run_again_changes_nothing(butler: Butler) -> None:
    registry = butler.registry
    assert registry.registerRun("u/me/run", doc="mine")
    assert not registry.registerRun("u/me/run")
    assert registry.registerCollection("other", CollectionType.RUN)
    assert registry.getCollectionType("u/me/run") is CollectionType.RUN
    with pytest.raises(MissingCollectionError):
        registry.getCollectionType("nothing")


def test_collections_are_found_by_glob_in_the_order_of_their_names(butler: Butler) -> None:
    for name in ("u/you/a", "u/me/b", "u/me/a", "raw"):
        butler.registry.registerRun(name)
    query = butler.registry.queryCollections
    assert query() == query("*") == query(...) == ["raw", "u/me/a", "u/me/b", "u/you/a"]
    assert query("u/me/*") == ["u/me/a", "u/me/b"]
    assert query(["raw", "*/a", "nothing*"]) == ["raw", "u/me/a", "u/you/a"]
    assert query("*", collectionTypes=CollectionType.RUN) == query()
    assert query("*", collectionTypes=[CollectionType.TAGGED, CollectionType.CHAINED]) == []
    assert query([]) == []


def test_a_name_that_no_collection_has_is_missing_wherever_collections_are_looked_up(butler: Butler) -> None:
    butler.registry.registerRun("raw")
    for query in (butler.registry.queryCollections, butler.collections.query, butler.collections.query_info):
        for names in ("rwa", ["raw", "rwa"], ["*", "rwa"]):
            with pytest.raises(MissingCollectionError, match=r"There is no collection 'rwa'; .* is 'raw'"):
                query(names)
        assert query("rwa*") == []
    insert_survey(butler)
    note = DatasetType("note", ["detector"], "StructuredDataDict", universe=butler.dimensions)
    butler.registry.registerDatasetType(note)
    with pytest.raises(MissingCollectionError, match="is 'raw'"):
        list(butler.registry.queryDatasetAssociations("note", ["raw", "rwa"]))


@pytest.mark.parametrize(
    "name", ["", "a/../b", "../up", "/root", "a//b", ".hidden", "a b", "x" * 256, "nul\0"]
)
def test_malformed_names_of_collections_are_refused(butler: Butler, name: str) -> None:
    with pytest.raises(InvalidNameError):
        butler.registry.registerRun(name)
    assert butler.registry.queryCollections() == []


def test_what_one_client_registers_another_sees_at_once(repository: Repository, butler: Butler) -> None:
    # D69
    other = repository.butler()
    assert other.registry.queryCollections() == []
    with pytest.raises(MissingDatasetTypeError):
        other.registry.getDatasetType("note")
    butler.registry.registerRun("run1")
    insert_survey(butler)
    note = DatasetType("note", ["detector"], "StructuredDataDict", universe=butler.dimensions)
    butler.registry.registerDatasetType(note)
    assert other.registry.queryCollections() == ["run1"]
    assert other.registry.getDatasetType("note") == note
    assert other.registry.queryDimensionRecords("detector").count() == 4


def test_minimal_json_is_completed_by_the_registry(butler: Butler) -> None:
    insert_survey(butler)
    registry = butler.registry
    note = DatasetType("note", ["detector"], "StructuredDataDict", universe=butler.dimensions)
    registry.registerDatasetType(note)
    registry.registerRun("run1")
    ref = butler.put({"n": 1}, "note", instrument="Cam1", detector=1, run="run1")
    assert DatasetType.from_json(note.to_json(minimal=True), registry=registry) == note
    assert DatasetRef.from_json(ref.to_json(minimal=True), registry=registry) == ref
    assert DatasetRef.from_json(ref.to_json(), registry=registry) == ref
    assert DataCoordinate.from_json(ref.dataId.to_json(), registry=registry) == ref.dataId
    with pytest.raises(MissingDatasetTypeError):
        DatasetType.from_json('{"name":"nite"}', registry=registry)
    with pytest.raises(DatasetNotFoundError):
        DatasetRef.from_json('{"id":"00000000-0000-0000-0000-000000000007"}', registry=registry)


def test_registering_a_dataset_type_again_changes_nothing_unless_it_differs(butler: Butler) -> None:
    # D67
    registry, universe = butler.registry, butler.dimensions
    note = DatasetType("note", ["detector"], "StructuredDataDict", universe=universe)
    assert registry.registerDatasetType(note)
    assert not registry.registerDatasetType(
        DatasetType("note", ["instrument", "detector"], "StructuredDataDict", universe=universe)
    )
    for other in (
        DatasetType("note", ["visit"], "StructuredDataDict", universe=universe),
        DatasetType("note", ["detector"], "Text", universe=universe),
        DatasetType("note", ["detector"], "StructuredDataDict", universe=universe, isCalibration=True),
    ):
        with pytest.raises(ConflictingDefinitionError):
            registry.registerDatasetType(other)
    assert registry.getDatasetType("note") == note
    strange = DatasetType("strange", ["skymap"], "KnownNowhere", universe=universe, isCalibration=True)
    assert registry.registerDatasetType(strange)
    assert registry.getDatasetType("strange") == strange
    assert registry.getDatasetType("strange").isCalibration()


def test_dataset_types_are_found_by_glob_and_components_by_name(butler: Butler) -> None:
    for name in ("calexp", "calexp_background", "raw"):
        butler.registry.registerDatasetType(
            DatasetType(name, ["visit"], "ArrowTable", universe=butler.dimensions)
        )
    query = butler.registry.queryDatasetTypes
    assert [t.name for t in query()] == ["calexp", "calexp_background", "raw"]
    assert [t.name for t in query("cal*")] == ["calexp", "calexp_background"]
    assert [t.name for t in query(["raw", "nothing"])] == ["raw"]
    component = butler.registry.getDatasetType("raw.rowcount")
    assert component.isComponent()
    assert component.storageClass_name == "int"
    assert component.parentStorageClass_name == "ArrowTable"
    with pytest.raises(StorageClassError):
        butler.registry.getDatasetType("raw.nonsense")
    with pytest.raises(InvalidRequestError):
        butler.registry.registerDatasetType(component)


def test_records_come_back_with_every_field_as_it_was(butler: Butler) -> None:
    """A8."""
    insert_survey(butler)
    registry = butler.registry
    assert registry.expandDataId(exposure=11, instrument="Cam1").timespan is not None
    (visit,) = registry.queryDimensionRecords("visit", instrument="Cam1", visit=2)
    assert isinstance(visit, DimensionRecord)
    assert (visit.id, visit.name, visit.physical_filter, visit.day_obs) == (2, "v2", "Cam1-R1", 20200102)
    assert visit.exposure_time == 30.0
    assert visit.target_name is None
    assert visit.timespan.contains(visit.timespan)
    (skymap,) = registry.queryDimensionRecords("skymap")
    assert skymap.hash == b"\x01\x02"


def test_inserting_a_record_twice_is_refused_unless_existing_ones_are_skipped(
    repository: Repository, butler: Butler
) -> None:
    insert_survey(butler)
    insert = butler.registry.insertDimensionData
    before = repository.rows()
    new = {"instrument": "Cam1", "id": 8, "full_name": "Ca"}
    old = {"instrument": "Cam1", "id": 1, "full_name": "Aa"}
    same_name = {"instrument": "Cam1", "id": 9, "full_name": "Aa"}
    for rows in ([new, old], [new, new], [new, same_name]):
        with pytest.raises(ConflictingDefinitionError):
            insert("detector", *rows)
        assert repository.rows() == before
    assert insert("detector", old, new, skip_existing=True) == 1
    assert insert("detector") == 0
    assert butler.registry.queryDimensionRecords("detector").count() == 5


def test_sync_inserts_a_record_once_and_refuses_one_that_differs(
    repository: Repository, butler: Butler
) -> None:
    # D65
    insert_survey(butler)
    registry, reader = butler.registry, repository.butler().registry
    record = {"instrument": "Cam1", "id": 8, "full_name": "Ca", "raft": None}
    assert registry.syncDimensionData("detector", record)
    assert not registry.syncDimensionData("detector", record)
    assert not reader.syncDimensionData("detector", record)
    with pytest.raises(ConflictingDefinitionError):
        registry.syncDimensionData("detector", {**record, "raft": "C"})


def test_fields_of_records_are_checked(repository: Repository, butler: Butler) -> None:
    # D76: issue A: bad input
    insert_survey(butler)
    insert = butler.registry.insertDimensionData
    before = repository.rows()
    good = {"instrument": "Cam1", "id": 8, "full_name": "Ca"}
    cases: list[tuple[str, dict[str, object], type[Exception]]] = [
        ("detector", {**good, "id": "8"}, DimensionValueError),
        ("detector", {**good, "id": 8.0}, DimensionValueError),
        ("detector", {**good, "id": True}, DimensionValueError),
        ("detector", {**good, "id": 2**63}, DimensionValueError),
        ("detector", {**good, "full_name": "x" * 33}, DimensionValueError),
        ("detector", {**good, "full_name": 5}, DimensionValueError),
        ("detector", {**good, "nonsense": 5}, DimensionValueError),
        ("detector", {**good, "instrument": "Nope"}, MissingParentError),
        ("detector", {"id": 8, "full_name": "Ca"}, DimensionNameError),
        (
            "visit",
            {"instrument": "Cam1", "id": 3, "name": "v3", "physical_filter": "Cam1-G", "day_obs": 1},
            MissingParentError,
        ),
        ("patch", {"skymap": "Sky1", "tract": 0, "id": 1}, DimensionValueError),
        ("detektor", good, DimensionNameError),
    ]
    for element, row, expected in cases:
        with pytest.raises(expected) as caught:
            insert(element, {**good, "id": 7, "full_name": "Zz"} if element == "detector" else row, row)
        assert type(caught.value) is expected, row
        assert repository.rows() == before
    assert insert("detector", {**good, "id": np.int64(8)}) == 1


def test_bands_come_from_physical_filters_only(butler: Butler) -> None:
    # D58
    insert_survey(butler)
    assert [record.name for record in butler.registry.queryDimensionRecords("band")] == ["g", "r"]
    for element, row in (("band", {"name": "z"}), ("htm7", {"id": 131072})):
        with pytest.raises(NotInsertableError):
            butler.registry.insertDimensionData(element, row)


def test_data_ids_are_expanded_with_implied_values_and_records(butler: Butler) -> None:
    """A8."""
    insert_survey(butler)
    expand = butler.registry.expandDataId
    visit = expand(instrument="Cam1", visit=1)
    assert visit.hasRecords()
    assert (visit["band"], visit["physical_filter"], visit["day_obs"]) == ("g", "Cam1-G", 20200101)
    assert expand({"instrument": "Cam1", "visit": 1}, dimensions=["instrument"]) == {"instrument": "Cam1"}
    assert expand(visit) is visit
    assert expand() == {}
    assert expand(visit.subset(["visit"]), detector=1)["detector"] == 1
    with pytest.raises(DataIdValueError) as caught:
        expand(instrument="Cam1", visit=99)
    assert isinstance(caught.value, LookupError)
    with pytest.raises(DimensionNameError):
        expand(visit=1)
    with pytest.raises(DimensionNameError):
        expand(instrument="Cam1", visite=1)
    with pytest.raises(InconsistentDataIdError):
        expand(instrument="Cam1", visit=1, physical_filter="Cam1-R1")


def test_visit_and_exposure_need_a_definition_that_relates_them(butler: Butler) -> None:
    # D60
    insert_survey(butler)
    registry = butler.registry
    assert list(registry.queryDataIds(["visit", "exposure"])) == []
    with pytest.raises(InconsistentDataIdError):
        registry.expandDataId(instrument="Cam1", visit=1, exposure=11)
    registry.insertDimensionData("visit_definition", {"instrument": "Cam1", "visit": 1, "exposure": 11})
    assert list(registry.queryDataIds(["visit", "exposure"])) == [
        {"instrument": "Cam1", "visit": 1, "exposure": 11}
    ]
    assert registry.expandDataId(instrument="Cam1", visit=1, exposure=11)["group"] == "group1"


def test_a_run_cannot_be_another_kind_of_collection(butler: Butler) -> None:
    butler.registry.registerRun("run1")
    with pytest.raises((ConflictingDefinitionError, CollectionTypeError, NotImplementedError)):
        butler.registry.registerCollection("run1", CollectionType.TAGGED)
    assert butler.registry.getCollectionType("run1") is CollectionType.RUN


def test_the_client_knows_the_storage_classes_of_the_field() -> None:
    for name in ("StructuredDataDict", "DataFrame", "ArrowTable", "ArrowAstropy", "NumpyArray", "ExposureF"):
        assert default_storage_classes().getStorageClass(name).name == name
