# SPDX-License-Identifier: BSD-3-Clause
"""Several things done as one: all of them happen, or none; embedded and through services."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from butler import Butler, DatasetRef, DatasetType, FileDataset
from butler_model.collection import CollectionType
from butler_model.errors import (
    ConflictingDefinitionError,
    DataIdValueError,
    MissingCollectionError,
    MissingDatasetTypeError,
    OverloadedError,
    ReadOnlyError,
    ServiceUnavailableError,
)
from tests.support.butlers import Repository, deployment, on_posix_and_s3
from tests.support.faulty_http import faulty_server_before
from tests.support.s3 import S3Server
from tests.support.stores import bucket_place


class Mistake(Exception):
    """What a program of a user raises."""


@pytest.fixture
def butler(repository: Repository) -> Butler:
    """Give a butler that writes to run1 of a surveyed repository."""
    return repository.surveyed()


@contextmanager
def undone(butler: Butler, error: type[Exception] = Mistake) -> Iterator[None]:
    """Run a block in a transaction that fails; with a mistake at its end if with nothing before."""
    with pytest.raises(error), butler.transaction():  # noqa: PT012 - the block is the caller's
        yield
        raise Mistake


def put(butler: Butler, detector: int, run: str | None = None) -> DatasetRef:
    return butler.put({"number": detector}, "note", instrument="Cam1", detector=detector, run=run)


def find(butler: Butler, detector: int) -> DatasetRef | None:
    return butler.registry.findDataset("note", instrument="Cam1", detector=detector)


def insert_detector(butler: Butler, number: int) -> None:
    butler.registry.insertDimensionData(
        "detector", {"instrument": "Cam1", "id": number, "full_name": f"X{number}", "purpose": "SCIENCE"}
    )


def do_everything(butler: Butler) -> None:
    """Change a repository in every way there is."""
    insert_detector(butler, 9)
    group = butler.dimensions.conform(["instrument", "visit", "physical_filter"])
    butler.registry.registerDatasetType(DatasetType("new", group, "StructuredDataDict"))
    butler.registry.registerRun("run2")
    butler.registry.registerCollection("tagged")
    butler.registry.registerCollection("chain", CollectionType.CHAINED)
    ref = put(butler, 9, "run2")
    butler.put_many([({"number": n}, "note", {"instrument": "Cam1", "detector": n}) for n in (1, 2)])
    butler.put({"number": 5}, "new", instrument="Cam1", visit=1)
    butler.registry.associate("tagged", [ref])
    butler.registry.setCollectionChain("chain", ["run2", "tagged"])


def test_what_was_done_in_a_transaction_is_there_afterwards(repository: Repository, butler: Butler) -> None:
    with butler.transaction():
        do_everything(butler)
    other = repository.butler(collections="chain")
    assert other.get("note", instrument="Cam1", detector=9) == {"number": 9}
    assert other.get("note", instrument="Cam1", detector=2, collections="run1") == {"number": 2}
    assert other.get("new", instrument="Cam1", visit=1, collections="run1") == {"number": 5}
    assert repository.rows()["put_intent"] == 0


@on_posix_and_s3
def test_an_exception_leaves_nothing_of_a_transaction(repository: Repository, butler: Butler) -> None:
    # D25
    put(butler, 4)
    before = repository.content()
    with undone(butler):
        do_everything(butler)
    assert repository.content() == before
    with pytest.raises(DataIdValueError):
        put(butler, 9)
    with pytest.raises(MissingDatasetTypeError):
        butler.registry.getDatasetType("new")
    with pytest.raises(MissingDatasetTypeError):
        butler.put({}, "new", instrument="Cam1", visit=1)
    with pytest.raises(MissingCollectionError):
        butler.registry.getCollectionType("run2")


def test_what_was_rolled_back_can_be_done_again(repository: Repository, butler: Butler) -> None:
    # Ids and revisions that were rolled back are given again, to other things.
    with undone(butler):
        do_everything(butler)
    group = butler.dimensions.conform(["skymap", "tract"])
    butler.registry.registerDatasetType(DatasetType("new", group, "StructuredDataDict"))
    butler.registry.registerRun("another")
    butler.put({"number": 1}, "new", skymap="Sky1", tract=0, run="another")
    assert butler.get("new", skymap="Sky1", tract=0, collections="another") == {"number": 1}
    with pytest.raises(DataIdValueError):
        put(butler, 9)


def test_a_transaction_sees_what_it_did(butler: Butler) -> None:
    with butler.transaction():
        do_everything(butler)
        ref = butler.registry.findDataset("note", instrument="Cam1", detector=9, collections="chain")
        assert ref is not None
        assert butler.getDirect(ref) == {"number": 9}
        assert butler.registry.expandDataId(instrument="Cam1", detector=9).records["detector"]
        found = butler.registry.queryDatasets("note", collections=["run1", "run2"])
        assert {each.dataId["detector"] for each in found} == {1, 2, 9}
        with butler.query() as query:
            assert sorted(
                d["detector"] for d in query.data_ids(["detector"]).where("instrument = 'Cam1'")
            ) == [
                1,
                2,
                3,
                4,
                9,
            ]
            # Other calls may come between two rows.
            for row in query.dimension_records("detector").where("instrument = 'Cam1'"):
                butler.registry.expandDataId(row.dataId)
        assert set(butler.registry.queryCollections("chain", flattenChains=True)) == {"run2", "tagged"}
        assert butler.collections.get_info("run2").type is CollectionType.RUN


def test_nobody_else_sees_a_transaction_before_its_end(repository: Repository, butler: Butler) -> None:
    other = repository.butler(collections="run1")
    with butler.transaction():
        do_everything(butler)
        assert list(other.registry.queryDatasets("note", collections=...)) == []
        with pytest.raises(MissingCollectionError):
            other.registry.getCollectionType("run2")
        with ThreadPoolExecutor(1) as pool:
            # Not even this butler in another thread.
            found = pool.submit(lambda: list(butler.registry.queryDatasets("note", collections=...))).result()
        assert found == []
    assert len(set(other.registry.queryDatasets("note", collections=["run1", "run2"]))) == 3
    assert other.registry.getCollectionType("run2") is CollectionType.RUN


@on_posix_and_s3
def test_an_exception_of_a_nested_put_takes_the_outer_files_too(
    repository: Repository, butler: Butler
) -> None:
    # D26
    put(butler, 4)
    before = repository.content()
    with undone(butler, ConflictingDefinitionError):
        put(butler, 1)
        put(butler, 4)
    assert repository.content() == before


@on_posix_and_s3
def test_a_conflict_that_is_caught_leaves_the_rest_of_the_transaction_whole(
    repository: Repository, butler: Butler
) -> None:
    # D27: every call is a savepoint of its own.
    put(butler, 4)
    with butler.transaction():
        put(butler, 1)
        with pytest.raises(ConflictingDefinitionError):
            put(butler, 4)
        with pytest.raises(DataIdValueError):
            put(butler, 77)
        with pytest.raises(ConflictingDefinitionError):
            put(butler, 1)
        with pytest.raises(MissingCollectionError):
            butler.registry.removeCollection("nowhere")
        put(butler, 2)
    found = set(butler.registry.queryDatasets("note", collections="run1"))
    assert {ref.dataId["detector"] for ref in found} == {1, 2, 4}
    assert len(repository.files()) == 3
    assert repository.rows()["put_intent"] == 0


def test_the_registry_begins_the_same_transactions(butler: Butler) -> None:
    with butler.registry.transaction():
        put(butler, 1)
        with pytest.raises(Mistake), butler.registry.transaction(savepoint=True):  # noqa: PT012
            put(butler, 2)
            raise Mistake
        assert butler.registry.getDatasetType("note").name == "note"
    assert (find(butler, 1) is None, find(butler, 2)) == (False, None)


@on_posix_and_s3
def test_a_nested_transaction_can_fail_by_itself(repository: Repository, butler: Butler) -> None:
    # D27
    with butler.transaction():
        put(butler, 1)
        with butler.transaction():
            put(butler, 2)
        with undone(butler):
            insert_detector(butler, 9)
            put(butler, 9)
            butler.registry.registerRun("run2")
            with butler.transaction():
                put(butler, 3, "run2")
        assert len(repository.files()) == 2
        with pytest.raises(MissingCollectionError):
            butler.registry.getCollectionType("run2")
        with pytest.raises(DataIdValueError):
            put(butler, 9)
        put(butler, 3)
    found = set(butler.registry.queryDatasets("note", collections=...))
    assert {(ref.run, ref.dataId["detector"]) for ref in found} == {("run1", 1), ("run1", 2), ("run1", 3)}
    assert len(repository.files()) == 3
    assert repository.rows()["put_intent"] == 0


def test_the_outer_transaction_takes_what_a_nested_one_did(repository: Repository, butler: Butler) -> None:
    before = repository.content()
    with undone(butler):
        with butler.transaction():
            do_everything(butler)
        with undone(butler):
            put(butler, 3)
        raise Mistake
    assert repository.content() == before


def source(folder: Path, number: int) -> Path:
    path = folder / f"note{number}.json"
    path.write_text(json.dumps({"number": number}))
    return path


def ref_of(butler: Butler, detector: int) -> DatasetRef:
    note = butler.registry.getDatasetType("note")
    return DatasetRef(note, {"instrument": "Cam1", "detector": detector})


@pytest.mark.parametrize("reached", [True, False], ids=["taken", "uploaded"])
def test_the_source_of_a_move_goes_only_after_the_outermost_commit(
    repository: Repository, butler: Butler, tmp_path: Path, reached: bool
) -> None:
    # D21
    folder = repository.deployment.drop if reached else tmp_path
    moved, kept = source(folder, 1), source(folder, 2)
    before = repository.content()
    with undone(butler):
        butler.ingest(FileDataset(str(moved), [ref_of(butler, 1)]), transfer="move")
        assert moved.exists()
    assert moved.exists()
    assert repository.content() == before
    with butler.transaction():
        with butler.transaction():
            butler.ingest(FileDataset(str(moved), [ref_of(butler, 1)]), transfer="move")
        with undone(butler):
            butler.ingest(FileDataset(str(kept), [ref_of(butler, 2)]), transfer="move")
        assert moved.exists()
    assert not moved.exists()
    assert kept.exists()
    assert butler.get("note", instrument="Cam1", detector=1) == {"number": 1}


def test_a_file_that_cannot_be_ingested_leaves_the_transaction_as_it_was(
    repository: Repository, butler: Butler, tmp_path: Path
) -> None:
    # D24
    with butler.transaction():
        put(butler, 1)
        with pytest.raises(DataIdValueError):
            butler.ingest(
                FileDataset(str(source(tmp_path, 2)), [ref_of(butler, 2)]),
                FileDataset(str(source(tmp_path, 77)), [ref_of(butler, 77)]),
                transfer="copy",
            )
    assert len(set(butler.registry.queryDatasets("note", collections="run1"))) == 1
    assert len(repository.files()) == 1


EXPORT = """
description: Butler Data Repository Export
version: 1.0.2
universe_version: 8
universe_namespace: daf_butler
data:
- type: collection
  collection_type: RUN
  name: imported
