# SPDX-License-Identifier: BSD-3-Clause
"""Importing exports into real repositories, through the contracts of the two services."""

from __future__ import annotations

import io
import json
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from butler import Butler
from butler.connect import Connection
from butler.loading import ImportCount, ImportSummary, import_export
from butler.transactions import CurrentRegistry
from butler_datastore.application import DatastoreApplication
from butler_datastore.config import PosixStoreConfig
from butler_model.artifact import SignedReceipt
from butler_model.data_id import DataId
from butler_model.errors import (
    ArtifactNotFoundError,
    ConflictingDefinitionError,
    DataIdValueError,
    DimensionNameError,
    IncompatibleVersionError,
    InvalidRequestError,
    MalformedExportError,
    MissingCollectionError,
    MissingDatasetTypeError,
    MissingParentError,
    UnsupportedOperationError,
)
from butler_model.grants import TokenSigner
from butler_model.paging import PageRequest
from butler_model.ports import DatasetLookup, Datastore, FoundDataset, Registry
from butler_model.query.spec import QuerySpec, ResultKind
from butler_model.repository import Limits
from butler_model.universe import DimensionUniverse
from butler_registry.application import RegistryApplication

LIMITS = Limits(batch_items=500, inline_bytes=1000, batch_bytes=2500, chunk_bytes=700)
"""Small, so that small files already need several batches and streams."""

IDS = [f"5f5a2b6c-0d4a-4b2e-9b1f-00000000000{i}" for i in range(10)]

CAMERA = """
- {type: dimension, element: instrument, records: [{name: Cam, detector_max: 9}]}
- type: dimension
  element: detector
  records: [{instrument: Cam, id: 1, full_name: a}, {instrument: Cam, id: 2, full_name: b}]
- {type: dataset_type, name: note, dimensions: [instrument, detector], storage_class: StructuredDataDict}
- {type: run, name: r}
"""


KEY = secrets.token_bytes(32)


@dataclass(frozen=True)
class Repository:
    registry: Registry
    datastore: Datastore
    database: str
    root: Path

    def load(self, text: str | Path, **options: object) -> ImportSummary:
        source = (
            io.StringIO(f"version: 1.0.2\nuniverse_version: 8\ndata:{text}")
            if isinstance(text, str)
            else text
        )
        registry = CurrentRegistry(self.registry, self.datastore, Limits())
        connection = Connection(
            "test", "test", registry, self.datastore, lambda record: record.key, lambda: None
        )
        return import_export(connection, source, **options)  # type: ignore[arg-type]

    def find(self, dataset_type: str, run: str, *data_ids: DataId) -> list[FoundDataset | None]:
        lookup = DatasetLookup(dataset_type, data_ids, (run,), want_artifacts=True)
        return self.registry.datasets.find(lookup)

    def read(self, run: str, detector: int) -> bytes:
        (found,) = self.find("note", run, {"instrument": "Cam", "detector": detector})
        assert found is not None
        return b"".join(self.datastore.read(found.artifacts[0].grant))

    def rows(self, element: str, column: str) -> list[object]:
        spec, token = QuerySpec(ResultKind.DIMENSION_RECORDS, element=element), b""
        values: list[object] = []
        while True:
            page = self.registry.queries.page(spec, PageRequest(token=token))
            values += page.column(column)
            token = page.next_token
            if not token:
                return values

    def files(self) -> list[Path]:
        return [path for path in self.root.rglob("*") if path.is_file()]


def open_repository(database: str, root: Path) -> tuple[RegistryApplication, Repository]:
    signer = TokenSigner([KEY])
    application = RegistryApplication(database, signer, limits=LIMITS)
    datastore = DatastoreApplication(
        {"main": PosixStoreConfig(str(root), durable=False)}, signer, limits=LIMITS
    )
    return application, Repository(application.open("main"), datastore, database, root)


@pytest.fixture
def new_repository(tmp_path: Path) -> Iterator[Callable[..., Repository]]:
    opened: list[RegistryApplication] = []

    def make(version: int = 8, database: str = "") -> Repository:
        folder = tmp_path / f"repository{len(opened)}"
        (folder / "registry").mkdir(parents=True)
        database = database or f"sqlite:///{folder}/registry"
        maker = RegistryApplication(database, TokenSigner([KEY]), limits=LIMITS)
        maker.create("main", DimensionUniverse(version=version), request_id=uuid4())
        maker.close()
        application, repository = open_repository(database, folder / "artifacts")
        opened.append(application)
        return repository

    yield make
    for application in opened:
        application.close()


