# SPDX-License-Identifier: BSD-3-Clause
"""What `butler.testing` gives to those who test their own programs, embedded and through services."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from butler import Butler
from butler.testing import (
    MetricsExample,
    addDataIdValue,
    addDatasetType,
    expandUniqueId,
    makeTestCollection,
    makeTestRepo,
    registerMetricsExample,
)
from butler_model import errors

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "test-with-a-butler.md"
DATA_IDS: dict[str, list[str | int]] = {
    "instrument": ["Cam"],
    "detector": [1, 2],
    "band": ["g", "r"],
    "visit": [101, 102],
    "exposure": [7],
    "tract": [9],
    "patch": [3],
}


@pytest.fixture(params=["butler_repository", "served_butler_repository"])
def address(request: pytest.FixtureRequest) -> str:
    """Give what both fixtures of the package give."""
    given: str = request.getfixturevalue(request.param)
    return given


@pytest.fixture
def repo(address: str) -> Iterator[Butler]:
    """Give a butler of an empty repository that may write."""
    with Butler(address, writeable=True) as butler:
        yield butler


def test_a_repository_has_the_data_ids_that_are_asked_for(tmp_path: Path) -> None:
    with makeTestRepo(tmp_path / "repo", DATA_IDS) as repo:
        for dimension, values in DATA_IDS.items():
            found = repo.query().where(check=False).data_ids(dimension)
            assert {data_id[dimension] for data_id in found} == set(values), dimension
        assert repo.run is None
        assert repo.isWriteable()
        with pytest.raises(errors.RepositoryExistsError):
            makeTestRepo(tmp_path / "repo")


def test_a_value_is_added_once_with_what_it_depends_on(repo: Butler) -> None:
    addDataIdValue(repo, "visit", 1, instrument="Cam", band="r")
    addDataIdValue(repo, "visit", 1, instrument="Cam", band="r")
    addDataIdValue(repo, "visit", 2, physical_filter="Cam-g", band="g")
    addDataIdValue(repo, "detector", 5)
    visits = {d["visit"]: d for d in repo.query().where(instrument="Cam").data_ids("visit")}
    assert {visit: data_id["band"] for visit, data_id in visits.items()} == {1: "r", 2: "g"}
    assert expandUniqueId(repo, {"detector": 5})["instrument"] == "Cam"
    assert expandUniqueId(repo, {"visit": 2, "detector": 5}).hasRecords()


def test_what_is_not_unique_or_cannot_be_added_is_refused(repo: Butler) -> None:
    addDataIdValue(repo, "detector", 1, instrument="Cam")
    addDataIdValue(repo, "detector", 1, instrument="Other")
    with pytest.raises(ValueError, match="several data IDs"):
        expandUniqueId(repo, {"detector": 1})
    with pytest.raises(ValueError, match="no data ID"):
        expandUniqueId(repo, {"detector": 9})
    with pytest.raises(errors.NotInsertableError):
        addDataIdValue(repo, "htm7", 1)
    with pytest.raises(errors.DimensionNameError):
        addDataIdValue(repo, "chip", 1)
    with pytest.raises(errors.DimensionValueError):
        addDataIdValue(repo, "detector", "one", instrument="Cam")


def test_collections_of_tests_do_not_see_each_other(repo: Butler) -> None:
    addDataIdValue(repo, "detector", 1, instrument="Cam")
    kind = addDatasetType(repo, "note", ["detector"], "StructuredDataDict")
    assert addDatasetType(repo, "note", ["instrument", "detector"], "StructuredDataDict") == kind
    with makeTestCollection(repo) as one, makeTestCollection(repo, "other") as other:
        assert other.run == "test/other"
        one.put({"a": 1}, kind, instrument="Cam", detector=1)
        other.put({"a": 2}, kind, instrument="Cam", detector=1)
        assert one.get("note", instrument="Cam", detector=1) == {"a": 1}
        assert other.get("note", instrument="Cam", detector=1) == {"a": 2}


def test_the_example_of_a_composite_has_components_and_a_parameter(repo: Butler) -> None:
    registerMetricsExample()
    addDataIdValue(repo, "detector", 1, instrument="Cam")
    addDatasetType(repo, "metrics", ["detector"], "StructuredComposite")
    metrics = MetricsExample({"a": 1}, {"b": [2]}, [1.0, 2.0, 3.0])
    with makeTestCollection(repo) as butler:
        ref = butler.put(metrics, "metrics", instrument="Cam", detector=1)
        assert butler.get(ref) == metrics
        assert butler.get("metrics.output", ref.dataId) == {"b": [2]}
        assert butler.get("metrics.counter", ref.dataId) == 3
        assert butler.get(ref, parameters={"slice": slice(2)}).data == [1.0, 2.0]


def test_the_page_about_tests_is_a_file_of_tests_that_pass(tmp_path: Path) -> None:
    (block,) = re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    (tmp_path / "test_mine.py").write_text(block, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def test_the_plugin_loads_no_butler_before_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "test_nothing.py").write_text(
        "import sys\n\n\ndef test_nothing():\n    assert 'butler.butler' not in sys.modules\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_nothing.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout
