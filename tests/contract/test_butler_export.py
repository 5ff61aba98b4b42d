# SPDX-License-Identifier: BSD-3-Clause
"""Exports: what is written, and that an import of it gives the same repository."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from butler import Butler, CollectionType, DatasetRef, DatasetType, FileDataset
from butler.export_context import RepositoryExport
from butler.formatters import default_formatters
from butler_model.dimensions import DimensionElement
from butler_model.errors import (
    AmbiguousDatasetError,
    ArtifactExistsError,
    ArtifactNotFoundError,
    DatasetNotFoundError,
    DimensionNameError,
    InvalidRequestError,
    MissingCollectionError,
    NotInsertableError,
    UnsupportedOperationError,
)
from tests.support.butlers import Deployment, Repository
from tests.support.composites import DISASSEMBLED, MetricsExample, Pair, add_metrics
from tests.support.contents import contents_of, save_all, second_repository
from tests.support.observed import observe


class _Loader(yaml.SafeLoader):
    """Reads an export as plain values, tags as pairs of tag and content."""


_Loader.add_multi_constructor("", lambda loader, tag, node: (tag, node.value))


def content_of(path: Path) -> dict[str, Any]:
    """Return an export as plain values."""
    content: dict[str, Any] = yaml.load(path.read_text(), Loader=_Loader)  # noqa: S506
    return content


def blocks_of(path: Path, kind: str) -> list[dict[str, Any]]:
    return [block for block in content_of(path)["data"] if block["type"] == kind]


@pytest.fixture
def metrics_type() -> None:
    """Make the composites of the tests known."""
    add_metrics()
    labels = {"TestMetrics": "json", "TestMetricsData": "json", "TestPair": "yaml"}
    default_formatters().add_config({"formatters": labels})


@pytest.fixture
def embedded(place: Deployment) -> bool:
    return not place.root.startswith("grpc://")


@pytest.fixture
def observed_butler(repository: Repository) -> Butler:
    butler = repository.butler(writeable=True)
    observe(butler)
    return butler


def test_everything_comes_back_by_an_import_also_twice(
    observed_butler: Butler, place: Deployment, tmp_path: Path
) -> None:
    # D70, D71
    butler = observed_butler
    butler.collections.register("outer", CollectionType.CHAINED, doc="Über allem;\n'zwei' Zeilen")
    butler.collections.redefine_chain("outer", ["chain", "tag"])
    expected = contents_of(butler)
    with butler.export(directory=tmp_path / "out", format="yaml", transfer="copy") as export:
        save_all(butler, export)
    with second_repository(place) as second:
        for new in (True, False):
            summary = second.import_(directory=tmp_path / "out", transfer="copy")
            assert any(count.new for count in summary.datasets.values()) is new
            assert contents_of(second) == expected


# ---- what an export says


def test_a_chain_is_written_after_its_members_whatever_the_order_of_saving(
    repository: Repository, place: Deployment, tmp_path: Path
) -> None:
    # D70
    butler = repository.surveyed()
    for name, children in (("inner", ["run1"]), ("outer", ["inner", "run1"])):
        butler.collections.register(name, CollectionType.CHAINED)
        butler.collections.redefine_chain(name, children)
    with butler.export(filename=tmp_path / "chains.yaml") as export:
        for name in ("outer", "inner", "run1", "outer"):
            export.saveCollection(name)
    written = blocks_of(tmp_path / "chains.yaml", "collection")
    assert [block["name"] for block in written] == ["run1", "inner", "outer"]
    with second_repository(place) as second:
        second.import_(filename=tmp_path / "chains.yaml")
        assert second.registry.getCollectionChain("outer") == ("inner", "run1")


def test_an_export_has_the_shape_that_the_older_library_reads(repository: Repository, tmp_path: Path) -> None:
    butler = repository.surveyed()
    ref = butler.put({"a": 1}, "calexp", instrument="Cam1", visit=1, detector=2)
    with butler.export(directory=tmp_path, filename="e.yaml", transfer="copy") as export:
        export.saveDatasets([ref], elements=["instrument", "visit"])
    content = content_of(tmp_path / "e.yaml")
    assert {key: content[key] for key in content if key != "data"} == {
        "description": "Butler Data Repository Export",
        "version": "1.0.2",
        "universe_version": 8,
        "universe_namespace": "daf_butler",
    }
    *dimensions, run, dataset_type, dataset = content["data"]
    assert [block["element"] for block in dimensions] == ["instrument", "visit"]
    visit = dimensions[1]["records"][0]
    assert visit["datetime_begin"] == ("!butler_time/tai/iso", "2020-01-02 00:00:00.000000000")
    assert "timespan" not in visit
    assert run == {
        "type": "collection",
        "collection_type": "RUN",
        "name": "run1",
        "host": None,
        "timespan_begin": None,
        "timespan_end": None,
    }
    assert dataset_type["storage_class"] == "StructuredDataDict"
    assert set(dataset_type["dimensions"]) == set(ref.dataId.dimensions.names)
    (record,) = dataset["records"]
    assert record["dataset_id"] == [("!uuid", str(ref.id))]
    assert record["data_id"] == [{"instrument": "Cam1", "detector": 2, "visit": 1}]
    assert record["formatter"] == "lsst.daf.butler.formatters.json.JsonFormatter"
    assert (tmp_path / record["path"]).read_bytes() == b'{"a": 1}'


def test_only_the_elements_that_are_named_are_exported(repository: Repository, tmp_path: Path) -> None:
    butler = repository.surveyed()
    data_ids = list(butler.registry.queryDataIds(["visit", "detector"]))
    choices: list[tuple[Iterable[str | DimensionElement], list[str]]] = [
        (["visit", butler.dimensions["detector"]], ["detector", "visit"]),
        (iter(["physical_filter"]), ["physical_filter"]),
        ([], []),
    ]
    for elements, expected in choices:
        with butler.export(filename=tmp_path / "e.yaml") as export:
            export.saveDataIds(data_ids, elements=elements)
        assert [block["element"] for block in blocks_of(tmp_path / "e.yaml", "dimension")] == expected
    with (
        pytest.raises(DimensionNameError, match="colour"),
        butler.export(filename=tmp_path / "e.yaml") as export,
    ):
        export.saveDataIds(data_ids, elements=["colour"])


def test_a_visit_brings_the_exposures_that_it_consists_of(repository: Repository, tmp_path: Path) -> None:
    butler = repository.surveyed()
    butler.registry.insertDimensionData(
        "visit_definition", {"instrument": "Cam1", "visit": 1, "exposure": 11}
    )
    with butler.export(filename=tmp_path / "e.yaml") as export:
        export.saveDataIds(butler.registry.queryDataIds(["visit"]))
    records = {block["element"]: block["records"] for block in blocks_of(tmp_path / "e.yaml", "dimension")}
    assert [record["id"] for record in records["visit"]] == [1, 2]
    assert [record["id"] for record in records["exposure"]] == [11]
    assert records["visit_definition"] == [{"instrument": "Cam1", "exposure": 11, "visit": 1}]
    assert "group" in records


def test_what_is_no_part_of_the_repository_is_refused_inside_of_the_block(
    repository: Repository, tmp_path: Path
) -> None:
    butler = repository.surveyed()
    note = butler.registry.getDatasetType("note")
    unresolved = DatasetRef(note, {"instrument": "Cam1", "detector": 1})
    elsewhere = DatasetRef(note, {"instrument": "Cam1", "detector": 1}, "run1")
    steps: list[tuple[type[Exception], Callable[[RepositoryExport], None]]] = [
        (MissingCollectionError, lambda export: export.saveCollection("nowhere")),
        (AmbiguousDatasetError, lambda export: export.saveDatasets([unresolved])),
        (DatasetNotFoundError, lambda export: export.saveDatasets([elsewhere])),
        (NotInsertableError, lambda export: export.saveDimensionData("band", [])),
        (DimensionNameError, lambda export: export.saveDimensionData("colour", [])),
    ]
    for error, save in steps:
        with pytest.raises(error), butler.export(filename=tmp_path / "e.yaml") as export:
            save(export)
    assert list(tmp_path.glob("*.yaml")) == []


def test_files_may_be_called_otherwise_in_an_export(repository: Repository, tmp_path: Path) -> None:
    butler = repository.surveyed()
    ref = butler.put({"a": 1}, "note", instrument="Cam1", detector=1)

    def rewrite(file: FileDataset) -> FileDataset:
        assert (file.refs, file.formatter) == ([ref], "json")
        return FileDataset(f"elsewhere/{file.path}", file.refs, "yaml")

    with butler.export(directory=tmp_path, format="yaml") as export:
        export.saveDatasets([ref], rewrite=rewrite)
    (block,) = blocks_of(tmp_path / "export.yaml", "dataset")
    assert block["records"][0]["path"].startswith("elsewhere/run1/note/")
    assert block["records"][0]["formatter"].endswith("YamlFormatter")


@pytest.mark.parametrize(
    ("options", "error", "what"),
    [
        ({}, TypeError, "filename or a format"),
        ({"filename": "e.yaml", "transfer": "copy"}, TypeError, "without a directory"),
        ({"directory": "d", "format": "yaml", "transfer": "move"}, TypeError, "'move'"),
        ({"directory": "d", "format": "yaml", "transfer": "carry"}, UnsupportedOperationError, "'carry'"),
        ({"filename": "e.json"}, InvalidRequestError, "json"),
        ({"format": "xml"}, InvalidRequestError, "'xml'"),
    ],
)
def test_an_export_that_cannot_be_is_refused_at_once(
    repository: Repository, options: dict[str, Any], error: type[Exception], what: str
) -> None:
    butler = repository.butler()
    with pytest.raises(error, match=what), butler.export(**options):
        pytest.fail("the block must not be entered")


def test_nothing_is_left_of_an_export_whose_block_fails(repository: Repository, tmp_path: Path) -> None:
    butler = repository.surveyed()
    ref = butler.put({"a": 1}, "note", instrument="Cam1", detector=1)

    def export_and_fail() -> None:
        with butler.export(directory=tmp_path / "out", format="yaml", transfer="copy") as export:
            export.saveDatasets([ref])
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        export_and_fail()
    assert not (tmp_path / "out").exists()


# ---- files


def test_an_export_can_be_repeated_and_replaces_no_other_file(repository: Repository, tmp_path: Path) -> None:
    butler = repository.surveyed()
    ref = butler.put({"a": 1}, "note", instrument="Cam1", detector=1)

    def export() -> None:
        with butler.export(directory=tmp_path / "out", format="yaml", transfer="copy") as export:
            export.saveDatasets([ref])

    export()
    (tmp_path / "out" / "export.yaml").write_text("broken")
    export()
    (block,) = blocks_of(tmp_path / "out" / "export.yaml", "dataset")
    (tmp_path / "out" / "export.yaml").unlink()
    file = tmp_path / "out" / block["records"][0]["path"]
    file.write_bytes(b"other")
    with pytest.raises(ArtifactExistsError, match="note"):
        export()
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == [file]


def test_an_artifact_that_is_gone_is_named_and_no_export_appears(
    repository: Repository, place: Deployment, tmp_path: Path
) -> None:
    butler = repository.surveyed()
    ref = butler.put({"a": 1}, "note", instrument="Cam1", detector=1)
    (file,) = (name for name in repository.files() if "note" in name)
    (place.artifacts / file).unlink()
    with (
        pytest.raises(ArtifactNotFoundError),
        butler.export(directory=tmp_path / "out", format="yaml", transfer="copy") as export,
    ):
        export.saveDatasets([ref])
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_a_dataset_of_a_file_outside_gets_a_path_of_the_template_when_it_is_copied(
    repository: Repository, place: Deployment, tmp_path: Path
) -> None:
    # D72
    butler = repository.surveyed()
    outside = place.drop / "outside.json"
    outside.write_text('{"a": 1}')
    note = butler.registry.getDatasetType("note")
    dataset = FileDataset(outside, DatasetRef(note, {"instrument": "Cam1", "detector": 1}))
    butler.ingest(dataset, transfer="direct")
    with butler.export(directory=tmp_path / "out", format="yaml", transfer="copy") as export:
        export.saveDatasets(dataset.refs)
    (block,) = blocks_of(tmp_path / "out" / "export.yaml", "dataset")
    path = block["records"][0]["path"]
    assert path.startswith("run1/note/note_1_Cam1_")
    assert (tmp_path / "out" / path).read_text() == '{"a": 1}'
    with second_repository(place) as second:
        second.import_(directory=tmp_path / "out", transfer="copy")
        assert second.getURI(dataset.refs[0]).endswith(path)
        assert second.get("note", instrument="Cam1", detector=1, collections="run1") == {"a": 1}


def test_datasets_of_one_file_share_it_in_the_export_and_afterwards(
    repository: Repository, place: Deployment, tmp_path: Path
) -> None:
    butler = repository.surveyed()
    shared = place.drop / "shared.json"
    shared.write_text('{"a": 1}')
    note = butler.registry.getDatasetType("note")
    refs = [DatasetRef(note, {"instrument": "Cam1", "detector": detector}) for detector in (1, 2)]
    butler.ingest(FileDataset(shared, refs), transfer="copy")
    with butler.export(directory=tmp_path / "out", format="yaml", transfer="copy") as export:
        export.saveDatasets(butler.query_datasets("note"))
    (block,) = blocks_of(tmp_path / "out" / "export.yaml", "dataset")
    (record,) = block["records"]
    assert [data_id["detector"] for data_id in record["data_id"]] == [1, 2]
    with second_repository(place) as second:
        assert second.import_(directory=tmp_path / "out", transfer="copy").artifacts == 1
        first, other = second.query_datasets("note", "run1")
        assert second.getURI(first) == second.getURI(other)
        assert contents_of(second).datasets == contents_of(butler).datasets


@pytest.mark.usefixtures("metrics_type")
@pytest.mark.parametrize("disassembled", [True, False])
def test_composites_come_back_whole_and_in_parts(
    place: Deployment, tmp_path: Path, disassembled: bool
) -> None:
    composites = DISASSEMBLED if disassembled else None
    Butler.makeRepo(place.root, composites=composites, **place.options)
    everything = MetricsExample({"a": 1}, {"b": 2}, [1, 2, 3])
    with Butler(place.root, run="run1") as butler, second_repository(place) as second:
        for name, storage_class in (("metrics", "TestMetrics"), ("pair", "TestPair")):
            dataset_type = DatasetType(name, (), storage_class, universe=butler.dimensions)
            butler.registry.registerDatasetType(dataset_type)
        butler.put(everything, "metrics")
        butler.put(Pair(None, None), "pair")
        with butler.export(directory=tmp_path / "out", format="yaml", transfer="copy") as export:
            save_all(butler, export)
        second.import_(directory=tmp_path / "out", transfer="copy")
        assert second.get("metrics", collections="run1") == everything
        assert second.get("metrics.data", collections="run1") == [1, 2, 3]
        assert second.get("pair", collections="run1") == Pair(None, None)
        assert contents_of(second) == contents_of(butler)


@pytest.mark.parametrize("transfer", ["hardlink", "link", "symlink", "relsymlink"])
def test_files_are_linked_where_they_can_be_seen(
    repository: Repository, place: Deployment, embedded: bool, tmp_path: Path, transfer: str
) -> None:
    butler = repository.surveyed()
    ref = butler.put({"a": 1}, "note", instrument="Cam1", detector=1)

    def export() -> None:
        with butler.export(directory=tmp_path / "out", format="yaml", transfer=transfer) as export:
            export.saveDatasets([ref])

    if not embedded:
        with pytest.raises(UnsupportedOperationError, match="use 'copy'"):
            export()
        return
    export()
    export()
    (block,) = blocks_of(tmp_path / "out" / "export.yaml", "dataset")
    link = tmp_path / "out" / block["records"][0]["path"]
    assert link.samefile(butler.getURI(ref).removeprefix("file://"))
    assert link.is_symlink() is transfer.endswith("symlink")
    if transfer == "relsymlink":
        assert not os.path.isabs(os.readlink(link))
    with second_repository(place) as second:
        second.import_(directory=tmp_path / "out", transfer="hardlink")
        assert second.get("note", instrument="Cam1", detector=1, collections="run1") == {"a": 1}


def test_files_stay_where_they_are_and_are_named_by_their_uris(
    repository: Repository, place: Deployment, embedded: bool, tmp_path: Path
) -> None:
    butler = repository.surveyed()
    ref = butler.put({"a": 1}, "note", instrument="Cam1", detector=1)
    with butler.export(directory=tmp_path / "keys", format="yaml") as export:
        export.saveDatasets([ref])
    (block,) = blocks_of(tmp_path / "keys" / "export.yaml", "dataset")
    assert butler.getURI(ref).endswith(block["records"][0]["path"])
    if not embedded:
        return
    with butler.export(directory=tmp_path / "uris", format="yaml", transfer="direct") as export:
        export.saveDatasets([ref])
    (block,) = blocks_of(tmp_path / "uris" / "export.yaml", "dataset")
    assert block["records"][0]["path"] == butler.getURI(ref)
    with second_repository(place) as second:
        second.import_(directory=tmp_path / "uris", transfer="direct")
        assert second.getURI(ref) == butler.getURI(ref)
        assert second.get("note", instrument="Cam1", detector=1, collections="run1") == {"a": 1}


# ---- ways in


@pytest.mark.parametrize("transfer", ["move", "hardlink", "link", "symlink", "relsymlink", "auto", "direct"])
def test_an_import_takes_files_in_every_way_that_ingest_does(
    repository: Repository, place: Deployment, tmp_path: Path, transfer: str
) -> None:
    butler = repository.surveyed()
    ref = butler.put({"a": 1}, "note", instrument="Cam1", detector=1)
    out = place.drop / "out"
    with butler.export(directory=out, format="yaml", transfer="copy") as export:
        export.saveDatasets([ref])
    (block,) = blocks_of(out / "export.yaml", "dataset")
    file = out / block["records"][0]["path"]
    with second_repository(place) as second:
        for _ in range(2):
            if transfer != "move" or file.exists():
                second.import_(directory=out, transfer=transfer)
            assert second.get("note", instrument="Cam1", detector=1, collections="run1") == {"a": 1}
        assert file.exists() is (transfer != "move")
        assert (second.getURI(ref) == f"file://{file}") is (transfer == "direct")


def test_files_that_are_in_the_store_already_are_imported_where_they_are(
    repository: Repository, place: Deployment, tmp_path: Path
) -> None:
    butler = repository.surveyed()
    (place.artifacts / "mine").mkdir(parents=True)
    (place.artifacts / "mine" / "a.json").write_text('{"a": 1}')
    text = """
