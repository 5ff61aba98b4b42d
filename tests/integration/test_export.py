# SPDX-License-Identifier: BSD-3-Clause
"""Exports of real surveys, into newer universes, and to a disk that is full."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from butler import Butler, DatasetType
from tests.support.contents import contents_of, save_all


def exported(butler: Butler, directory: Path) -> None:
    """Export everything."""
    with butler.export(directory=directory, format="yaml", transfer="copy") as export:
        save_all(butler, export)


def test_the_records_of_a_real_survey_come_back(shared_data: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        Butler.makeRepo(tmp_path / name)
    with Butler(tmp_path / "first", writeable=True) as butler:
        butler.import_(filename="hsc-rc2-subset.yaml", directory=shared_data)
        exported(butler, tmp_path / "out")
        expected = contents_of(butler)
    with Butler(tmp_path / "second", writeable=True) as butler:
        butler.import_(directory=tmp_path / "out")
        assert contents_of(butler) == expected


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_export_of_an_old_universe_goes_into_a_new_one(shared_data: Path, tmp_path: Path) -> None:
    Butler.makeRepo(tmp_path / "old", dimensionConfig=0)
    Butler.makeRepo(tmp_path / "new")
    with (
        Butler(tmp_path / "old", writeable=True) as old,
        Butler(tmp_path / "new", writeable=True) as new,
    ):
        for name in ("hsc-rc2-subset-v0.yaml", "base.yaml", "datasets.yaml"):
            old.import_(filename=name, directory=shared_data)
        exported(old, tmp_path / "out")
        new.import_(directory=tmp_path / "out")
        theirs, mine = contents_of(new), contents_of(old)
        assert theirs.datasets == mine.datasets
        assert len(theirs.records["visit"]) == len(mine.records["visit"]) == 2
        assert len(theirs.records["visit_system_membership"]) == 2


@contextmanager
def room_for_files_of(size: int) -> Iterator[None]:
    """Let no file of this process become longer; writing more fails as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [1_000, 40_000])  # too little for the records; for a file of a dataset
def test_an_export_to_a_full_disk_leaves_nothing_half(tmp_path: Path, room: int) -> None:
    Butler.makeRepo(tmp_path / "repository")
    with Butler(tmp_path / "repository", run="run1") as butler:
        insert = butler.registry.insertDimensionData
        insert("instrument", {"name": "Cam", "detector_max": 200})
        insert(
            "detector", *({"instrument": "Cam", "id": i, "full_name": f"detector {i}"} for i in range(200))
        )
        butler.registry.registerDatasetType(DatasetType("blob", (), "Bytes", universe=butler.dimensions))
        butler.put(b"x" * 50_000, "blob")
        with pytest.raises(OSError, match="File too large"), room_for_files_of(room):
            exported(butler, tmp_path / "out")
        assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []
        exported(butler, tmp_path / "out")
        assert len([path for path in (tmp_path / "out").rglob("*") if path.is_file()]) == 2