@pytest.fixture
def repository(new_repository: Callable[..., Repository]) -> Repository:
    return new_repository()


def datasets(*records: str, dataset_type: str = "note", run: str = "r") -> str:
    return f"\n- {{type: dataset, dataset_type: {dataset_type}, run: {run}, records: [{', '.join(records)}]}}"


def record(
    i: int, detector: int, path: str | None = None, formatter: str = "lib.formatters.JsonFormatter"
) -> str:
    rest = "" if path is None else f", path: {path}, formatter: {formatter}"
    return f"{{dataset_id: [!uuid '{IDS[i]}'], data_id: [{{instrument: Cam, detector: {detector}}}]{rest}}}"


def members(collection: str, *fields: str) -> QuerySpec:
    return QuerySpec(
        ResultKind.DATASETS, dataset_type="note", collections=(collection,), dataset_fields=fields
    )


def counts(found: int, new: int | None = None) -> ImportCount:
    return ImportCount(found, found if new is None else new)


def test_the_real_survey_is_imported_and_a_second_time_changes_nothing(
    repository: Repository, shared_data: Path
) -> None:
    expected = {
        "instrument": 1,
        "skymap": 1,
        "day_obs": 15,
        "detector": 111,
        "group": 1,
        "physical_filter": 5,
        "tract": 2,
        "visit_system": 1,
        "exposure": 1,
        "patch": 2,
        "visit": 160,
        "visit_detector_region": 1132,
        "visit_system_membership": 160,
    }
    first = repository.load(shared_data / "hsc-rc2-subset.yaml")
    assert first.dimension_records == {element: counts(number) for element, number in expected.items()}
    second = repository.load(shared_data / "hsc-rc2-subset.yaml")
    assert second.dimension_records == {element: counts(number, 0) for element, number in expected.items()}
    assert {
        element: len(repository.rows(element, "instrument")) for element in ("visit", "visit_detector_region")
    } == {
        "visit": 160,
        "visit_detector_region": 1132,
    }
    assert sorted(repository.rows("band", "name")) == ["g", "i", "r", "y", "z"]  # type: ignore[type-var]


def test_the_real_survey_is_imported_into_postgresql(
    new_repository: Callable[..., Repository], postgres_database: str, shared_data: Path
) -> None:
    repository = new_repository(database=postgres_database)
    summary = repository.load(shared_data / "hsc-rc2-subset.yaml")
    assert summary.dimension_records["visit_detector_region"] == counts(1132)
    assert len(repository.rows("visit", "id")) == 160


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_old_export_is_upgraded_on_the_way_in(repository: Repository, shared_data: Path) -> None:
    summary = repository.load(shared_data / "hsc-rc2-subset-v0.yaml")
    assert summary.dimension_records["visit_system_membership"] == counts(2)
    assert repository.rows("group", "name") == ["903342"]
    assert repository.rows("exposure", "group") == ["903342"]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_old_export_goes_into_a_repository_of_its_own_universe(
    new_repository: Callable[..., Repository], shared_data: Path
) -> None:
    repository = new_repository(version=0)
    repository.load(shared_data / "hsc-rc2-subset-v0.yaml")
    assert repository.rows("visit", "visit_system") == [0, 0]


def test_a_new_export_does_not_go_into_an_older_universe(
    new_repository: Callable[..., Repository], shared_data: Path
) -> None:
    repository = new_repository(version=0)
    with pytest.raises(IncompatibleVersionError, match="version 6, the repository has"):
        repository.load(shared_data / "hsc-rc2-subset.yaml")
    assert repository.rows("instrument", "name") == []


