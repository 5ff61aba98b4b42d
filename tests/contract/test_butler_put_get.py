# SPDX-License-Identifier: BSD-3-Clause
"""What goes into a butler comes out again, by whatever name it is asked for; embedded and through services."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from butler import Butler, DataCoordinate, DatasetRef, DatasetType, DeferredDatasetHandle, StorageClass
from butler.formatters import default_formatters
from butler.putting import format_dataset
from butler.storage_classes import default_storage_classes
from butler_model.composites import NOTHING_DISASSEMBLED
from butler_model.errors import (
    AmbiguousDataIdError,
    AmbiguousDatasetError,
    ArtifactIntegrityError,
    ArtifactNotFoundError,
    ButlerError,
    ConflictingDefinitionError,
    DatasetNotFoundError,
    DatasetTypeMismatchError,
    FormatterError,
    InvalidRequestError,
    ReadOnlyError,
    StorageClassError,
    StorageClassTypeError,
)
from butler_model.ports import Datastore, PruneDatasets
from tests.support.butlers import Repository, on_every_store, on_posix_and_s3
from tests.support.survey import insert_survey, register_types


@pytest.fixture
def butler(repository: Repository) -> Butler:
    """Give a butler that writes to run1 of a surveyed repository."""
    return repository.surveyed()


def note(number: int) -> dict[str, Any]:
    return {"number": number, "text": "ünïcode"}


def reopened(obj: Any) -> Any:
    return pickle.loads(pickle.dumps(obj))


def test_put_returns_a_resolved_ref_with_an_expanded_data_id_and_get_returns_an_equal_object(
    butler: Butler,
) -> None:
    """A2."""
    ref = butler.put(note(1), "note", instrument="Cam1", detector=1)
    assert ref.run == "run1"
    assert ref.id is not None
    assert ref.id.version == 7
    assert ref.dataId == {"instrument": "Cam1", "detector": 1}
    detector = ref.dataId.records["detector"]
    assert detector is not None
    assert detector.full_name == "Aa"
    assert butler.get("note", instrument="Cam1", detector=1) == note(1)
    assert butler.get("note", {"instrument": "Cam1"}, detector=1) == note(1)
    assert butler.get("note", ref.dataId) == note(1)
    assert butler.get(ref) == note(1)
    assert butler.get(ref.unresolved()) == note(1)
    assert butler.get(butler.registry.getDatasetType("note"), ref.dataId) == note(1)
    assert butler.find_dataset("note", instrument="Cam1", detector=1) == ref
    assert butler.get_dataset(ref.getCheckedId()) == ref
    assert butler.datasetExists(ref)


@on_posix_and_s3
def test_a_second_put_of_the_same_data_id_is_refused_and_the_first_file_stays_as_it_is(
    repository: Repository, butler: Butler
) -> None:
    # D1
    butler.put(note(1), "note", instrument="Cam1", detector=1)
    before = repository.content()
    with pytest.raises(ConflictingDefinitionError):
        butler.put(note(2), "note", instrument="Cam1", detector=1)
    assert repository.content() == before
    butler.registry.registerRun("run2")
    butler.put(note(2), "note", instrument="Cam1", detector=1, run="run2")
    assert butler.get("note", instrument="Cam1", detector=1) == note(1)
    assert butler.get("note", instrument="Cam1", detector=1, collections="run2") == note(2)


@on_posix_and_s3
def test_an_object_that_cannot_be_stored_leaves_neither_row_nor_file(
    repository: Repository, butler: Butler
) -> None:
    # D2
    before = repository.content()
    for obj in ([1], "text", None, {"not": object()}, {1: 2}):
        expected = FormatterError if isinstance(obj, dict) else StorageClassTypeError
        with pytest.raises(expected):
            butler.put(obj, "note", instrument="Cam1", detector=1)
        with pytest.raises(expected):
            butler.put_many(
                [(note(1), "note", {"instrument": "Cam1", "detector": 1}), (obj, "note", {"detector": 2})]
            )
    assert repository.content() == before


@on_posix_and_s3
def test_a_resolved_ref_cannot_be_put_and_gets_only_what_the_collections_hold(
    repository: Repository, butler: Butler
) -> None:
    # D5
    ref = butler.put(note(1), "note", instrument="Cam1", detector=1)
    with pytest.raises(InvalidRequestError):
        butler.put(note(1), ref)
    other = butler.clone(run="run2")
    with pytest.raises(DatasetNotFoundError):
        other.get(ref)
    ref2 = other.put(note(2), ref.unresolved())
    with pytest.raises(DatasetTypeMismatchError):
        other.get(ref)
    assert other.getDirect(ref) == note(1)
    assert other.get(ref2) == note(2)
    anywhere = repository.butler()
    assert anywhere.get(ref) == anywhere.getDeferred(ref).get() == note(1)
    assert anywhere.datasetExists(ref)
    assert anywhere.getURI(ref) == butler.getURI(ref)
    with pytest.raises(DatasetNotFoundError):
        anywhere.getDeferred(DatasetRef(ref.datasetType, ref.dataId, "run1", id=uuid.uuid4()))
    with pytest.raises(AmbiguousDatasetError):
        other.getDirect(ref.unresolved())
    with pytest.raises(DatasetNotFoundError):
        other.getDirect(DatasetRef(ref.datasetType, ref.dataId, "run1", id=uuid.uuid4()))


@on_posix_and_s3
def test_a_ref_takes_no_data_id_beside_it(butler: Butler) -> None:
    # D6
    ref = butler.put(note(1), "note", instrument="Cam1", detector=1)
    for call in (butler.get, butler.getDeferred, butler.getURI, butler.datasetExists):
        with pytest.raises(InvalidRequestError):
            call(ref, {"detector": 1})
        with pytest.raises(InvalidRequestError):
            call(ref, detector=1)


def test_the_first_collection_that_has_a_dataset_wins(butler: Butler) -> None:
    # D7
    butler.put(note(1), "note", instrument="Cam1", detector=1)
    butler.registry.registerRun("run2")
    for detector in (1, 2):
        butler.put(note(20 + detector), "note", instrument="Cam1", detector=detector, run="run2")
    first = butler.clone(collections=["run1", "run2"])
    second = butler.clone(collections=["run2", "run1"])
    assert first.get("note", detector=1) == note(1)
    assert first.get("note", detector=2) == note(22)
    assert second.get("note", detector=1) == note(21)
    assert butler.get("note", detector=1, collections=("run2", "run1")) == note(21)


def test_an_artifact_deleted_behind_the_butlers_back_does_not_exist_any_more(
    repository: Repository, butler: Butler
) -> None:
    # D30
    ref = butler.put(note(1), "note", instrument="Cam1", detector=1)
    assert butler.stored_many([ref]) == {ref: True}
    (name,) = repository.files()
    (repository.deployment.artifacts / name).unlink()
    assert not butler.datasetExists(ref)
    assert butler.stored_many([ref]) == {ref: False}
    with pytest.raises(ArtifactNotFoundError) as caught:
        butler.get(ref)
    assert isinstance(caught.value, FileNotFoundError)
    with pytest.raises(DatasetNotFoundError):
        butler.datasetExists("note", instrument="Cam1", detector=2)


@on_posix_and_s3
@pytest.mark.parametrize("size", [100, 1_000_000])
def test_changed_bytes_are_never_returned(repository: Repository, butler: Butler, size: int) -> None:
    # D31
    ref = butler.put(bytes(size), "blob", instrument="Cam1", detector=1)
    (name,) = repository.files()
    repository.write_behind(name, bytes(size - 1) + b"\x01")
    with pytest.raises(ArtifactIntegrityError):
        butler.get(ref)
    repository.write_behind(name, bytes(size + 1))
    with pytest.raises(ArtifactIntegrityError):
        butler.get(ref)
    assert not butler.datasetExists(ref)


def test_a_uri_says_where_the_artifact_is(repository: Repository, butler: Butler) -> None:
    ref = butler.put(note(1), "note", instrument="Cam1", detector=1)
    (name,) = repository.files()
    assert name.startswith("run1/note/")
    assert name.endswith(f"{ref.getCheckedId().hex[-12:]}.json")
    embedded = (repository.deployment.artifacts / name).as_uri()
    assert butler.getURI(ref) in (embedded, f"butler://main/{name}")
    assert butler.getURI(ref).startswith("butler:") == repository.address.startswith("grpc:")


@on_every_store
def test_components_are_read_without_the_whole_and_take_parameters_of_their_own(butler: Butler) -> None:
    # D34
    table = pa.table({"a": [1, 2, 3], "b": [1.0, 2.0, 3.0]})
    ref = butler.put(table, "catalog", instrument="Cam1", visit=1, detector=1)
    where = {"instrument": "Cam1", "visit": 1, "detector": 1}
    assert butler.get("catalog", where).equals(table)
    assert butler.get("catalog.rowcount", where) == 3
    assert butler.get("catalog.columns", where) == ["a", "b"]
    assert butler.get("catalog.schema", where) == table.schema
    assert butler.get("catalog", where, parameters={"columns": "b"}).equals(table.select(["b"]))
    rowcount = butler.find_dataset("catalog.rowcount", where)
    assert rowcount is not None
    assert rowcount.datasetType.storageClass_name == "int"
    assert butler.get(rowcount) == butler.getDirect(rowcount) == 3
    assert butler.get_many([ref, ("catalog.rowcount", where)])[1] == 3
    with pytest.raises(StorageClassError):
        butler.get("catalog.nonsense", where)
    with pytest.raises(StorageClassError):
        butler.get("catalog", where, parameters={"rows": 1})
    with pytest.raises(StorageClassError):
        butler.get("catalog.rowcount", where, parameters={"columns": "a"})
    with pytest.raises(InvalidRequestError):
        butler.put(3, "catalog.rowcount", where)


def test_a_large_table_is_read_in_part(butler: Butler) -> None:
    random = np.random.default_rng(1)
    frame = pd.DataFrame(random.random((200_000, 4)), columns=list("abcd"))
    ref = butler.put(frame, "frame", instrument="Cam1", detector=1)
    pd.testing.assert_frame_equal(butler.get(ref), frame)
    part = butler.get(ref, parameters={"columns": ["d", "a"]})
    pd.testing.assert_frame_equal(part, frame[["d", "a"]])
    assert butler.get("frame.rowcount", instrument="Cam1", detector=1) == 200_000


class MeteredReads:
    """A datastore that counts the bytes that are read of it."""

    def __init__(self, datastore: Datastore) -> None:
        self._datastore = datastore
        self.bytes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._datastore, name)

    def read(self, *arguments: Any, **keywords: Any) -> Iterator[bytes]:
        for chunk in self._datastore.read(*arguments, **keywords):
            self.bytes += len(chunk)
            yield chunk


def test_reading_one_column_moves_one_column(butler: Butler) -> None:
    """Design, section 4: range reads."""
    random = np.random.default_rng(1)
    frame = pd.DataFrame(random.random((100_000, 10)), columns=list("abcdefghij"))
    ref = butler.put(frame, "frame", instrument="Cam1", detector=1)
    meter = MeteredReads(butler._connection.datastore)
    butler._connection.datastore = meter
    butler.get(ref)
    whole = meter.bytes
    assert butler.get(ref, parameters={"columns": ["c"]})["c"].equals(frame["c"])
    assert meter.bytes - whole < 0.2 * whole
    assert butler.getDeferred("frame.rowcount", ref.dataId).get() == 100_000
    assert meter.bytes - whole < 0.3 * whole


@on_every_store
def test_a_component_of_an_object_that_is_stored_whole_is_taken_out_of_it(butler: Butler) -> None:
    # D34
    pair = StorageClass("TestItems", "dict", components={"left": "int", "right": "StructuredDataDict"})
    default_storage_classes().registerStorageClass(pair)
    default_formatters().add_config({"formatters": {"TestItems": "json"}})
    butler.registry.registerDatasetType(DatasetType("pair", [], pair, universe=butler.dimensions))
    butler.put({"left": 5, "right": None}, "pair")
    assert butler.get("pair.left") == 5
    assert butler.get("pair.right") is None
    assert butler.getDeferred("pair").get(component="left") == 5
    with pytest.raises(StorageClassError):
        butler.get("pair.left", parameters={"columns": "a"})


@on_every_store
def test_a_deferred_handle_finds_now_and_reads_later(butler: Butler) -> None:
    # D37
    table = pa.table({"a": [1, 2], "b": [3, 4]})
    where = {"instrument": "Cam1", "visit": 1, "detector": 1}
    with pytest.raises(DatasetNotFoundError):
        butler.getDeferred("catalog", where)
    ref = butler.put(table, "catalog", where)
    handle = butler.getDeferred("catalog", where, parameters={"columns": ["a"]})
    assert isinstance(handle, DeferredDatasetHandle)
    assert handle.ref == ref
    assert handle.dataId == where
    assert handle.get().column_names == ["a"]
    assert handle.get(parameters={"columns": ["b"]}).column_names == ["b"]
    assert butler.getDeferred("catalog", where).get(component="rowcount") == 2
    assert butler.getDeferred("catalog.columns", where).get() == ["a", "b"]
    with pytest.raises(AttributeError):
        handle.ref = ref  # type: ignore[misc]


def test_a_pickled_deferred_handle_reads_elsewhere(butler: Butler) -> None:
    # D37
    where = {"instrument": "Cam1", "visit": 1, "detector": 1}
    butler.put(pa.table({"a": [1, 2], "b": [3, 4]}), "catalog", where)
    handle = butler.getDeferred("catalog", where, parameters={"columns": ["a"]})
    assert reopened(handle).get().column_names == ["a"]


def test_many_ways_to_name_a_detector_find_the_same_dataset(butler: Butler) -> None:
    # D38, D76: A3
    ref = butler.put(note(1), "note", instrument="Cam1", detector=1)
    butler.put(note(2), "note", instrument="Cam1", detector=2)
    ways: list[dict[str, Any]] = [
        {"detector": 1},
        {"detector.full_name": "Aa"},
        {"full_name": "Aa"},
        {"detector": "Aa"},
        {"raft": "A", "name_in_raft": "a"},
        {"detector": np.int64(1)},
        {"detector": 1, "visit": 77},
    ]
    for data_id in ways:
        assert butler.find_dataset("note", data_id, instrument="Cam1") == ref, data_id
        assert butler.get("note", {"instrument": "Cam1", **data_id}) == note(1), data_id
        if not any("." in key for key in data_id):
            assert butler.get("note", instrument="Cam1", **data_id) == note(1), data_id
    assert butler.get_many([("note", {"instrument": "Cam1", **data_id}) for data_id in ways]) == [
        note(1)
    ] * len(ways)


def test_alternate_keys_work_in_put_too(butler: Butler) -> None:
    """A2: unlike in the older library."""
    assert butler.put(note(1), "note", instrument="Cam1", full_name="Ba").dataId["detector"] == 3


def test_a_name_of_no_detector_or_of_several_is_refused(butler: Butler) -> None:
    # D38, D76
    butler.put(note(1), "note", instrument="Cam1", detector=1)
    ways: list[dict[str, Any]] = [{"full_name": "Zz"}, {"raft": "A"}, {"detector": "1"}]
    for data_id in ways:
        with pytest.raises(AmbiguousDataIdError) as caught:
            butler.get("note", data_id, instrument="Cam1")
        assert isinstance(caught.value, RuntimeError)


def test_night_and_sequence_number_pick_an_exposure(butler: Butler) -> None:
    # D39
    for exposure in (11, 12):
        butler.put(note(exposure), "raw", instrument="Cam1", exposure=exposure, detector=1)
    assert butler.get("raw", instrument="Cam1", detector=1, day_obs=20200102, seq_num=7) == note(12)
    assert butler.get("raw", instrument="Cam1", detector=1, obs_id="HCA1") == note(11)
    with pytest.raises(AmbiguousDataIdError):
        butler.get("raw", instrument="Cam1", detector=1, seq_num=7)


def test_the_instrument_is_assumed_if_the_collections_hold_one(repository: Repository) -> None:
    # D47, D48
    butler = repository.surveyed()
    insert_survey(butler, "Cam2")
    butler.put(note(1), "note", instrument="Cam1", detector=1)
    butler.registry.registerRun("run2")
    butler.put(note(2), "note", instrument="Cam2", detector=1, run="run2")
    assert butler.get("note", detector=1) == note(1)
    assert butler.registry.expandDataId(detector=1)["instrument"] == "Cam1"
    assert [r.dataId["instrument"] for r in butler.registry.queryDatasets("note", detector=1)] == ["Cam1"]
    assert repository.butler(collections="run2").get("note", detector=1) == note(2)
    both = ["run1", "run2"]
    assert repository.butler(collections=[*both, "missing"]).registry.defaults.dataId == {}
    assert repository.butler(collections=["run1", "missing"]).registry.defaults.dataId == {
        "instrument": "Cam1"
    }
    assert repository.butler(collections="run1", inferDefaults=False).registry.defaults.dataId == {}
    with pytest.raises(ButlerError):
        repository.butler(collections=both).get("note", detector=1)
    explicit = repository.butler(collections=both, instrument="Cam2")
    assert explicit.get("note", detector=1) == note(2)
    assert explicit.get("note", detector=1, instrument="Cam1") == note(1)


def test_data_ids_are_equal_whatever_else_they_know(butler: Butler) -> None:
    # D66
    ref = butler.put(note(1), "summary", instrument="Cam1", visit=1)
    minimal = DataCoordinate.standardize(instrument="Cam1", visit=1, universe=butler.dimensions)
    (queried,) = butler.registry.queryDatasets("summary")
    assert queried.dataId.hasFull()
    assert queried.dataId["day_obs"] == 20200101
    assert not minimal.hasFull()
    assert len({ref.dataId, queried.dataId, minimal}) == 1
    assert sorted(butler.registry.queryDataIds("visit"))[0] == minimal


def test_many_datasets_of_many_types_go_in_and_out_in_order(repository: Repository, butler: Butler) -> None:
    items: list[tuple[object, str, dict[str, Any]]] = [
        (note(1), "note", {"instrument": "Cam1", "detector": 1}),
        ("a log", "log", {}),
        (note(2), "note", {"instrument": "Cam1", "full_name": "Ab"}),
        (bytes(700_000), "blob", {"instrument": "Cam1", "detector": 1}),
        (b"", "blob", {"instrument": "Cam1", "detector": 2}),
        (note(3), "coadd", {"skymap": "Sky1", "tract": 0, "patch": 5, "band": "g"}),
        (note(4), "note", {"instrument": "Cam1", "detector": np.int32(3)}),
    ]
    refs = butler.put_many(iter(items))
    assert [ref.datasetType.name for ref in refs] == [name for _, name, _ in items]
    assert [ref.dataId.get("detector") for ref in refs] == [1, None, 2, 1, 2, None, 3]
    assert all(ref.dataId.hasRecords() for ref in refs)
    objects = [obj for obj, _, _ in items]
    assert butler.get_many(refs) == objects
    assert butler.get_many([(name, data_id) for _, name, data_id in items]) == objects
    assert butler.get_many([refs[4], ("log", {}), refs[0].unresolved()]) == [b"", "a log", note(1)]
    assert butler.get_many([]) == butler.put_many([]) == []
    assert len(repository.files()) == len(items)
    assert butler.stored_many(refs) == dict.fromkeys(refs, True)
    with pytest.raises(DatasetNotFoundError):
        butler.get_many([refs[0], ("note", {"instrument": "Cam1", "detector": 4})])


def test_more_datasets_than_fit_one_batch_are_put_in_several(butler: Butler) -> None:
    count = 1_100
    _insert_detectors(butler, count)
    refs = butler.put_many(
        (note(i), "note", {"instrument": "Cam1", "detector": 100 + i}) for i in range(count)
    )
    assert [ref.dataId["detector"] for ref in refs] == list(range(100, 100 + count))
    assert butler.get_many(refs) == [note(i) for i in range(count)]
    assert butler.registry.queryDatasets("note").count() == count


def test_a_batch_with_one_dataset_that_is_there_already_leaves_nothing(
    repository: Repository, butler: Butler
) -> None:
    butler.put(note(3), "note", instrument="Cam1", detector=3)
    before = repository.content()
    with pytest.raises(ConflictingDefinitionError):
        butler.put_many((note(i), "note", {"instrument": "Cam1", "detector": i}) for i in (1, 2, 3, 4))
    with pytest.raises(ConflictingDefinitionError):
        butler.put_many((note(i), "note", {"instrument": "Cam1", "detector": 1}) for i in (1, 2))
    assert repository.content() == before


@on_posix_and_s3
def test_of_puts_of_the_same_data_id_at_the_same_time_one_wins_and_the_others_leave_nothing(
    repository: Repository, butler: Butler
) -> None:
    # D77
    before = repository.rows()

    def put(number: int) -> DatasetRef | None:
        try:
            return butler.put(note(number), "note", instrument="Cam1", detector=1)
        except ConflictingDefinitionError:
            return None

    with ThreadPoolExecutor(8) as pool:
        refs = list(pool.map(put, range(8)))
    (winner,) = (number for number, ref in enumerate(refs) if ref is not None)
    assert butler.get("note", instrument="Cam1", detector=1) == note(winner)
    assert len(repository.files()) == 1
    new = {table: rows - before[table] for table, rows in repository.rows().items() if rows != before[table]}
    assert set(new.values()) == {1}
    assert not any("intent" in table for table in new)


def test_threads_may_share_a_butler(butler: Butler) -> None:
    _insert_detectors(butler, 64)

    def round_trip(number: int) -> Any:
        butler.put(note(number), "note", instrument="Cam1", detector=100 + number)
        return butler.get("note", instrument="Cam1", detector=100 + number)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(round_trip, range(64))) == [note(number) for number in range(64)]


def test_a_pickled_butler_opens_the_same_repository_in_the_same_way(butler: Butler) -> None:
    # D74
    ref = butler.put(note(1), "note", instrument="Cam1", detector=1)
    original = butler.clone(collections=["run1", "run2"], run="run2", instrument="Cam1", inferDefaults=False)
    with reopened(original) as copy:
        assert (copy.collections, copy.run, copy.isWriteable()) == (("run1", "run2"), "run2", True)
        assert copy.registry.defaults.given == {"instrument": "Cam1"}
        assert not copy.registry.defaults.infer
        assert copy.get("note", detector=1) == note(1)
    read_only = reopened(butler.clone(run=None, writeable=False))
    with read_only:
        assert read_only.get(ref) == note(1)
        assert not read_only.isWriteable()


def test_a_read_only_butler_changes_nothing(repository: Repository, butler: Butler) -> None:
    # D75, D65
    before = repository.content()
    reader = repository.butler(collections="run1")
    registry = reader.registry
    detector = {"instrument": "Cam1", "id": 9, "full_name": "X"}
    calls: dict[str, Any] = {
        "put": lambda: reader.put(note(1), "note", instrument="Cam1", detector=1),
        "put_many": lambda: reader.put_many([(note(1), "note", {"instrument": "Cam1", "detector": 1})]),
        "registerRun": lambda: registry.registerRun("new"),
        "registerCollection": lambda: registry.registerCollection("new"),
        "registerDatasetType": lambda: registry.registerDatasetType(registry.getDatasetType("note")),
        "insertDimensionData": lambda: registry.insertDimensionData("detector", detector),
        "syncDimensionData": lambda: registry.syncDimensionData("detector", detector),
        "Butler": lambda: repository.butler(run="new", writeable=False),
    }
    for name, call in calls.items():
        with pytest.raises(ReadOnlyError, match=r"^Butler is read-only\.") as caught:
            call()
        assert isinstance(caught.value, TypeError), name
    assert repository.content() == before
    assert repository.butler(run="run1", writeable=False).run == "run1"


def test_a_butler_closes_with_its_block_and_its_clones_live_on(repository: Repository) -> None:
    with repository.butler(run="run1") as butler:
        insert_survey(butler)
        register_types(butler)
        clone = butler.clone(collections="run1")
        assert "run1" in str(butler)
        assert "<td>run1</td>" in butler._repr_html_()
    butler.close()
    assert clone.put(note(1), "note", instrument="Cam1", detector=1).run == "run1"
    clone.close()


def test_importing_the_client_loads_none_of_the_heavy_libraries() -> None:
    program = "import sys, butler; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=dict(os.environ)
    ).stdout.split()
    assert not {"astropy", "pandas", "pyarrow", "sqlalchemy", "butler_registry"} & set(output)


def _insert_detectors(butler: Butler, count: int) -> None:
    butler.registry.insertDimensionData(
        "detector",
        *({"instrument": "Cam1", "id": 100 + i, "full_name": f"D{i}"} for i in range(count)),
    )


@on_posix_and_s3
def test_a_put_and_a_removal_that_are_delivered_twice_have_one_effect(
    repository: Repository, butler: Butler
) -> None:
    # D79
    blob = butler.registry.getDatasetType("blob")
    data_id = {"instrument": "Cam1", "detector": 1}
    dataset = format_dataset(b"four", blob, data_id, NOTHING_DISASSEMBLED)
    request_id = uuid.uuid4()
    (ref,) = butler._put_protocol.put("run1", [dataset], request_id=request_id)
    there = repository.content()
    # Whoever did not learn what became of it does all of it again.
    assert butler._put_protocol.put("run1", [dataset], request_id=request_id) == [ref]
    dataset.close()
    assert repository.content() == there
    assert butler.get(ref) == b"four"
    removal = PruneDatasets(uuid.uuid4(), (dataset.id,), unstore=True, purge=True)
    first = butler._connection.registry.removals.prune(removal)
    butler.trash.empty()
    gone = repository.content()
    assert butler._connection.registry.removals.prune(removal) == first
    assert repository.content() == gone
    assert gone[1] == {}