- type: dimension
  element: detector
  records:
  - {instrument: Cam1, id: 8, full_name: Im, purpose: SCIENCE}
- type: dataset_type
  name: note
  dimensions: [instrument, detector]
  storage_class: StructuredDataDict
- type: dataset
  dataset_type: note
  run: imported
  records:
  - dataset_id: [!uuid 6e8ce0d8-8b1a-4a2e-9f0a-0123456789ab]
    data_id: [{instrument: Cam1, detector: 8}]
    path: note8.json
    formatter: butler.formatters.json.JsonFormatter
"""


def test_an_import_is_undone_with_its_transaction_and_can_be_repeated(
    repository: Repository, butler: Butler, tmp_path: Path
) -> None:
    source(tmp_path, 8)
    (tmp_path / "export.yaml").write_text(EXPORT)
    before = repository.content()
    with undone(butler):
        butler.import_(directory=tmp_path, transfer="copy")
        assert butler.get("note", instrument="Cam1", detector=8, collections="imported") == {"number": 8}
    assert repository.content() == before
    with butler.transaction():
        butler.import_(directory=tmp_path, transfer="copy")
    assert butler.get("note", instrument="Cam1", detector=8, collections="imported") == {"number": 8}


@pytest.mark.parametrize("kind", ["embedded-sqlite", "grpc-sqlite"])
def test_a_write_of_unknown_outcome_is_left_to_its_intent(
    kind: str, tmp_path: Path, s3_server: S3Server, s3_bucket: str
) -> None:
    with faulty_server_before(s3_server.endpoint) as http:
        bucket = bucket_place(s3_server, s3_bucket, tmp_path)
        behind = {**bucket.settings, "endpoint": http.endpoint, "attempts": 1}
        with deployment(kind, tmp_path, None, replace(bucket, settings=behind)) as place:
            Butler.makeRepo(place.root, **place.options)
            repository = Repository(place, place.root)
            with closing(repository):
                butler = repository.surveyed()
                with undone(butler, ServiceUnavailableError):
                    put(butler, 1)
                    http.faults["PUT"] = [503] * 20
                    put(butler, 2)
                http.faults.clear()
                assert bucket.all_keys() == []
                assert repository.rows()["put_intent"] == 1
                assert repository.rows()["dataset"] == 0


def test_a_clone_is_in_the_transaction_and_a_butler_of_its_own_is_not(
    repository: Repository, butler: Butler
) -> None:
    clone = butler.clone(collections="run1")
    other = repository.butler(collections="run1")
    with butler.transaction():
        put(butler, 1)
        assert find(clone, 1) is not None
        assert find(other, 1) is None
        with undone(clone):
            put(butler, 2)
    assert find(other, 1) is not None
    assert find(other, 2) is None


def test_a_read_only_butler_begins_no_transaction(repository: Repository, butler: Butler) -> None:
    with pytest.raises(ReadOnlyError):
        repository.butler(collections="run1").transaction()


def test_two_transactions_at_once_keep_out_of_each_others_way(repository: Repository, butler: Butler) -> None:
    begun = threading.Barrier(2)

    def work(detector: int) -> None:
        with butler.transaction():
            if "postgresql" in repository.deployment.database:
                begun.wait(20)  # on SQLite the second begins when the first is over
            put(butler, detector)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, (1, 2)))
    assert len(set(butler.registry.queryDatasets("note", collections="run1"))) == 2


def test_no_more_transactions_are_open_than_may_be(repository: Repository, butler: Butler) -> None:
    room = butler._connection.info.limits.transactions
    if not repository.deployment.database.startswith("postgresql"):
        pytest.skip("On SQLite only one is open at a time.")
    done = threading.Event()
    began = threading.Barrier(room + 1)

    def hold() -> None:
        with butler.transaction():
            began.wait(20)
            done.wait(20)

    with ThreadPoolExecutor(room) as pool:
        holding = [pool.submit(hold) for _ in range(room)]
        began.wait(20)
        with pytest.raises(OverloadedError), butler.transaction():
            pass
        done.set()
        for each in holding:
            each.result()
    with butler.transaction():
        put(butler, 1)


_CLIENT = """
import sys, time
from butler import Butler
with Butler(sys.argv[1], run="run1") as butler, butler.transaction():
    butler.registry.registerRun("run2")
    for run in "run1", "run2":
        butler.put({"number": 1}, "note", instrument="Cam1", detector=1, run=run)
    print("in the middle", flush=True)
    time.sleep(600)
"""


def test_a_client_that_is_killed_leaves_no_rows_and_its_files_have_owners(
    repository: Repository, butler: Butler
) -> None:
    before = {**repository.rows(), "put_intent": 2}
    command = [sys.executable, "-c", _CLIENT, repository.address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "in the middle\n"
        assert len(repository.files()) == 2
        client.kill()
    # Both wait for what the transaction holds.
    began = time.monotonic()
    butler.registry.registerRun("run3")
    put(butler, 1)
    assert time.monotonic() - began < 10
    after = repository.rows()
    if repository.deployment.root.startswith("grpc://") or "postgresql" in repository.deployment.database:
        assert after.pop("put_intent") == before.pop("put_intent")
    else:
        # In one process with SQLite nobody is left who could write intents: fsck finds the files.
        assert after.pop("put_intent") == 0
        before.pop("put_intent")
    assert {name: after[name] - before[name] for name in after if after[name] != before[name]} == {
        "artifact_record": 1,
        "collection": 1,
        "collection_summary": 1,
        "dataset": 1,
        "dataset_tags_1": 1,
        "outbox": 1,
        "request_log": 1,
    }