@pytest.mark.parametrize("version", [0, 8])
def test_base_and_datasets_are_imported(
    new_repository: Callable[..., Repository], shared_data: Path, version: int
) -> None:
    repository = new_repository(version)
    base = repository.load(shared_data / "base.yaml")
    assert base.dataset_types == counts(2)
    assert base.dimension_records == {
        "instrument": counts(1),
        "physical_filter": counts(3),
        "detector": counts(4),
    }
    summary = repository.load(shared_data / "datasets.yaml")
    assert summary.datasets == {"bias": counts(6), "flat": counts(7)}
    assert summary.collections == {"RUN": counts(2)}
    assert (summary.artifacts, summary.artifact_bytes) == (0, 0)
    detectors = [{"instrument": "Cam1", "detector": detector} for detector in (1, 2, 3, 4)]
    assert [found is not None for found in repository.find("bias", "imported_g", *detectors)] == [
        True
    ] * 3 + [False]
    assert [found is not None for found in repository.find("bias", "imported_r", *detectors)] == [False] + [
        True
    ] * 3


def test_datasets_with_integer_ids_get_uuids_and_can_be_imported_again(
    repository: Repository, shared_data: Path
) -> None:
    # D70
    repository.load(shared_data / "base.yaml")
    repository.load(shared_data / "datasets.yaml")
    (bias,) = repository.find("bias", "imported_g", {"instrument": "Cam1", "detector": 1})
    assert repository.load(shared_data / "datasets.yaml").datasets == {
        "bias": counts(6, 0),
        "flat": counts(7, 0),
    }
    assert repository.find("bias", "imported_g", {"instrument": "Cam1", "detector": 1}) == [bias]


def test_datasets_with_uuids_keep_them_and_can_be_imported_again(repository: Repository) -> None:
    text = CAMERA + datasets(record(0, 1), record(1, 2))
    assert repository.load(text).datasets == {"note": counts(2)}
    again = repository.load(text + datasets(record(2, 1), run="r2") + "\n- {type: run, name: r2}")
    assert again.datasets == {"note": counts(3, 1)}
    assert again.collections == {"RUN": counts(2, 1)}
    found = repository.find("note", "r", {"instrument": "Cam", "detector": 1})[0]
    assert found is not None
    assert found.ref.id == UUID(IDS[0])


def test_an_id_that_belongs_to_another_dataset_is_refused(repository: Repository) -> None:
    repository.load(CAMERA + datasets(record(0, 1)))
    with pytest.raises(ConflictingDefinitionError, match=f"{IDS[0]}.*this id belongs to note@.*2"):
        repository.load(CAMERA + datasets(record(0, 2)))


def test_a_data_id_that_has_another_dataset_is_refused(repository: Repository) -> None:
    repository.load(CAMERA + datasets(record(0, 1)))
    with pytest.raises(ConflictingDefinitionError, match=IDS[0]):
        repository.load(CAMERA + datasets(record(1, 1), record(2, 2)))
    assert repository.find("note", "r", {"instrument": "Cam", "detector": 2}) == [None]


def test_values_of_implied_dimensions_are_checked(repository: Repository, shared_data: Path) -> None:
    repository.load(shared_data / "base.yaml")
    data_id = "{instrument: Cam1, detector: 1, physical_filter: Cam1-G, band: r}"
    flat = datasets(f"{{dataset_id: 1, data_id: {data_id}}}", dataset_type="flat")
    with pytest.raises(ValueError, match="band"):
        repository.load("\n- {type: run, name: r}" + flat)


def _import_and_die(database: str, root: Path, text: str, folder: Path) -> None:
    """Import in a process that ends when the first artifact has been stored: the put is begun, not committed."""

    class DyingDatastore(DatastoreApplication):
        def write_batch(self, items: Sequence[tuple[bytes, bytes]]) -> list[SignedReceipt]:
            super().write_batch(items)
            os._exit(9)

    _, repository = open_repository(database, root)
    stores = {"main": PosixStoreConfig(str(root), durable=False)}
    dying = DyingDatastore(stores, TokenSigner([KEY]), limits=LIMITS)
    replace(repository, datastore=dying).load(text, directory=folder)


def write(folder: Path, **contents: bytes) -> Path:
    for name, content in contents.items():
        path = folder / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


