# SPDX-License-Identifier: BSD-3-Clause
"""What docs/tutorial.md says works: its Python in one program, its shell commands as they stand."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import COMMAND, served_address
from tools.servers.process import free_ports, running, wait_until

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
PORT = "50051"


def blocks() -> list[tuple[str, str]]:
    """Return the language and text of every block of the page, in order."""
    found = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [(language, text) for language, text in found]


def python(folder: Path, texts: list[str]) -> str:
    """Run blocks of Python as one program and return what it printed."""
    (folder / "program.py").write_text("\n".join(texts), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def shell(folder: Path, text: str) -> list[str]:
    """Run the commands of a block of shell, and return what each printed."""
    printed = []
    for line in text.splitlines():
        name, *arguments = shlex.split(line)
        assert name == "butler"
        done = subprocess.run([*COMMAND, *arguments], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout)
    return printed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tutorial")


# Each command is a process that loads all it needs, on a machine that may be busy.
@pytest.mark.timeout(900)
def test_the_tutorial_does_what_it_says(folder: Path) -> None:
    found = blocks()
    languages = [language for language, _ in found]
    assert languages == ["sh", *["python"] * 11, "sh", "text", "sh", "python"], (
        "a new block needs a test here"
    )
    printed = python(folder, [text for language, text in found[:-1] if language == "python"])
    assert "u/me/first" in printed
    assert "'catalog'" in printed
    assert (folder / "sky.png").read_bytes().startswith(b"\x89PNG")

    commands, expected, serve, remote = (text for _, text in found[-4:])
    tree, datasets, _, stats = shell(folder, commands)
    assert tree == expected
    assert len(datasets.splitlines()) == 1 + 6
    assert "catalog" in stats
    assert (folder / "sky.svg").exists()

    # Another port: that of the page may be in use. The process has another working directory, too.
    port = str(free_ports(1)[0])
    _, *arguments = shlex.split(serve.replace(PORT, port).replace(" repo ", f" {folder / 'repo'} "))
    log = folder / "log"
    with running([*COMMAND, *arguments], log=log) as server:
        wait_until(lambda: served_address(log) is not None, server, seconds=60)
        assert f"{served_address(log)}" in remote.replace(PORT, port)
        python(folder, ["from butler import Butler", remote.replace(PORT, port)])
