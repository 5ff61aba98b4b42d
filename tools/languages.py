# SPDX-License-Identifier: BSD-3-Clause
"""How the clients of ``examples/clients`` are built and started; ``build LANGUAGE …`` builds some.

Stubs are generated and programs compiled into folders ``build``, which git ignores; only Python's are checked in.
"""

from __future__ import annotations

__all__ = ["BROWSER", "LANGUAGES", "Language", "build"]

import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CLIENTS = ROOT / "examples" / "clients"
PROTOS = str(ROOT / "protos")
WEB_DESCRIPTORS = ROOT / "deploy/helm/butler/files/web.binpb"
BUF = str(Path(sys.executable).parent / "buf")
_PAUSE_SECONDS = 5
GENERATE = (BUF, "generate", PROTOS, "--template", "buf.gen.yaml")


@dataclass(frozen=True, slots=True)
class Language:
    """One client.

    Attributes
    ----------
    folder
        Where it is, and where its commands run.
    builds
        Commands that build it, in order.
    run
        What does the steps of a conformance file, given the file and an address after it.
    """

    folder: Path
    builds: tuple[tuple[str, ...], ...]
    run: tuple[str, ...]


LANGUAGES: Mapping[str, Language] = {
    "python": Language(ROOT, (), (sys.executable, "-m", "examples.clients.python.conformance")),
    "go": Language(
        CLIENTS / "go",
        (GENERATE, ("go", "build", "-o", "build/", "./cmd/...")),
        ("build/butler-client", "conformance"),
    ),
    "typescript": Language(
        CLIENTS / "typescript",
        (("npm", "ci"), GENERATE, ("npm", "run", "build")),
        ("node", "build/js/src/conformance.js", "conformance"),
    ),
    "java": Language(
        CLIENTS / "java",
        (("mvn", "-q", "-B", "process-classes"),),
        ("java", "-cp", "target/classes:target/libraries/*", "example.butler.Conformance", "conformance"),
    ),
    "rust": Language(
        CLIENTS / "rust",
        (
            ("mkdir", "-p", "build"),
            (BUF, "build", PROTOS, "-o", "build/api.binpb"),
            ("cargo", "build", "--quiet"),
        ),
        ("target/debug/butler-client", "conformance"),
    ),
}


BROWSER = Language(
    CLIENTS / "browser",
    (
        ("npm", "ci"),
        # Of what Envoy has, which comes without the rules beside the fields.
        (BUF, "generate", str(WEB_DESCRIPTORS), "--template", "buf.gen.yaml"),
        ("npm", "run", "build"),
    ),
    ("node", "build/look.mjs"),
)
"""A page, which only reads, and comes through Envoy; what is run looks into a collection without a page."""


def build(language: Language) -> None:
    """Build a client.

    Raises
    ------
    subprocess.CalledProcessError
        If a command fails twice: what it fetches does not always come.
    """
    for command in language.builds:
        if subprocess.run(command, cwd=language.folder, check=False).returncode:
            time.sleep(_PAUSE_SECONDS)
            subprocess.run(command, cwd=language.folder, check=True)


def main() -> None:
    """Build what the command line names."""
    known = {**LANGUAGES, "browser": BROWSER}
    match sys.argv[1:]:
        case ["build", *names] if names and set(names) <= known.keys():
            for name in names:
                build(known[name])
        case _:
            sys.exit(f"usage: languages.py build {'|'.join(known)} …")


if __name__ == "__main__":
    main()