@pytest.mark.parametrize("transfer", ["auto", "copy"])
def test_files_are_copied(repository: Repository, tmp_path: Path, transfer: str) -> None:
    large = json.dumps(["x" * 50] * 100).encode()
    folder = write(tmp_path / "files", a=b'{"a": 1}', b=large)
    text = CAMERA + datasets(record(0, 1, "a.json"), record(1, 2, "b.json"))
    summary = repository.load(text, directory=folder, transfer=transfer)
    assert (summary.artifacts, summary.artifact_bytes) == (2, 8 + len(large))
    assert (repository.read("r", 1), repository.read("r", 2)) == (b'{"a": 1}', large)
    assert (folder / "a.json").read_bytes() == b'{"a": 1}'
    again = repository.load(text, directory=folder)
    assert (again.datasets, again.artifacts) == ({"note": counts(2, 0)}, 0)


def test_more_small_files_than_fit_into_one_batch_are_copied(repository: Repository, tmp_path: Path) -> None:
    folder = write(tmp_path / "files", **{f"f{i}": bytes([48 + i]) * 900 for i in range(8)})
    records = ", ".join(f"{{instrument: Cam, id: {i}, full_name: d{i}}}" for i in range(10, 18))
    more = f"\n- {{type: dimension, element: detector, records: [{records}]}}"
    repository.load(
        CAMERA + more + datasets(*(record(i, 10 + i, f"f{i}.json") for i in range(8))), directory=folder
    )
    assert [repository.read("r", 10 + i) for i in range(8)] == [bytes([48 + i]) * 900 for i in range(8)]


def test_datasets_of_one_file_share_its_copy(repository: Repository, tmp_path: Path) -> None:
    folder = write(tmp_path / "files", a=b"[]")
    ids, data_ids = (
        f"[!uuid '{IDS[0]}', !uuid '{IDS[1]}']",
        "[{instrument: Cam, detector: 1}, {instrument: Cam, detector: 2}]",
    )
    entry = f"{{dataset_id: {ids}, data_id: {data_ids}, path: a.json, formatter: x.JsonFormatter}}"
    assert repository.load(CAMERA + datasets(entry), directory=folder).artifacts == 1
    assert (repository.read("r", 1), repository.read("r", 2)) == (b"[]", b"[]")
    assert len(repository.files()) == 1


@pytest.mark.parametrize(
    ("path", "formatter", "label", "extension"),
    [
        ("a.json", "lsst.daf.butler.formatters.json.JsonFormatter", "json", ".json"),
        ("a.yaml", "lsst.daf.butler.formatters.yaml.YamlFormatter", "yaml", ".yaml"),
        ("a.parq", "lsst.daf.butler.formatters.parquet.ParquetFormatter", "parquet", ".parq"),
        ("a.ecsv", "lsst.daf.butler.formatters.astropyTable.AstropyTableFormatter", "ecsv", ".ecsv"),
        ("a.fits", "lsst.obs.base.formatters.fitsExposure.FitsExposureFormatter", "fits", ".fits"),
        ("a.fits.gz", "lsst.obs.lsst.rawFormatter.LsstCamRawFormatter", "fits", ".fits.gz"),
        ("a.npy", "lab.NpyFormatter", "npy", ".npy"),
        ("a.TXT", "null", "text", ".txt"),
        ("noextension", "lab.BytesFormatter", "bytes", ""),
        ("a.UPPER-case", "lab.BytesFormatter", "bytes", ""),
    ],
)
def test_formats_are_known_by_formatter_or_extension(
    repository: Repository, tmp_path: Path, path: str, formatter: str, label: str, extension: str
) -> None:
    (tmp_path / path).write_bytes(b"5")
    repository.load(CAMERA + datasets(record(0, 1, path, formatter)), directory=tmp_path)
    found = repository.find("note", "r", {"instrument": "Cam", "detector": 1})[0]
    assert found is not None
    layout = found.artifacts[0].record.layout
    assert (layout.formatter, layout.extension, layout.storage_class) == (
        label,
        extension,
        "StructuredDataDict",
    )


BAD_FILES = [
    ("a.exotic", "lab.ExoticFormatter", MalformedExportError, "is of no format"),
    ("../secret.json", "x.JsonFormatter", MalformedExportError, "leads out of the directory"),
    ("/etc/hostname", "x.JsonFormatter", MalformedExportError, "leads out of the directory"),
    ("link.json", "x.JsonFormatter", MalformedExportError, "leads out of the directory"),
    ("absent.json", "x.JsonFormatter", ArtifactNotFoundError, r"there is no file 'absent\.json'"),
    (".", "x.JsonFormatter", ArtifactNotFoundError, "there is no file"),
    ('"a\\0.json"', "x.JsonFormatter", MalformedExportError, "no path of a file"),
]


