# SPDX-License-Identifier: BSD-3-Clause
"""A real survey's metadata, and two runs of calibrations, give the numbers that are known of them."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from butler.export_blocks import CollectionBlock, DatasetBlock, ExportFile
from butler.export_file import read_export
from butler.universe_upgrade import UpgradedExport, upgrade_export
from butler_model.dataset import DatasetType, new_dataset_id
from butler_model.grants import TokenSigner
from butler_model.ports import BeginPut, PutBatch
from butler_model.query.spec import QuerySpec, ResultKind
from butler_model.universe import DimensionUniverse
from butler_registry.application import RegistryApplication
from tests.support.registries import RegistrySetup

SIGNER = TokenSigner([b"a key for the tests of golden data"])
UNIVERSE = DimensionUniverse()
BATCH = 500


def read(path: Path) -> tuple[ExportFile, UpgradedExport]:
    export = read_export(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return export, upgrade_export(export, UNIVERSE)


def load(setup: RegistrySetup, path: Path) -> tuple[ExportFile, UpgradedExport]:
    """Insert the records, types and runs of an export."""
    export, upgraded = read(path)
    for element, records in upgraded.records.items():
        for start in range(0, len(records), BATCH):
            batch = records[start : start + BATCH]
            inserted = setup.registry.dimension_records.insert(element, batch, request_id=uuid.uuid4())
            assert inserted == len(batch)
    for dataset_type in upgraded.dataset_types.values():
        assert setup.registry.dataset_types.register(dataset_type, request_id=uuid.uuid4())
    for block in export.blocks:
        if isinstance(block, CollectionBlock):
            assert setup.registry.collections.register(block.collection, request_id=uuid.uuid4())
    return export, upgraded


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def application(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RegistryApplication]:
    with ExitStack() as stack:
        url = f"sqlite:///{tmp_path_factory.mktemp('golden')}"
        if request.param == "postgresql":
            server = request.getfixturevalue("postgres_server")
            url = server.create_database()
            stack.callback(server.drop_database, url)
        made = RegistryApplication(url, SIGNER)
        stack.callback(made.close)
        yield made


def fresh(application: RegistryApplication, name: str) -> RegistrySetup:
    application.create(name, UNIVERSE, request_id=uuid.uuid4())
    return RegistrySetup(application.open(name), name, SIGNER)


@pytest.fixture(scope="module")
def survey(application: RegistryApplication, shared_data: Path) -> RegistrySetup:
    """Give a repository with the records of a real survey."""
    setup = fresh(application, "survey")
    load(setup, shared_data / "hsc-rc2-subset.yaml")
    return setup


@pytest.fixture(scope="module")
def calibrations(application: RegistryApplication, shared_data: Path) -> RegistrySetup:
    """Give a repository with two runs of biases and flats."""
    setup = fresh(application, "calibrations")
    _, base = load(setup, shared_data / "base.yaml")
    export, _ = load(setup, shared_data / "datasets.yaml")
    for block in export.blocks:
        if isinstance(block, DatasetBlock):
            put(setup, base.dataset_types[block.dataset_type], block)
    return setup


def put(setup: RegistrySetup, dataset_type: DatasetType, block: DatasetBlock) -> None:
    data_ids = [data_id for entry in block.records for data_id in entry.data_ids]
    ids = [new_dataset_id() for _ in data_ids]
    batch = PutBatch(dataset_type.name, dataset_type.storageClass_name, data_ids, ids, ())
    setup.commit(setup.registry.puts.begin(BeginPut(uuid.uuid4(), block.run, (batch,))), [])


def count(setup: RegistrySetup, spec: QuerySpec) -> int:
    rows = setup.rows(spec, 10_000)
    assert len({repr(row) for row in rows}) == len(rows)
    return len(rows)


@pytest.mark.parametrize(
    ("element", "records"),
    [
        ("instrument", 1),
        ("skymap", 1),
        ("detector", 111),
        ("physical_filter", 5),
        ("band", 5),
        ("tract", 2),
        ("patch", 2),
        ("visit", 160),
        ("visit_detector_region", 1132),
        ("day_obs", 15),
        ("group", 1),
        ("exposure", 1),
    ],
)
def test_a_survey_has_as_many_records_as_are_known(survey: RegistrySetup, element: str, records: int) -> None:
    assert count(survey, QuerySpec(ResultKind.DIMENSION_RECORDS, element=element)) == records


@pytest.mark.parametrize(
    ("dimensions", "rows"),
    [
        (("visit",), 160),
        (("visit", "detector"), 17760),
        (("detector",), 111),
        (("band",), 5),
        (("physical_filter",), 5),
        (("tract",), 2),
        (("patch",), 2),
        ((), 1),
    ],
    ids=str,
)
def test_a_survey_has_as_many_data_ids_as_are_known(
    survey: RegistrySetup, dimensions: tuple[str, ...], rows: int
) -> None:
    assert count(survey, QuerySpec(ResultKind.DATA_IDS, dimensions=dimensions)) == rows


def test_every_record_of_a_survey_comes_back_as_it_was_exported(
    survey: RegistrySetup, shared_data: Path
) -> None:
    _, upgraded = read(shared_data / "hsc-rc2-subset.yaml")
    for element, records in upgraded.records.items():
        found = survey.rows(QuerySpec(ResultKind.DIMENSION_RECORDS, element=element), 10_000)
        made = {record.key: record for record in records}
        assert len(found) == len(made)
        for values in found:
            record = type(records[0]).from_values(UNIVERSE[element], values)
            assert made[record.key].differences(record) == {}


def test_every_visit_and_detector_of_a_survey_expands(survey: RegistrySetup, shared_data: Path) -> None:
    _, upgraded = read(shared_data / "hsc-rc2-subset.yaml")
    regions = upgraded.records["visit_detector_region"]
    group = UNIVERSE.conform(["visit", "detector"])
    expanded = survey.registry.dimension_records.expand(group, [record.dataId for record in regions])
    for record, data_id in zip(regions, expanded, strict=True):
        held = data_id.records["visit_detector_region"]
        assert held is not None
        assert held.differences(record) == {}
        assert data_id.region == record.region
        visit = data_id.records["visit"]
        assert visit is not None
        assert data_id.timespan == visit.timespan


@pytest.mark.parametrize(
    ("dataset_type", "collections", "find_first", "datasets"),
    [
        ("bias", ("imported_g", "imported_r"), False, 6),
        ("bias", ("imported_g", "imported_r"), True, 4),
        ("bias", ("imported_r", "imported_g"), True, 4),
        ("bias", ("imported_g",), True, 3),
        ("flat", ("imported_g", "imported_r"), False, 7),
        ("flat", ("imported_g", "imported_r"), True, 7),
    ],
)
def test_two_runs_have_as_many_datasets_as_are_known(
    calibrations: RegistrySetup,
    dataset_type: str,
    collections: tuple[str, ...],
    find_first: bool,
    datasets: int,
) -> None:
    spec = QuerySpec(
        ResultKind.DATASETS, dataset_type=dataset_type, collections=collections, find_first=find_first
    )
    assert count(calibrations, spec) == datasets


def test_all_runs_have_thirteen_datasets(calibrations: RegistrySetup) -> None:
    runs = tuple(collection.name for collection in calibrations.registry.collections.find(["*"]))
    assert runs == ("imported_g", "imported_r")
    specs = [
        QuerySpec(ResultKind.DATASETS, dataset_type=found.name, collections=runs)
        for found in calibrations.registry.dataset_types.find(["*"])
    ]
    assert sum(count(calibrations, spec) for spec in specs) == 13
