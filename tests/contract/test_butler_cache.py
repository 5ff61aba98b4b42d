# SPDX-License-Identifier: BSD-3-Clause
"""What a butler of a service read, it has; a butler of a directory needs no second copy."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from butler import Butler
from butler_model.errors import ConfigurationError
from tests.support.butlers import Repository
from tests.support.reads import count_reads

LARGE = bytes(range(256)) * 6000


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Switch the cache on, and give its directory."""
    directory = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("BUTLER_CACHE_DIR", str(directory))
    monkeypatch.setenv("BUTLER_CACHE_EXPIRATION", "size=100MB")
    return directory


@pytest.fixture
def butler(cache: Path, repository: Repository) -> Butler:
    """Give a butler that writes to run1 of a surveyed repository, and may have a cache."""
    return repository.surveyed()


@pytest.fixture
def is_remote(repository: Repository) -> bool:
    """Tell whether the repository is one of a service."""
    return repository.address.startswith("grpc://")


def test_only_the_first_get_of_a_large_artifact_reads_it_from_a_service(
    butler: Butler, repository: Repository, cache: Path, is_remote: bool
) -> None:
    ref = butler.put(LARGE, "blob", instrument="Cam1", detector=1)
    assert list(cache.iterdir()) == []
    assert butler.get(ref) == LARGE
    assert len(list(cache.iterdir())) == is_remote
    again = repository.butler()
    counted = count_reads(again)
    assert again.get(ref) == LARGE
    assert again.get_many([ref, ref]) == [LARGE, LARGE]
    assert counted.artifacts == (0 if is_remote else 3)


def test_many_that_are_read_together_are_kept(butler: Butler, cache: Path, is_remote: bool) -> None:
    contents = [LARGE + bytes([number]) for number in range(4)]
    refs = [butler.put(c, "blob", instrument="Cam1", detector=n) for n, c in enumerate(contents, 1)]
    assert butler.get_many(refs) == contents
    assert len(list(cache.iterdir())) == (4 if is_remote else 0)


def test_small_artifacts_are_not_kept(butler: Butler, cache: Path) -> None:
    ref = butler.put(b"small", "blob", instrument="Cam1", detector=1)
    assert butler.get(ref) == b"small"
    assert list(cache.iterdir()) == []


def test_a_part_is_read_from_the_whole_if_that_is_there_and_keeps_nothing_otherwise(
    butler: Butler, cache: Path, is_remote: bool
) -> None:
    frame = pd.DataFrame({name: range(100_000) for name in "abc"})
    ref = butler.put(frame, "frame", instrument="Cam1", detector=1)
    counted = count_reads(butler)
    parameters = {"columns": ["b"]}
    pd.testing.assert_frame_equal(butler.get(ref, parameters=parameters), frame[["b"]])
    assert counted.artifacts > 0
    assert list(cache.iterdir()) == []
    butler.get(ref)
    counted.artifacts = 0
    pd.testing.assert_frame_equal(butler.get(ref, parameters=parameters), frame[["b"]])
    assert butler.get("frame.rowcount", ref.dataId) == 100_000
    assert (counted.artifacts == 0) is is_remote


def test_a_damaged_file_of_the_cache_is_fetched_again(butler: Butler, cache: Path) -> None:
    ref = butler.put(LARGE, "blob", instrument="Cam1", detector=1)
    butler.get(ref)
    for path in cache.iterdir():
        path.write_bytes(LARGE[::-1])
    assert butler.get(ref) == LARGE
    assert all(path.read_bytes() == LARGE for path in cache.iterdir())


def test_a_retrieval_takes_what_is_kept_and_keeps_nothing_itself(
    butler: Butler, cache: Path, is_remote: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ref = butler.put(LARGE, "blob", instrument="Cam1", detector=1)
    butler.retrieve_artifacts([ref], tmp_path_factory.mktemp("first"))
    assert list(cache.iterdir()) == []
    butler.get(ref)
    counted = count_reads(butler)
    (path,) = butler.retrieve_artifacts([ref], tmp_path_factory.mktemp("second"))
    assert Path(path).read_bytes() == LARGE
    assert (counted.artifacts == 0) is is_remote


def test_a_cache_that_cannot_be_written_does_not_disturb_reading(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BUTLER_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.setenv("BUTLER_CACHE_EXPIRATION", "files=1")
    butler = repository.surveyed()
    ref = butler.put(LARGE, "blob", instrument="Cam1", detector=1)
    assert butler.get(ref) == LARGE
    assert butler.get(ref) == LARGE


def test_a_malformed_expiration_is_an_error_for_those_who_have_a_cache(
    repository: Repository, is_remote: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUTLER_CACHE_EXPIRATION", "much")
    if not is_remote:
        repository.butler()
        return
    with pytest.raises(ConfigurationError, match="BUTLER_CACHE_EXPIRATION"):
        repository.butler()