@pytest.mark.parametrize(("path", "formatter", "error", "what"), BAD_FILES)
def test_a_file_that_cannot_be_taken_is_refused_before_anything_changes(
    repository: Repository, tmp_path: Path, path: str, formatter: str, error: type[Exception], what: str
) -> None:
    (tmp_path / "secret.json").write_bytes(b"{}")
    folder = write(tmp_path / "files", a=b"{}")
    (folder / "a.exotic").write_bytes(b"")
    (folder / "link.json").symlink_to(tmp_path / "secret.json")
    text = CAMERA + datasets(record(0, 1, "a.json"), record(1, 2, path, formatter))
    with pytest.raises(error, match=rf"block 5.*record 2: .*{what}"):
        repository.load(text, directory=folder)
    assert repository.rows("instrument", "name") == []
    assert repository.registry.collections.find(["*"]) == []
    assert repository.files() == []


def test_files_need_a_directory(repository: Repository) -> None:
    with pytest.raises(InvalidRequestError, match="give the directory"):
        repository.load(CAMERA + datasets(record(0, 1, "a.json")))


def test_an_unknown_way_to_transfer_is_refused(repository: Repository) -> None:
    with pytest.raises(UnsupportedOperationError, match="teleport"):
        repository.load(CAMERA, transfer="teleport")


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Callable[..., object]]:
    """Give a function that imports a text into a repository that reaches every file, and returns its note."""
    Butler.makeRepo(tmp_path / "embedded")
    with Butler(tmp_path / "embedded", writeable=True) as butler:

        def load(text: str, **options: Any) -> object:
            source = io.StringIO(f"version: 1.0.2\nuniverse_version: 8\ndata:{text}")
            butler.import_(filename=source, **options)
            return butler.get("note", instrument="Cam", detector=1, collections="r")

        yield load


@pytest.mark.parametrize("transfer", ["symlink", "relsymlink", "hardlink", "link"])
def test_links_in_the_directory_may_lead_anywhere_if_nothing_is_copied(
    embedded: Callable[..., object], tmp_path: Path, transfer: str
) -> None:
    (tmp_path / "elsewhere.json").write_bytes(b"{}")
    folder = write(tmp_path / "files", a=b"[]")
    (folder / "link.json").symlink_to(tmp_path / "elsewhere.json")
    text = CAMERA + datasets(record(0, 1, "link.json"))
    for other in ("copy", "auto", "move"):
        with pytest.raises(MalformedExportError, match="only transfer='direct'"):
            embedded(text, directory=folder, transfer=other)
    assert embedded(text, directory=folder, transfer=transfer) == {}


@pytest.mark.parametrize("path", ["{}/elsewhere.json", "file://{}/elsewhere.json"])
def test_files_from_elsewhere_are_taken_only_where_they_are(
    embedded: Callable[..., object], tmp_path: Path, path: str
) -> None:
    (tmp_path / "elsewhere.json").write_bytes(b"{}")
    folder = write(tmp_path / "files", a=b"[]")
    text = CAMERA + datasets(record(0, 1, f"'{path.format(tmp_path)}'"))
    for other in ("copy", "link", "symlink"):
        with pytest.raises((MalformedExportError, ArtifactNotFoundError)):
            embedded(text, directory=folder, transfer=other)
    assert embedded(text, directory=folder, transfer="direct") == {}


def test_files_are_left_out_without_a_datastore(repository: Repository) -> None:
    summary = repository.load(CAMERA + datasets(record(0, 1, "a.json")), without_datastore=True)
    assert (summary.datasets, summary.artifacts) == ({"note": counts(1)}, 0)
    (found,) = repository.find("note", "r", {"instrument": "Cam", "detector": 1})
    assert found is not None
    assert found.artifacts == ()


