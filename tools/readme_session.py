# SPDX-License-Identifier: BSD-3-Clause
"""Show in README.md what commands really print: ``python tools/readme_session.py write`` runs them.

The block between ``<!-- session -->`` and ``<!-- end of session -->`` holds commands after ``$`` and their output.
"""

from __future__ import annotations

__all__ = ["PAGE", "normalised", "refreshed"]

import re
import subprocess
import sys
import tempfile
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "README.md"
_BLOCK = re.compile(r"(?<=<!-- session -->\n```console\n)(.*?)(?=```\n<!-- end of session -->)", re.DOTALL)


def refreshed(page: str) -> str:
    """Return the page with the output that its commands have now, in an empty directory."""
    found = _BLOCK.search(page)
    if found is None:
        raise ValueError(f"{PAGE.name} has no block between the marks of a session.")
    commands = [line[2:] for line in found[0].splitlines() if line.startswith("$ ")]
    return page[: found.start()] + _shown(commands) + page[found.end() :]


def normalised(text: str) -> str:
    """Return text in which ids and checksums, which differ from run to run, are dots."""
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<=sha256:)[0-9a-f]{64}", "…", text)


def _shown(commands: list[str]) -> str:
    program = f'butler() {{ "{sys.executable}" -m butler.cli "$@"; }}\n'
    shown = []
    with tempfile.TemporaryDirectory() as folder:
        for command in commands:
            done = subprocess.run(
                ["/bin/sh", "-c", program + command],
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            shown.append(f"$ {command}\n{done.stdout}")
    return "".join(shown)


if __name__ == "__main__":
    _page = PAGE.read_text(encoding="utf-8")
    _now = refreshed(_page)
    if sys.argv[1:] == ["write"]:
        PAGE.write_text(_now, encoding="utf-8")
    elif normalised(_page) != normalised(_now):
        sys.exit("The session in README.md is out of date; run: python tools/readme_session.py write")
