# SPDX-License-Identifier: BSD-3-Clause
"""What all commands have: options from a file, the log, and progress."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from butler import Butler, DatasetType
from tests.support.command_line import COMMAND, butler, objects, on_terminal
from tests.support.survey import insert_survey


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("options") / "repo"
    Butler.makeRepo(root)
    with Butler(root, writeable=True) as made:
        insert_survey(made)
    return str(root)


def test_options_are_taken_from_a_file_and_what_is_typed_is_preferred(
    repository: str, tmp_path: Path
) -> None:
    file = tmp_path / "options.yaml"
    file.write_text(
        "query-data-ids: {where: detector > 1, no-check: true, order-by: -detector, limit: 2}\n"
        "collections register: {type: tagged, doc: mine}\n"
    )
    command = ("query-data-ids", repository, "detector", "-@", str(file))
    assert [row["detector"] for row in objects(*command)] == [4, 3]
    assert [row["detector"] for row in objects(*command, "--limit", "1")] == [4]
    (made,) = objects("collections", "register", repository, "tag", "--options-file", str(file))
    assert made["type"] == "TAGGED"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("query-data-id: {limit: 1}", "the nearest known one is 'query-data-id'"),
        ("query-data-ids: {limits: 1}", "the nearest known one is 'limit'"),
        ("query-data-ids: {limit: none}", "'none' is not a valid integer"),
        ("query-data-ids: 5", "no part 'query-data-ids'"),
    ],
)
def test_a_file_with_options_that_no_command_has_is_refused(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "options.yaml"
    file.write_text(content)
    done = butler("query-data-ids", "nowhere", "detector", "-@", str(file))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr


def test_the_log_is_written_as_far_as_it_is_asked_for(tmp_path: Path) -> None:
    installed = tmp_path / "sky_tools-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: sky-tools\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[butler.commands]\ntalk = sky_tools:talk\n")
    (tmp_path / "sky_tools.py").write_text(
        "import click, logging\n@click.command()\ndef talk():\n    'Talk.'\n"
        "    logging.getLogger('sky.tools').debug('low')\n    logging.getLogger('sky').warning('loud')\n"
    )

    def heard(*options: str) -> str:
        done = butler(*options, "talk", PYTHONPATH=f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        return done.stderr

    assert heard("--log-level", "debug") == "sky.tools DEBUG: low\nsky WARNING: loud\n"
    assert heard("--log-level", "ERROR", "--log-level", "sky.tools=DEBUG") == "sky.tools DEBUG: low\n"
    assert heard("--log-level", "CRITICAL") == ""
    assert "sky_tools.py:6) - loud" in heard("--long-log")
    refused = butler("--log-level", "sky=LOUD", "talk")
    assert (refused.returncode, "CRITICAL, ERROR" in refused.stderr) == (2, True)


def test_progress_is_shown_with_a_rate_where_it_is_asked_for_and_never_where_it_is_not(
    repository: str,
) -> None:
    assert "Inspecting" in butler("--progress", "fsck", repository).stderr
    assert "Inspecting" not in butler("fsck", repository).stderr
    assert "Inspecting" not in on_terminal(100, *COMMAND, "--no-progress", "fsck", repository)


def test_the_command_of_the_how_to_works_once_its_package_is_installed(
    repository: str, tmp_path: Path
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "use-the-command-line.md").read_text(
        encoding="utf-8"
    )
    (entry,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    package = tmp_path / "package"
    (package / "src" / "sky_tools").mkdir(parents=True)
    (package / "src" / "sky_tools" / "__init__.py").touch()
    (package / "src" / "sky_tools" / "commands.py").write_text(code)
    (package / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n\n'
        f'[project]\nname = "sky-tools"\nversion = "1.0"\n\n{entry}\n'
        '[tool.hatch.build.targets.wheel]\npackages = ["src/sky_tools"]\n'
    )
    installed = tmp_path / "installed"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    subprocess.run([*pip, "--target", str(installed), str(package)], check=True, timeout=120)
    path = f"{installed}:{os.environ.get('PYTHONPATH', '')}"
    assert re.search(r"stars +From sky-tools\.", butler("--help", PYTHONPATH=path).stdout)
    with Butler(repository, run="r") as made:
        made.registry.registerDatasetType(DatasetType("star", [], "Text", universe=made.dimensions))
        made.put("bright", "star")
    done = butler("stars", repository, PYTHONPATH=path)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    missing = butler("stars", "nowhere", PYTHONPATH=path)
    assert (missing.returncode, missing.stderr.count("\n")) == (3, 1)
