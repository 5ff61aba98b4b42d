# SPDX-License-Identifier: BSD-3-Clause
"""Datasets, their artifacts and collections are removed as asked, and nothing else is."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from butler import Butler, CollectionType, DatasetRef, FileDataset, Timespan
from butler.errors import (
    PruneCollectionsArgsError,
    PurgeUnsupportedPruneCollectionsError,
    PurgeWithoutUnstorePruneCollectionsError,
    RunWithoutPurgePruneCollectionsError,
)
from butler_model.errors import (
    AmbiguousDatasetError,
    ArtifactNotFoundError,
    ChainMembershipError,
    ConflictingDefinitionError,
    DatasetNotFoundError,
    InvalidRequestError,
    MissingCollectionError,
    OrphanedRecordError,
    ReadOnlyError,
    TrashClaimedError,
)
from butler_model.ports import PruneDatasets
from tests.support.butlers import Deployment, Repository, on_posix_and_s3
from tests.support.registries import at_once
from tests.support.s3 import S3Server


@pytest.fixture
def butler(repository: Repository) -> Butler:
    """Give a butler that writes to run1 of a surveyed repository."""
    return repository.surveyed()


def note(number: int) -> dict[str, Any]:
    return {"number": number}


def put_notes(butler: Butler, *detectors: int, run: str | None = None) -> list[DatasetRef]:
    return [butler.put(note(d), "note", instrument="Cam1", detector=d, run=run) for d in detectors]


def purge(butler: Butler, *refs: DatasetRef, **options: Any) -> Any:
    return butler.pruneDatasets(refs, purge=True, unstore=True, **options)


def exists(butler: Butler, ref: DatasetRef) -> bool:
    return butler.datasetExists(ref.unresolved(), collections=[ref.run or ""])


# ---- pruneDatasets


@on_posix_and_s3
def test_a_purge_removes_datasets_with_their_artifacts_for_good(
    repository: Repository, butler: Butler
) -> None:
    first, second, third = put_notes(butler, 1, 2, 3)
    report = purge(butler, first, second, second)
    assert (report.datasets, report.artifacts, report.problem) == ({"note": 2}, 2, None)
    assert report.emptied is not None
    assert (report.emptied.deleted, report.emptied.failed) == (2, 0)
    assert len(repository.files()) == 1
    assert repository.rows()["artifact_trash"] == 0
    with pytest.raises(DatasetNotFoundError):
        butler.get("note", instrument="Cam1", detector=1)
    assert butler.get(third) == note(3)
    assert purge(butler, first).datasets == {}


@on_posix_and_s3
def test_a_data_id_stays_taken_when_only_the_artifact_goes_and_is_free_after_a_purge(
    repository: Repository, butler: Butler
) -> None:
    # D3
    (ref,) = put_notes(butler, 1)
    report = butler.pruneDatasets([ref], unstore=True, disassociate=False)
    assert report.artifacts == 1
    assert repository.files() == {}
    assert butler.get_dataset(ref.getCheckedId()) == ref
    with pytest.raises(ArtifactNotFoundError):
        butler.get(ref)
    with pytest.raises(ConflictingDefinitionError):
        put_notes(butler, 1)
    purge(butler, ref)
    (again,) = put_notes(butler, 1)
    assert butler.get(again) == note(1)


@on_posix_and_s3
def test_a_file_that_was_forgotten_is_not_in_the_way_of_a_new_dataset(
    repository: Repository, butler: Butler
) -> None:
    # D4
    put_notes(butler, 1)
    before = repository.files()
    butler.removeRuns("run1", unstore=False)
    butler.registry.registerRun("run1")
    butler.put(note(2), "note", instrument="Cam1", detector=1)
    assert butler.get("note", instrument="Cam1", detector=1) == note(2)
    assert before.items() < repository.files().items()


@on_posix_and_s3
def test_arguments_of_a_prune_that_do_not_go_together_are_refused_and_nothing_changes(
    repository: Repository, butler: Butler
) -> None:
    # D15
    (ref,) = put_notes(butler, 1)
    butler.registry.registerCollection("tag", CollectionType.TAGGED)
    before = repository.content()
    for arguments in (
        {},
        {"purge": True},
        {"purge": True, "unstore": True, "disassociate": False},
        {"unstore": True},
        {"unstore": True, "tags": ["run1"]},
        {"tags": ["tag", "run1"]},
    ):
        with pytest.raises(TypeError):
            butler.pruneDatasets([ref], **arguments)
    with pytest.raises(TypeError):
        butler.pruneDatasets([], tags=["run1"])
    with pytest.raises(MissingCollectionError):
        butler.pruneDatasets([ref], tags=["nowhere"])
    with pytest.raises(AmbiguousDatasetError):
        butler.pruneDatasets([ref, ref.unresolved()], purge=True, unstore=True)
    parent = butler.registry.getDatasetType("catalog")
    component = DatasetRef(
        parent.makeComponentDatasetType("columns", "ArrowColumnList"),
        {"instrument": "Cam1", "visit": 1, "detector": 1},
        "run1",
        id=uuid.uuid4(),
    )
    with pytest.raises(ValueError, match="component"):
        butler.pruneDatasets([ref, component], purge=True, unstore=True)
    assert repository.content() == before


def test_datasets_are_taken_out_of_the_tags_that_are_named(butler: Butler) -> None:
    refs = put_notes(butler, 1, 2)
    for tag in ("tag", "other"):
        butler.registry.registerCollection(tag, CollectionType.TAGGED)
        butler.registry.associate(tag, refs)
    report = butler.pruneDatasets(refs[:1], tags="tag")
    assert (report.datasets, report.artifacts, report.emptied) == ({"note": 1}, 0, None)
    assert list(butler.registry.queryDatasets("note", collections="tag")) == refs[1:]
    assert len(list(butler.registry.queryDatasets("note", collections="other"))) == 2
    assert butler.get(refs[0]) == note(1)


def test_a_dry_run_tells_what_would_go_and_changes_nothing(repository: Repository, butler: Butler) -> None:
    refs = put_notes(butler, 1, 2, 3)
    before = repository.content()
    planned = purge(butler, *refs, dry_run=True)
    assert planned.dry_run
    assert (planned.datasets, planned.artifacts, planned.trash_ids) == ({"note": 3}, 3, ())
    assert set(planned.sample) == {ref.id for ref in refs}
    assert butler.removeRuns("run1", dry_run=True).datasets == {"note": 3}
    assert butler.pruneCollection("run1", purge=True, unstore=True, dry_run=True).artifacts == 3
    assert repository.content() == before
    done = purge(butler, *refs)
    assert (done.datasets, done.artifacts, done.size) == (planned.datasets, planned.artifacts, planned.size)


def test_a_butler_that_is_read_only_removes_nothing(repository: Repository, butler: Butler) -> None:
    # D75
    refs = put_notes(butler, 1)
    reader = repository.butler(collections="run1")
    before = repository.content()
    for call in (
        lambda: reader.pruneDatasets(refs),
        lambda: reader.pruneDatasets(refs, purge=True, unstore=True, dry_run=True),
        lambda: reader.pruneCollection("run1", purge=True, unstore=True),
        lambda: reader.removeRuns("run1"),
        lambda: reader.collections.remove("run1"),
        lambda: reader.trash.empty(),
        lambda: reader.trash.undelete(datasets=refs),
    ):
        with pytest.raises(ReadOnlyError):
            call()
    assert repository.content() == before


def test_progress_is_told_and_counts_to_the_end(butler: Butler) -> None:
    told: list[tuple[str, int, int]] = []
    purge(butler, *put_notes(butler, 1, 2), progress=lambda *step: told.append(step))
    assert ("prune", 2, 2) in told
    assert told[-1] == ("empty trash", 2, 2)


@on_posix_and_s3
def test_an_artifact_that_somebody_deleted_does_not_keep_its_dataset_from_being_purged(
    repository: Repository, butler: Butler
) -> None:
    # D30
    first, second = put_notes(butler, 1, 2)
    for name in repository.files():
        repository.delete_behind(name)
    assert not exists(butler, first)
    with pytest.raises(FileNotFoundError):
        butler.get(first)
    report = purge(butler, first)
    assert (report.datasets, report.problem) == ({"note": 1}, None)
    assert repository.rows()["artifact_trash"] == 0
    butler.removeRuns("run1")
    assert butler.get_dataset(second.getCheckedId()) is None
    assert repository.rows()["artifact_trash"] == 0


# ---- files that are shared, or were never the datastore's


@on_posix_and_s3
def test_a_file_of_several_datasets_goes_with_the_last_of_them(
    repository: Repository, butler: Butler, tmp_path: Path
) -> None:
    # D19
    path = tmp_path / "shared.json"
    path.write_text('{"number": 5}')
    note_type = butler.registry.getDatasetType("note")
    refs = [DatasetRef(note_type, {"instrument": "Cam1", "detector": d}) for d in (1, 2)]
    butler.ingest(FileDataset(path, refs), transfer="copy")
    first, second = (butler.find_dataset("note", instrument="Cam1", detector=d) for d in (1, 2))
    assert first is not None
    assert second is not None
    assert butler.getURI(first) == butler.getURI(second)
    assert purge(butler, first).emptied.kept == 1
    assert butler.get(second) == note(5)
    butler.pruneDatasets([second], unstore=True, disassociate=False)
    assert repository.files() == {}
    assert repository.rows()["artifact_trash"] == 0


@on_posix_and_s3
def test_a_direct_file_is_never_deleted(repository: Repository, butler: Butler, place: Deployment) -> None:
    # D20
    path = place.drop / "mine.json"
    path.write_text('{"number": 5}')
    note_type = butler.registry.getDatasetType("note")
    ref = DatasetRef(note_type, {"instrument": "Cam1", "detector": 1})
    butler.ingest(FileDataset(path, ref), transfer="direct")
    found = butler.find_dataset("note", instrument="Cam1", detector=1)
    assert found is not None
    assert butler.getURI(found) == path.as_uri()
    report = purge(butler, found)
    assert (report.emptied.kept, report.emptied.deleted) == (1, 0)
    assert path.exists()
    assert repository.rows()["artifact_trash"] == 0


@on_posix_and_s3
def test_a_file_that_somebody_registered_again_is_not_deleted_with_what_it_was_before(
    repository: Repository, butler: Butler
) -> None:
    # D29
    note_type = butler.registry.getDatasetType("note")
    repository.write_behind("external/a.json", b'{"number": 5}')

    def ingest(run: str) -> None:
        ref = DatasetRef(note_type, {"instrument": "Cam1", "detector": 1})
        butler.ingest(FileDataset("external/a.json", ref), transfer=None, run=run)

    butler.registry.registerRun("run2")
    ingest("run1")
    mine = butler.find_dataset("note", instrument="Cam1", detector=1)
    assert mine is not None
    # One client has trashed it, and has not emptied its trash when another registers the file.
    butler._connection.registry.removals.prune(
        PruneDatasets(uuid.uuid4(), (mine.getCheckedId(),), unstore=True, purge=True)
    )
    ingest("run2")
    assert butler.trash.empty().deleted == 0
    assert butler.get("note", instrument="Cam1", detector=1, collections="run2") == note(5)
    assert butler.trash.count() == {}
    butler.removeRuns("run2")
    assert repository.files() == {}


# ---- what happens on the way


@on_posix_and_s3
def test_what_a_client_that_died_left_in_the_trash_is_emptied_by_another(
    repository: Repository, butler: Butler
) -> None:
    # D28
    refs = put_notes(butler, 1, 2)
    summary = butler._connection.registry.removals.prune(
        PruneDatasets(uuid.uuid4(), tuple(ref.getCheckedId() for ref in refs), unstore=True, purge=True)
    )
    assert len(repository.files()) == 2
    other = repository.butler(writeable=True)
    assert other.trash.count() == {"trashed": 2}
    assert other.trash.empty(trash_ids=[uuid.uuid4()]).deleted == 0
    assert other.trash.empty(trash_ids=[summary.trash_id]).deleted == 2
    assert repository.files() == {}
    assert other.trash.count() == {}


@pytest.mark.parametrize("store_kind", ["s3"])
def test_artifacts_that_cannot_be_deleted_stay_in_the_trash_and_the_prune_succeeds(
    butler: Butler, s3_server: S3Server, s3_bucket: str
) -> None:
    # D28
    refs = put_notes(butler, 1, 2)
    s3_server.delete_bucket(s3_bucket)
    try:
        report = purge(butler, *refs)
    finally:
        s3_server.client().create_bucket(Bucket=s3_bucket)
    assert report.datasets == {"note": 2}
    assert report.emptied is not None
    assert (report.emptied.deleted, report.emptied.failed) == (0, 2)
    assert report.problem is not None
    assert "2 artifacts could not be deleted" in report.problem
    entries = list(butler.trash.entries(states=["failed"]))
    assert [(entry.attempts, entry.purged, bool(entry.last_error)) for entry in entries] == [
        (1, True, True)
    ] * 2
    with pytest.raises(TrashClaimedError):
        butler.trash.undelete(datasets=refs)
    with pytest.raises(DatasetNotFoundError):
        butler.get(refs[0].unresolved())


def test_several_butlers_purge_the_same_datasets_at_once(repository: Repository, butler: Butler) -> None:
    refs = put_notes(butler, 1, 2, 3, 4)
    others = [repository.butler(writeable=True) for _ in range(4)]
    calls = [
        lambda other=other, step=step: purge(other, *refs[::step]) for step, other in enumerate(others, 1)
    ]
    reports = at_once(*calls)
    assert [each for each in reports if isinstance(each, Exception)] == []
    assert sum(report.artifacts for report in reports) == 4
    assert repository.files() == {}
    assert repository.rows()["artifact_trash"] == 0


# ---- runs and other collections


@on_posix_and_s3
def test_runs_go_with_their_datasets_and_artifacts(repository: Repository, butler: Butler) -> None:
    # D12
    refs = put_notes(butler, 1, 2)
    butler.registry.registerRun("run2")
    (kept,) = put_notes(butler, 1, run="run2")
    butler.registry.registerCollection("tag", CollectionType.TAGGED)
    butler.registry.associate("tag", refs)
    with pytest.raises(OrphanedRecordError):
        butler.collections.remove("run1")
    report = butler.removeRuns("run1")
    assert (report.datasets, report.artifacts, report.problem) == ({"note": 2}, 2, None)
    with pytest.raises(MissingCollectionError):
        butler.registry.getCollectionType("run1")
    assert list(butler.registry.queryDatasets("note", collections="tag")) == []
    assert butler.get(kept, collections="run2") == note(1)
    assert len(repository.files()) == 1


@on_posix_and_s3
def test_a_run_is_forgotten_and_its_files_stay(repository: Repository, butler: Butler) -> None:
    # D18
    refs = put_notes(butler, 1, 2)
    before = repository.files()
    report = butler.removeRuns(["run1"], unstore=False)
    assert (report.datasets, report.artifacts, report.emptied) == ({"note": 2}, 2, None)
    assert repository.files() == before
    assert butler.get_dataset(refs[0].getCheckedId()) is None
    rows = repository.rows()
    assert (rows["dataset"], rows["artifact_record"], rows["artifact_trash"]) == (0, 0, 0)


def test_only_runs_are_removed_as_runs_and_all_or_none(repository: Repository, butler: Butler) -> None:
    # D11
    put_notes(butler, 1)
    butler.registry.registerRun("run2")
    put_notes(butler, 2, run="run2")
    butler.registry.registerCollection("tag", CollectionType.TAGGED)
    butler.registry.registerCollection("chain", CollectionType.CHAINED)
    butler.registry.setCollectionChain("chain", ["run2", "tag"])
    before = repository.content()
    with pytest.raises(TypeError, match="'tag'"):
        butler.removeRuns(["run1", "tag"])
    with pytest.raises(MissingCollectionError):
        butler.removeRuns(["run1", "nowhere"])
    with pytest.raises(OrphanedRecordError, match="'chain'"):
        butler.removeRuns(["run1", "run2"])
    assert repository.content() == before
    butler.removeRuns(["run1", "run2"], unlink_from_chains=True)
    assert butler.registry.getCollectionChain("chain") == ("tag",)
    assert repository.files() == {}


def test_collections_are_removed_together_with_the_chains_that_they_are_in(butler: Butler) -> None:
    # D11
    for name in ("tag", "other"):
        butler.registry.registerCollection(name, CollectionType.TAGGED)
    for name, children in (("chain", ["tag", "run1"]), ("outer", ["chain", "other"])):
        butler.registry.registerCollection(name, CollectionType.CHAINED)
        butler.registry.setCollectionChain(name, children)
    with pytest.raises(OrphanedRecordError, match="'outer'"):
        butler.collections.remove(["tag", "chain"])
    assert butler.registry.getCollectionChain("chain") == ("tag", "run1")
    butler.collections.remove(["tag", "chain"], unlink_from_chains=True)
    assert butler.registry.getCollectionChain("outer") == ("other",)
    butler.collections.x_remove(["other", "outer"])
    assert butler.collections.query("*") == ["run1"]


# ---- pruneCollection


@on_posix_and_s3
def test_each_contradiction_of_a_pruned_collection_has_an_exception_of_its_own(
    repository: Repository, butler: Butler
) -> None:
    # D17
    put_notes(butler, 1)
    butler.registry.registerCollection("tag", CollectionType.TAGGED)
    butler.registry.registerCollection("chain", CollectionType.CHAINED)
    before = repository.content()
    with pytest.raises(PurgeWithoutUnstorePruneCollectionsError):
        butler.pruneCollection("run1", purge=True)
    for unstore in (False, True):
        with pytest.raises(RunWithoutPurgePruneCollectionsError, match="run1"):
            butler.pruneCollection("run1", unstore=unstore)
    for name in ("tag", "chain"):
        with pytest.raises(PurgeUnsupportedPruneCollectionsError, match=name):
            butler.pruneCollection(name, purge=True, unstore=True)
    assert issubclass(PurgeUnsupportedPruneCollectionsError, PruneCollectionsArgsError)
    assert issubclass(PruneCollectionsArgsError, TypeError)
    with pytest.raises(MissingCollectionError):
        butler.pruneCollection("nowhere")
    assert repository.content() == before
    butler.pruneCollection("run1", purge=True, unstore=True)
    assert repository.files() == {}
    with pytest.raises(MissingCollectionError):
        butler.registry.getCollectionType("run1")


@on_posix_and_s3
def test_of_a_pruned_chain_only_what_is_visible_loses_its_files(
    repository: Repository, butler: Butler
) -> None:
    # D16
    shadowing, first = put_notes(butler, 1, 2)
    butler.registry.registerRun("run2")
    shadowed, second = put_notes(butler, 1, 3, run="run2")
    butler.registry.registerCollection("chain", CollectionType.CHAINED)
    butler.registry.setCollectionChain("chain", ["run1", "run2"])
    report = butler.pruneCollection("chain", unstore=True)
    assert report.artifacts == 3
    assert [exists(butler, ref) for ref in (shadowing, first, shadowed, second)] == [
        False,
        False,
        True,
        False,
    ]
    assert all(butler.get_dataset(ref.getCheckedId()) for ref in (shadowing, first, shadowed, second))
    with pytest.raises(MissingCollectionError):
        butler.registry.getCollectionType("chain")
    assert len(repository.files()) == 1


def test_a_pruned_tag_or_calibration_collection_goes_and_its_datasets_stay(
    repository: Repository, butler: Butler
) -> None:
    refs = put_notes(butler, 1, 2)
    butler.registry.registerCollection("tag", CollectionType.TAGGED)
    butler.registry.associate("tag", refs)
    butler.pruneCollection("tag")
    assert [butler.get(ref) for ref in refs] == [note(1), note(2)]
    flat = butler.registry.getDatasetType("note").__class__(
        "flat",
        ("instrument", "detector"),
        "StructuredDataDict",
        universe=butler.dimensions,
        isCalibration=True,
    )
    butler.registry.registerDatasetType(flat)
    calibration = butler.put(note(7), "flat", instrument="Cam1", detector=1)
    butler.registry.registerCollection("calib", CollectionType.CALIBRATION)
    butler.registry.certify("calib", [calibration], Timespan(None, None))
    report = butler.pruneCollection("calib", unstore=True)
    assert report.datasets == {"flat": 1}
    assert butler.get_dataset(calibration.getCheckedId()) == calibration
    assert len(repository.files()) == 2


def test_a_collection_in_a_chain_is_pruned_only_if_it_is_unlinked(
    repository: Repository, butler: Butler
) -> None:
    # D11
    refs = put_notes(butler, 1)
    butler.registry.registerCollection("tag", CollectionType.TAGGED)
    butler.registry.associate("tag", refs)
    for name, children in (("chain", ["tag", "run1"]), ("other", ["run1"])):
        butler.registry.registerCollection(name, CollectionType.CHAINED)
        butler.registry.setCollectionChain(name, children)
    before = repository.content()
    with pytest.raises(OrphanedRecordError, match="'chain'"):
        butler.pruneCollection("tag", unstore=True)
    with pytest.raises(OrphanedRecordError, match="'other'"):
        butler.pruneCollection("run1", purge=True, unstore=True, unlink="chain")
    for unlink in (["chain", "other"], "run1"):
        with pytest.raises(ChainMembershipError):
            butler.pruneCollection("tag", unstore=True, unlink=unlink)
    assert issubclass(ChainMembershipError, RuntimeError)
    assert repository.content() == before
    butler.pruneCollection("tag", unlink=["chain"])
    assert butler.registry.getCollectionChain("chain") == ("run1",)
    butler.pruneCollection("run1", purge=True, unstore=True, unlink=["chain", "other"])
    assert butler.registry.getCollectionChain("other") == ()


# ---- the trash


@on_posix_and_s3
def test_what_is_to_wait_in_the_trash_can_be_restored_until_it_is_deleted(
    repository: Repository, butler: Butler
) -> None:
    refs = put_notes(butler, 1, 2)
    report = purge(butler, *refs, purge_after=3600)
    assert (report.emptied, report.problem) == (None, None)
    assert butler.trash.empty().deleted == 0
    assert "trashed=2" in repr(butler.trash)
    assert "trashed" in butler.trash._repr_html_()
    assert {entry.record.dataset_id for entry in butler.trash.entries()} == {ref.id for ref in refs}
    assert butler.trash.undelete(trash_ids=report.trash_ids) == 2
    assert [butler.get(ref) for ref in refs] == [note(1), note(2)]
    assert "empty" in repr(butler.trash)
    with pytest.raises(InvalidRequestError):
        butler.trash.undelete()
    with pytest.raises(InvalidRequestError, match="'gone'"):
        butler.trash.count(states=["gone"])


def test_the_trash_can_be_counted_by_dataset_and_store_before_it_is_emptied(butler: Butler) -> None:
    refs = put_notes(butler, 1, 2, 3)
    butler._connection.registry.removals.prune(
        PruneDatasets(uuid.uuid4(), tuple(ref.getCheckedId() for ref in refs), unstore=True, purge=True)
    )
    assert butler.trash.count(datasets=refs[:2], stores="main", states="trashed") == {"trashed": 2}
    assert butler.trash.empty(datasets=refs[:2], dry_run=True).remaining == 2
    assert butler.trash.count() == {"trashed": 3}
    told: list[tuple[str, int, int]] = []
    assert butler.trash.empty(datasets=refs[:2], progress=lambda *step: told.append(step)).deleted == 2
    assert told[-1] == ("empty trash", 2, 2)
    assert butler.trash.count() == {"trashed": 1}
