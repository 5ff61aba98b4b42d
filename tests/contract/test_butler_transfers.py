# SPDX-License-Identifier: BSD-3-Clause
"""Datasets go from one repository straight into another, whatever the two are: directories or services."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from butler import Butler, DatasetRef
from tests.support.butlers import Deployment, Repository
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
