# SPDX-License-Identifier: BSD-3-Clause
"""Generates the Python code of the wire contract, and checks that what is checked in is current.

``generate`` writes ``protos/src/butler_api/v1``, and the descriptors for Envoy (`tools.web_descriptors`); ``check``
generates elsewhere, compares, and has buf look for style and for changes that would break a client of the last release
(`tools.baseline`), or of ``main``.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from . import web_descriptors
from .baseline import baseline, unpack

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "protos"
TARGET = SOURCE / "src"
PACKAGE = Path("butler_api") / "v1"
RULES = Path("buf") / "validate"
"""The language of the rules in our protos, which others wrote."""
BINARIES = Path(sys.executable).parent
LICENCES = {PACKAGE: "BSD-3-Clause", RULES: "Apache-2.0"}
"""The folders of protos, and under which licence each is."""
SERVICE = re.compile(r"^service ", re.MULTILINE)
GENERATED = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*_pb2_grpc.pyi")


def generated_files(target: Path) -> dict[str, bytes]:
    """Return the contents of all generated files below ``target``, by their paths there."""
    return {
        path.relative_to(target).as_posix(): path.read_bytes()
        for package in LICENCES
        for pattern in GENERATED
        for path in sorted((target / package).glob(pattern))
    }


def compile_protos(protos: Sequence[Path], outputs: Sequence[str]) -> None:
    """Run the compiler with the plugins of this environment.

    Raises
    ------
    SystemExit
        If a proto does not compile.
    """
    plugins = [f"--plugin={name}={BINARIES / name}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")]
    names = [str(path.relative_to(SOURCE)) for path in protos]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{SOURCE}", *plugins, *outputs, *names]
    if subprocess.run(command, check=False).returncode:
        sys.exit("the protos do not compile")


def generate(target: Path) -> None:
    """Write messages, stubs and their types below ``target``; files of protos that are gone go too.

    Raises
    ------
    SystemExit
        If there are no protos, or one does not compile.
    """
    protos = [path for package in LICENCES for path in sorted((SOURCE / package).glob("*.proto"))]
    if not protos:
        sys.exit(f"no .proto files in {SOURCE}")
    for name in generated_files(target):
        (target / name).unlink()
    compile_protos(protos, [f"--python_out={target}", f"--mypy_out=quiet:{target}"])
    # The services and the client are synchronous, so the types need not allow for coroutines.
    stubs = [f"--grpc_python_out={target}", f"--mypy_grpc_out=quiet,only_sync:{target}"]
    compile_protos([path for path in protos if SERVICE.search(path.read_text())], stubs)
    for name, content in generated_files(target).items():
        licence = LICENCES[Path(name).parent]
        (target / name).write_bytes(f"# SPDX-License-Identifier: {licence}\n".encode() + content)


def drift() -> list[str]:
    """Return what differs between the code checked in and what the protos would generate, a line each."""
    with tempfile.TemporaryDirectory(prefix="butler-protos-") as folder:
        generate(Path(folder))
        fresh = generated_files(Path(folder))
    present = generated_files(TARGET)
    missing = [f"{name}: is not checked in" for name in sorted(fresh.keys() - present.keys())]
    orphans = [f"{name}: no proto makes it" for name in sorted(present.keys() - fresh.keys())]
    both = sorted(fresh.keys() & present.keys())
    return missing + orphans + [f"{name}: differs" for name in both if fresh[name] != present[name]]


def published() -> dict[str, str]:
    """Return the commits whose contract must not be broken, by what they are."""
    commits = {}
    try:
        found = baseline()
        commits[found.name] = found.commit
    except LookupError as error:
        print(f"the contract is not compared with that of the last release: {error}", file=sys.stderr)
    for branch in ("origin/main", "main"):
        # Where this branch began: what came to main since then is not missing here.
        begun = subprocess.run(
            ["git", "merge-base", "HEAD", branch], cwd=ROOT, capture_output=True, text=True, check=False
        ).stdout.strip()
        if begun:
            commits[branch] = begun
            break
    return commits


def breaks(commit: str) -> bool:
    """Tell whether buf finds that a client of the contract of a commit would be broken."""
    with tempfile.TemporaryDirectory(prefix="butler-published-") as folder:
        # Not by buf's own way to a commit, which fetches the last fifty only.
        unpack(commit, Path(folder), ["buf.yaml", "protos"])
        done = subprocess.run([BINARIES / "buf", "breaking", "--against", folder], cwd=ROOT, check=False)
    return done.returncode != 0


def check() -> int:
    """Report drift, style and breaking changes; return how many of these there are."""
    differences = [f"{TARGET.relative_to(ROOT)}/{line}" for line in drift()]
    described = web_descriptors.TARGET
    if not described.exists() or described.read_bytes() != web_descriptors.descriptors():
        differences.append(f"{described.relative_to(ROOT)}: differs")
    for line in differences:
        print(line, file=sys.stderr)
    if differences:
        print("generated code is not current: run `make protos` and commit the result", file=sys.stderr)
    failures = int(bool(differences))
    failures += bool(subprocess.run([BINARIES / "buf", "lint"], cwd=ROOT, check=False).returncode)
    for name, commit in published().items():
        if breaks(commit):
            print(f"a client of the contract of {name} would be broken; see above", file=sys.stderr)
            failures += 1
    return failures


def main() -> None:
    """Run the command named on the command line."""
    match sys.argv[1:]:
        case ["generate"]:
            generate(TARGET)
            web_descriptors.TARGET.write_bytes(web_descriptors.descriptors())
        case ["check"]:
            sys.exit(min(check(), 1))
        case _:
            sys.exit("usage: python -m tools.protos generate|check")


if __name__ == "__main__":
    main()
