# SPDX-License-Identifier: BSD-3-Clause
"""How much a repository holds: datasets, files and bytes by dataset type, run and store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from butler import DatasetRef, FileDataset
from butler.connect import connect
from butler_model.errors import LimitExceededError
from butler_model.ports import DatasetStatistics, Statistics, StatisticsKey
from tests.support.butlers import Repository

TYPE, RUN, STORE = StatisticsKey.DATASET_TYPE, StatisticsKey.RUN, StatisticsKey.STORE
SIZES = {"note": len(json.dumps({"a": 1})), "blob": 10}


@pytest.fixture
def statistics(repository: Repository) -> Iterator[Statistics]:
    """Give the statistics of a repository with three notes in two runs, two blobs that share a file, and a log."""
    butler = repository.surveyed("run1")
    for detector in (1, 2):
        butler.put({"a": 1}, "note", instrument="Cam1", detector=detector)
    butler.clone(run="run2").put({"a": 1}, "note", instrument="Cam1", detector=1)
    file = Path(repository.deployment.drop / "shared.bin")
    file.write_bytes(bytes(10))
    blob = butler.registry.getDatasetType("blob")
    refs = [
        DatasetRef(blob, butler.registry.expandDataId(instrument="Cam1", detector=detector))
        for detector in (1, 2)
    ]
    butler.ingest(FileDataset(str(file), refs), transfer="copy")
    with closing(connect(repository.address)) as connection:
        yield connection.registry.statistics


def row(
    datasets: int,
    artifacts: int,
    size: int,
    dataset_type: str | None = None,
    run: str | None = None,
    store: str | None = None,
) -> DatasetStatistics:
    return DatasetStatistics(dataset_type, run, store, datasets, artifacts, size)


def test_datasets_files_and_bytes_are_counted_by_what_is_asked_for(statistics: Statistics) -> None:
    note, blob = SIZES["note"], SIZES["blob"]
    # The file that two blobs share counts once.
    assert statistics.datasets([[]]) == [row(5, 4, 3 * note + blob)]
    assert statistics.datasets([[TYPE]]) == [
        row(2, 1, blob, dataset_type="blob"),
        row(3, 3, 3 * note, dataset_type="note"),
    ]
    assert statistics.datasets([[RUN]]) == [
        row(4, 3, 2 * note + blob, run="run1"),
        row(1, 1, note, run="run2"),
    ]
    assert statistics.datasets([[STORE]]) == [row(5, 4, 3 * note + blob, store="main")]
    assert statistics.datasets([[TYPE, RUN, STORE]]) == [
        row(2, 1, blob, "blob", "run1", "main"),
        row(2, 2, 2 * note, "note", "run1", "main"),
        row(1, 1, note, "note", "run2", "main"),
    ]


def test_globs_choose_dataset_types_and_runs(statistics: Statistics) -> None:
    note = SIZES["note"]
    assert statistics.datasets([[TYPE]], dataset_types=["n*"], runs=["*1"]) == [
        row(2, 2, 2 * note, dataset_type="note")
    ]
    assert statistics.datasets([[]], runs=["nothing"]) == []
    assert statistics.datasets([[]], runs=[]) == []
    with pytest.raises(LimitExceededError):
        statistics.datasets([[]], runs=["*"] * 101)


def test_an_empty_repository_holds_nothing(repository: Repository) -> None:
    with closing(connect(repository.address)) as connection:
        assert connection.registry.statistics.datasets([[TYPE]]) == []
