# SPDX-License-Identifier: BSD-3-Clause
"""What docs/how-to/write-a-formatter.md says works: each of its blocks, in the order of the page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "write-a-formatter.md"


def blocks() -> list[tuple[str, str]]:
    found = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [(language, text) for language, text in found]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Return a directory with the module of the page, its package's entry points and the configuration."""
    languages = [language for language, _ in blocks()]
    assert languages == ["python", "toml", "yaml", "python", "python"], "a new block needs a test here"
    texts = [text for _, text in blocks()]
    (tmp_path / "settings_format.py").write_text(texts[0], encoding="utf-8")
    project = tomllib.loads(texts[1])["project"]
    metadata = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n", encoding="utf-8"
    )
    points = "\n".join(
        f"{name} = {value}" for name, value in project["entry-points"]["butler.formatters"].items()
    )
    (metadata / "entry_points.txt").write_text(f"[butler.formatters]\n{points}\n", encoding="utf-8")
    (tmp_path / "formatters.yaml").write_text(texts[2], encoding="utf-8")
    (tmp_path / "program.py").write_text(texts[3], encoding="utf-8")
    (tmp_path / "test_settings.py").write_text(texts[4], encoding="utf-8")
    return tmp_path


def run(installed: Path, *arguments: str) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(installed), str(ROOT)]),
        "BUTLER_FORMATTERS": str(installed / "formatters.yaml"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        cwd=installed,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_formatter_of_another_package_is_configured_and_writes(installed: Path) -> None:
    run(installed, "program.py")


def test_it_is_held_to_the_contract_of_all_formatters(installed: Path) -> None:
    run(
        installed,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--import-mode=importlib",
        "test_settings.py",
    )


def test_a_formatter_that_breaks_the_contract_is_found_out(installed: Path) -> None:
    module = installed / "settings_format.py"
    exact = module.read_text(encoding="utf-8")
    module.write_text(exact.replace("obj[name].hex()", "float(round(obj[name])).hex()"), encoding="utf-8")
    with pytest.raises(AssertionError, match="reads_back_equal"):
        test_it_is_held_to_the_contract_of_all_formatters(installed)