def test_a_batch_that_fails_leaves_neither_datasets_nor_files(repository: Repository, tmp_path: Path) -> None:
    folder = write(tmp_path / "files", a=b"{}", b=b"x" * 1500)
    text = CAMERA + datasets(record(0, 1, "b.json"), record(1, 2, "a.json"))

    def lose_file(phase: str, done: int, total: int, /) -> None:
        if phase == "datasets":
            (folder / "a.json").unlink()

    with pytest.raises(FileNotFoundError, match=r"a\.json"):
        repository.load(text, directory=folder, progress=lose_file)
    assert repository.files() == []
    assert repository.registry.datasets.get([UUID(IDS[0]), UUID(IDS[1])]) == [None, None]
    write(folder, a=b"{}")
    assert repository.load(text, directory=folder).datasets == {"note": counts(2)}


def test_an_import_that_was_killed_is_taken_up_again(repository: Repository, tmp_path: Path) -> None:
    folder = write(tmp_path / "files", a=b"{}", b=b"x" * 1500)
    text = CAMERA + datasets(record(0, 1, "a.json"), record(1, 2, "b.json"))
    killed = get_context("spawn").Process(
        target=_import_and_die, args=(repository.database, repository.root, text, folder)
    )
    killed.start()
    killed.join()
    assert killed.exitcode == 9
    assert repository.load(text, directory=folder).datasets == {"note": counts(2)}
    assert repository.read("r", 2) == b"x" * 1500


def test_several_imports_of_one_file_at_the_same_time_all_succeed(
    repository: Repository, tmp_path: Path
) -> None:
    folder = write(tmp_path / "files", a=b"{}", b=b"x" * 1500)
    text = CAMERA + datasets(record(0, 1, "a.json"), record(1, 2, "b.json"))
    with ThreadPoolExecutor(4) as pool:
        summaries = list(pool.map(lambda _: repository.load(text, directory=folder), range(4)))
    assert {summary.datasets["note"].found for summary in summaries} == {2}
    assert (repository.read("r", 1), repository.read("r", 2)) == (b"{}", b"x" * 1500)
    assert len(repository.files()) == 2


@pytest.mark.parametrize(
    ("text", "error", "what"),
    [
        (datasets(record(0, 3)), DataIdValueError, "3"),
        (datasets(record(0, 1), run="other"), MissingCollectionError, "other"),
        (datasets(record(0, 1), dataset_type="other"), MissingDatasetTypeError, "other"),
        ("\n- {type: collection, name: r, collection_type: TAGGED}", ConflictingDefinitionError, "TAGGED"),
        (
            "\n- {type: dimension, element: visit_system, records: [{instrument: Nope, id: 1, name: a}]}",
            MissingParentError,
            "Nope",
        ),
        (
            "\n- {type: dataset_type, name: note, dimensions: [instrument], storage_class: S}",
            MalformedExportError,
            "another definition",
        ),
    ],
)
def test_what_the_repository_refuses_is_raised_as_it_is(
    repository: Repository, text: str, error: type[Exception], what: str
) -> None:
    with pytest.raises(error, match=what):
        repository.load(CAMERA + text)


def test_a_dataset_type_of_another_definition_is_refused(repository: Repository) -> None:
    repository.load(CAMERA)
    with pytest.raises(ConflictingDefinitionError, match="note"):
        repository.load("\n- {type: dataset_type, name: note, dimensions: [instrument], storage_class: S}")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (datasets("{dataset_id: 1, data_id: {instrument: Cam}}"), "no value for detector"),
        (datasets("{dataset_id: 1, data_id: {instrument: Cam, detector: '1'}}"), "must be int"),
        (datasets("{dataset_id: 1, data_id: {instrument: Cam, detector: 1, colour: 2}}"), "'colour'"),
        (datasets(record(0, 1), record(0, 2)), f"dataset_id {IDS[0]} is that of another"),
        (datasets(record(0, 1), record(1, 1)), "is another dataset of the file already"),
    ],
)
def test_datasets_that_cannot_be_are_refused_before_anything_changes(
    repository: Repository, text: str, what: str
) -> None:
    with pytest.raises(MalformedExportError, match=rf"block 5 \(dataset note\), record \d: .*{what}"):
        repository.load(CAMERA + text)
    assert repository.rows("instrument", "name") == []


