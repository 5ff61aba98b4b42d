# SPDX-License-Identifier: BSD-3-Clause
"""Datasets go from one repository straight into another, whatever the two are: directories or services."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from butler import Butler, CollectionType, DatasetRef, DatasetType, FileDataset
from butler.formatters import default_formatters
from butler_model.errors import (
    AmbiguousDatasetError,
    ArtifactIntegrityError,
    ArtifactNotFoundError,
    CollectionTypeError,
    ConflictingDefinitionError,
    DataIdValueError,
    DatasetNotFoundError,
    IncompatibleVersionError,
    InvalidRequestError,
    MissingDatasetTypeError,
    ReadOnlyError,
    UnsupportedOperationError,
)
from tests.support.butlers import Deployment, Repository
from tests.support.composites import DISASSEMBLED, MetricsExample, add_metrics
from tests.support.contents import contents_of, second_repository

LARGE = b"0123456789" * 100_000
"""More than travels in a batch."""


@pytest.fixture(params=["same kind", "directory"])
def target(request: pytest.FixtureRequest, place: Deployment, tmp_path: Path) -> Iterator[Butler]:
    """Give an empty repository beside the first: of the same services, if it is of services, or in a directory."""
    if request.param == "same kind":
        with second_repository(place) as butler:
            yield butler
        return
    Butler.makeRepo(tmp_path / "directory")
    with Butler(tmp_path / "directory", writeable=True) as butler:
        yield butler


@pytest.fixture
def source(repository: Repository) -> Butler:
    butler = repository.surveyed()
    for detector in (1, 2):
        butler.put({"n": detector}, "note", instrument="Cam1", detector=detector)
    butler.put(LARGE, "blob", instrument="Cam1", detector=1)
    butler.put({"v": 1}, "calexp", instrument="Cam1", visit=1, detector=1)
    return butler


def everything(butler: Butler) -> list[DatasetRef]:
    return butler.query_all_datasets("*", find_first=False, limit=None, explain=False)


def test_datasets_go_over_with_ids_runs_and_records(source: Butler, target: Butler) -> None:
    refs = everything(source)
    options: dict[str, Any] = {"register_dataset_types": True, "transfer_dimensions": True}
    new = target.transfer_from(source, refs, **options)
    assert sorted(ref.getCheckedId() for ref in new) == sorted(ref.getCheckedId() for ref in refs)
    theirs, mine = contents_of(target), contents_of(source)
    assert theirs.datasets == mine.datasets
    assert theirs.members == mine.members
    assert theirs.records["visit"] == mine.records["visit"][:1]
    assert target.get("blob", instrument="Cam1", detector=1, collections="run1") == LARGE
    assert target.transfer_from(source, refs, **options) == []
    assert contents_of(target) == theirs


def test_a_dry_run_tells_what_is_new_and_changes_nothing(
    repository: Repository, source: Butler, target: Butler
) -> None:
    refs = everything(source)
    before = contents_of(target)
    new = target.transfer_from(
        source, refs, register_dataset_types=True, transfer_dimensions=True, dry_run=True
    )
    assert set(new) == set(refs)
    assert contents_of(target) == before
    target.transfer_from(source, refs[:1], register_dataset_types=True, transfer_dimensions=True)
    assert set(
        target.transfer_from(
            source, refs, register_dataset_types=True, transfer_dimensions=True, dry_run=True
        )
    ) == set(refs[1:])


def test_what_the_target_lacks_is_named(source: Butler, target: Butler) -> None:
    refs = source.query_datasets("note", "run1")
    for dry_run in (True, False):
        with pytest.raises(MissingDatasetTypeError, match="'note'"):
            target.transfer_from(source, refs, dry_run=dry_run)
    with pytest.raises(DataIdValueError, match="Cam1"):
        target.transfer_from(source, refs, register_dataset_types=True)
    assert target.registry.queryDimensionRecords("instrument").count() == 0
    counts = target.transfer_dimension_records_from(source, [refs[0], refs[1].dataId])
    assert counts == {"instrument": 1, "detector": 2}
    assert len(target.transfer_from(source, refs)) == 2


def test_another_dataset_in_the_run_is_a_conflict_that_is_named(source: Butler, target: Butler) -> None:
    refs = source.query_datasets("note", "run1")
    target.transfer_dimension_records_from(source, refs)
    target.registry.registerDatasetType(refs[0].datasetType)
    target.registry.registerRun("run1")
    mine = target.put({"other": 1}, "note", instrument="Cam1", detector=2, run="run1")
    for dry_run in (True, False):
        with pytest.raises(ConflictingDefinitionError, match="Run 'run1' has a dataset of type 'note'"):
            target.transfer_from(source, refs, dry_run=dry_run)
    assert everything(target) == [mine]


def test_definitions_that_differ_are_conflicts_that_are_named(source: Butler, target: Butler) -> None:
    refs = source.query_datasets("note", "run1")
    target.transfer_dimension_records_from(source, refs)
    note = DatasetType("note", ["instrument"], "StructuredDataDict", universe=target.dimensions)
    target.registry.registerDatasetType(note)
    with pytest.raises(ConflictingDefinitionError, match="note"):
        target.transfer_from(source, refs, register_dataset_types=True)
    target.registry.registerCollection("run1", CollectionType.TAGGED)
    with pytest.raises(CollectionTypeError, match="'run1'"):
        target.transfer_from(source, source.query_datasets("blob", "run1"), register_dataset_types=True)


def test_datasets_of_which_nothing_is_stored_are_left_out_or_registered(
    repository: Repository, place: Deployment, source: Butler, target: Butler
) -> None:
    refs = source.query_datasets("note", "run1", order_by="detector")
    (gone,) = (name for name in repository.files() if "note_1_" in name)
    (place.artifacts / gone).unlink()
    options: dict[str, Any] = {"register_dataset_types": True, "transfer_dimensions": True}
    assert target.transfer_from(source, refs, **options) == refs[1:]
    with pytest.raises(ArtifactNotFoundError):
        target.transfer_from(source, refs, skip_missing=False, **options)
    assert everything(target) == refs[1:]


def test_a_transfer_that_was_broken_off_goes_on_where_it_was(
    repository: Repository, place: Deployment, source: Butler, target: Butler
) -> None:
    refs = source.query_datasets("note", "run1") + source.query_datasets("blob", "run1")
    (damaged,) = (place.artifacts / name for name in repository.files() if "blob" in name)
    damaged.chmod(0o644)
    damaged.write_bytes(b"x" * len(LARGE))
    options: dict[str, Any] = {"register_dataset_types": True, "transfer_dimensions": True}
    with pytest.raises(ArtifactIntegrityError, match="blob"):
        target.transfer_from(source, refs, **options)
    assert everything(target) == refs[:2]
    damaged.write_bytes(LARGE)
    assert target.transfer_from(source, refs, **options) == refs[2:]
    assert everything(target) == sorted(refs, key=lambda ref: (ref.datasetType.name, ref.dataId))


def test_files_that_datasets_share_are_shared_in_the_target(
    place: Deployment, source: Butler, target: Butler
) -> None:
    shared = place.drop / "shared.json"
    shared.write_text('{"a": 1}')
    note = source.registry.getDatasetType("note")
    refs = [DatasetRef(note, {"instrument": "Cam1", "detector": detector}) for detector in (3, 4)]
    dataset = FileDataset(shared, refs)
    source.ingest(dataset, transfer="direct")
    new = target.transfer_from(source, dataset.refs, register_dataset_types=True, transfer_dimensions=True)
    first, second = (target.getURI(ref) for ref in new)
    assert first == second
    assert first != source.getURI(dataset.refs[0])
    assert target.getDirect(new[1]) == {"a": 1}


@pytest.mark.parametrize("transfer", ["copy", "link", "hardlink", "symlink", "relsymlink", "direct"])
def test_files_are_linked_where_both_can_see_them(
    place: Deployment, source: Butler, target: Butler, transfer: str
) -> None:
    refs = source.query_datasets("note", "run1")
    options: dict[str, Any] = {"register_dataset_types": True, "transfer_dimensions": True}
    if transfer != "copy" and place.root.startswith("grpc://"):
        with pytest.raises(UnsupportedOperationError, match="use 'copy'"):
            target.transfer_from(source, refs, transfer=transfer, **options)
        return
    target.transfer_from(source, refs, transfer=transfer, **options)
    assert target.get("note", instrument="Cam1", detector=1, collections="run1") == {"n": 1}
    if place.root.startswith("grpc://"):
        return
    mine, theirs = (Path(each.getURI(refs[0]).removeprefix("file://")) for each in (target, source))
    assert mine.is_symlink() is transfer.endswith("symlink")
    assert mine.samefile(theirs) is (transfer != "copy")
    assert (mine == theirs) is (transfer == "direct")


@pytest.mark.parametrize("disassembled", [True, False])
def test_composites_go_over_whole_and_in_parts(place: Deployment, tmp_path: Path, disassembled: bool) -> None:
    add_metrics()
    default_formatters().add_config({"formatters": {"TestMetrics": "json", "TestMetricsData": "json"}})
    Butler.makeRepo(place.root, composites=DISASSEMBLED if disassembled else None, **place.options)
    with Butler(place.root, run="run1") as source, second_repository(place) as target:
        source.registry.registerDatasetType(
            DatasetType("metrics", (), "TestMetrics", universe=source.dimensions)
        )
        metrics = MetricsExample({"a": 1}, None, [1, 2])
        ref = source.put(metrics, "metrics")
        part = next(iter(source.registry.queryDatasets("metrics.data", collections="run1", components=True)))
        assert target.transfer_from(source, [ref, part], register_dataset_types=True) == [ref]
        assert target.getDirect(ref) == metrics
        assert contents_of(target) == contents_of(source)


def test_repositories_of_different_universes_need_an_export(source: Butler, tmp_path: Path) -> None:
    Butler.makeRepo(tmp_path / "old", dimensionConfig=0)
    with (
        Butler(tmp_path / "old", writeable=True) as old,
        pytest.raises(IncompatibleVersionError, match=r"version 8.*version 0.*export"),
    ):
        old.transfer_from(source, everything(source))


def test_what_cannot_be_transferred_is_refused(source: Butler, target: Butler) -> None:
    (first, *_) = everything(source)
    for transfer in ("move", "split", "carry"):
        with pytest.raises(InvalidRequestError, match=repr(transfer)):
            target.transfer_from(source, [first], transfer=transfer)
    with pytest.raises(AmbiguousDatasetError):
        target.transfer_from(source, [first.unresolved()])
    with pytest.raises(DatasetNotFoundError):
        target.transfer_from(source, [DatasetRef(first.datasetType, first.dataId, "run1")])
    readonly = target.clone(writeable=False)
    with pytest.raises(ReadOnlyError):
        readonly.transfer_from(source, [first])
    with pytest.raises(ReadOnlyError):
        readonly.transfer_dimension_records_from(source, [first])
    assert everything(target) == []