version: 1.0.2
universe_version: 8
data:
- type: dataset
  dataset_type: note
  run: run1
  records:
  - dataset_id: [!uuid '5f5a2b6c-0d4a-4b2e-9b1f-000000000001']
    data_id: [{instrument: Cam1, detector: 1}]
    path: mine/a.json
"""
    butler.import_(filename=io.StringIO(text), format="yaml", transfer=None)
    assert butler.get("note", instrument="Cam1", detector=1) == {"a": 1}
    assert butler.getURI("note", instrument="Cam1", detector=1).endswith("/mine/a.json")


@pytest.mark.usefixtures("metrics_type")
def test_separate_components_cannot_stay_where_they_are(place: Deployment, tmp_path: Path) -> None:
    Butler.makeRepo(place.root, composites=DISASSEMBLED, **place.options)
    with Butler(place.root, run="run1") as butler, second_repository(place) as second:
        dataset_type = DatasetType("metrics", (), "TestMetrics", universe=butler.dimensions)
        butler.registry.registerDatasetType(dataset_type)
        butler.put(MetricsExample({"a": 1}), "metrics")
        with butler.export(directory=tmp_path / "out", format="yaml", transfer="copy") as export:
            export.saveDatasets(butler.query_datasets("metrics"))
        with pytest.raises(UnsupportedOperationError, match="record 1: the files of separate components"):
            second.import_(directory=tmp_path / "out", transfer="direct")


def test_datasets_without_anything_stored_come_back_without(
    repository: Repository, place: Deployment, shared_data: Path, tmp_path: Path
) -> None:
    # D70
    butler = repository.butler(writeable=True)
    for name in ("base.yaml", "datasets.yaml"):
        butler.import_(filename=name, directory=shared_data, format="yaml")
    with butler.export(directory=tmp_path / "out", format="yaml", transfer="copy") as export:
        save_all(butler, export)
    with second_repository(place) as second:
        second.import_(directory=tmp_path / "out")
        assert contents_of(second) == contents_of(butler)
        assert len(contents_of(second).datasets) == 13
    with pytest.raises(InvalidRequestError, match="'json'"):
        butler.import_(filename="base.yaml", directory=shared_data, format="json")
