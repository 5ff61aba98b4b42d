# SPDX-License-Identifier: BSD-3-Clause
"""The software that today's must work with: the last tagged release, or the commit that ``protos/baseline`` names.

``python tools/baseline.py`` says which it is; it needs no environment.
"""

from __future__ import annotations

__all__ = ["Baseline", "baseline", "unpack"]

import io
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAMED = ROOT / "protos" / "baseline"
RELEASES = "v[0-9]*"


@dataclass(frozen=True)
class Baseline:
    """What to compare with.

    Attributes
    ----------
    name
        The tag, or how it is known without one.
    commit
        The commit, which is in this repository.
    """

    name: str
    commit: str


def baseline() -> Baseline:
    """Return what today's software must work with.

    Raises
    ------
    LookupError
        If it is not in this checkout, which may be without history or no checkout at all.
    """
    tags = _git("tag", "--list", RELEASES, "--sort=-version:refname").split()
    if tags:
        # On the branch of an older release the last one is not the newest.
        last = _git("describe", "--tags", "--abbrev=0", f"--match={RELEASES}").strip()
        name = last or tags[0]
    else:
        lines = NAMED.read_text(encoding="utf-8").splitlines()
        (name,) = (line for line in lines if line and not line.startswith("#"))
    commit = _git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").strip()
    if not commit:
        raise LookupError(f"{name} is not in this checkout; fetch its history: git fetch --unshallow --tags")
    return Baseline(name if tags else f"commit {commit[:9]} of protos/baseline", commit)


def unpack(commit: str, folder: Path, paths: Sequence[str]) -> None:
    """Write files of a commit into a folder."""
    done = subprocess.run(
        ["git", "archive", "--format=tar", commit, "--", *paths], cwd=ROOT, capture_output=True, check=True
    )
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")


def _git(*arguments: str) -> str:
    """Return what git says; nothing if it fails, or there is none."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
        )
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""


def main() -> None:
    """Say what it is."""
    try:
        found = baseline()
    except LookupError as error:
        sys.exit(f"no baseline: {error}")
    print(f"{found.name} {found.commit}")


if __name__ == "__main__":
    main()