MEMBERS = f"""
{{}}
- {{{{type: collection, name: outer, collection_type: CHAINED, children: [inner, r]}}}}
- {{{{type: collection, name: inner, collection_type: CHAINED, children: [t]}}}}
- {{{{type: collection, name: t, collection_type: TAGGED}}}}
- {{{{type: collection, name: k, collection_type: CALIBRATION}}}}
- {{{{type: associations, collection: t, collection_type: TAGGED, dataset_ids: [!uuid '{IDS[0]}']}}}}
- type: associations
  collection: k
  collection_type: CALIBRATION
  validity_ranges:
  - {{{{begin: 2020-01-01 00:00:00, end: 2020-02-01 00:00:00, dataset_ids: [!uuid '{IDS[0]}', !uuid '{IDS[1]}']}}}}
  - {{{{begin: 2020-02-01 00:00:00, end: null, dataset_ids: [!uuid '{IDS[1]}']}}}}
"""
CALIBRATION_CAMERA = CAMERA.replace(
    "storage_class: StructuredDataDict}", "storage_class: StructuredDataDict, is_calibration: true}"
)


def test_chains_tags_and_validity_ranges_are_restored_also_twice(repository: Repository) -> None:
    # D70, D71: whatever the order of the file; what is there already stays.
    text = CALIBRATION_CAMERA + MEMBERS.format(datasets(record(0, 1), record(1, 2)).strip("\n"))
    for _ in range(2):
        summary = repository.load(text)
        assert summary.associations == {"t": 1, "k": 3}
        registry = repository.registry
        assert registry.collections.get("outer").children == ("inner", "r")
        assert registry.collections.get("inner").children == ("t",)
        tagged = registry.queries.page(members("t"), PageRequest())
        assert [str(i) for i in tagged.column("id")] == [IDS[0]]
        page = registry.queries.page(members("k", "timespan"), PageRequest())
        found = zip(map(str, page.column("id")), page.column("timespan"), strict=True)
        assert [(i, timespan.end is None) for i, timespan in found] == [
            (IDS[0], False),
            (IDS[1], False),
            (IDS[1], True),
        ]


def test_a_chain_that_is_there_with_other_members_is_left_as_it_is(repository: Repository) -> None:
    chain = "\n- {{type: collection, name: c, collection_type: CHAINED, children: [{}]}}"
    repository.load(CAMERA + chain.format("r"))
    other = CAMERA + "\n- {type: run, name: r2}" + chain.format("r2")
    with pytest.warns(UserWarning, match="'c' exists with other members"):
        repository.load(other)
    assert repository.registry.collections.get("c").children == ("r",)


@pytest.mark.parametrize(
    "members",
    [
        "collection_type: TAGGED, dataset_ids: [5]",
        "collection_type: CALIBRATION, validity_ranges: [{begin: 1, end: 2, dataset_ids: [5]}]",
    ],
)
def test_members_that_are_no_datasets_of_the_file_are_refused_before_anything_changes(
    repository: Repository, members: str
) -> None:
    with pytest.raises(MalformedExportError, match=r"block 5 .*dataset_id 5 is that of no dataset"):
        repository.load(CAMERA + f"\n- {{type: associations, collection: c, {members}}}")
    assert repository.rows("instrument", "name") == []


def test_associations_without_members_are_no_obstacle(repository: Repository) -> None:
    repository.load(
        CAMERA + "\n- {type: associations, collection: c, collection_type: TAGGED, dataset_ids: []}"
    )
    assert repository.rows("instrument", "name") == ["Cam"]


def test_records_of_some_elements_can_be_left_out(repository: Repository) -> None:
    summary = repository.load(CAMERA, skip_dimensions={"detector"})
    assert summary.dimension_records == {"instrument": counts(1)}
    with pytest.raises(DimensionNameError, match="colour"):
        repository.load(CAMERA, skip_dimensions={"colour"})


def test_progress_is_told_from_nothing_to_all_in_every_phase(repository: Repository) -> None:
    told: list[tuple[str, int, int]] = []
    repository.load(CAMERA + datasets(record(0, 1)), progress=lambda *step: told.append(step))
    assert told == [
        ("dimension records", 0, 3),
        ("dimension records", 1, 3),
        ("dimension records", 3, 3),
        ("collections", 0, 1),
        ("collections", 1, 1),
        ("dataset types", 0, 1),
        ("dataset types", 1, 1),
        ("datasets", 0, 1),
        ("datasets", 1, 1),
        ("associations", 0, 0),
    ]
