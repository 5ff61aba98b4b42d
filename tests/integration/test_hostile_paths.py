# SPDX-License-Identifier: BSD-3-Clause
"""Whatever a name or a path says, nothing is opened, made, linked, listed or removed that is not the repository's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.watched_paths import ENTRIES

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Give what a process of its own saw, in which an audit hook watches."""
    folder = tmp_path_factory.mktemp("watched")
    command = [sys.executable, "-m", "tests.support.watched_paths", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return found


def test_more_than_three_hundred_names_are_given_to_everything_that_takes_one(report: dict[str, Any]) -> None:
    assert report["names"] > 300
    assert report["tried"] == dict.fromkeys(ENTRIES, report["names"]) | {"put-file": -(-report["names"] // 3)}
    # The hook does watch: what is taken is written, read, retrieved and exported.
    assert report["seen"] > 10_000
    assert report["taken"]["value of a dimension"] > 100


def test_nothing_outside_of_the_repository_is_touched(report: dict[str, Any]) -> None:
    assert report["outside"] == []
    assert report["untouched"]


def test_what_is_refused_is_refused_by_an_error_of_the_catalogue(report: dict[str, Any]) -> None:
    assert report["strange"] == []


def test_most_names_are_no_names_of_collections_types_keys_or_repositories(report: dict[str, Any]) -> None:
    for entry in ("run", "dataset type", "key", "key to adopt", "repository"):
        assert report["taken"][entry] < report["names"] // 10, entry
    for entry in ("file to ingest", "file that was moved"):
        assert report["taken"][entry] == 0
