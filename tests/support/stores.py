# SPDX-License-Identifier: BSD-3-Clause
"""Every kind of store, ready to be tested, from other processes too."""

from __future__ import annotations

__all__ = [
    "NO_LIMIT",
    "STORES",
    "WRITE",
    "files",
    "in_another_process",
    "killed_in_the_middle",
    "opening",
    "read",
]

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from butler_datastore.stores.posix import PosixStore
from butler_datastore.stores.store import Store
from tools.servers.process import ROOT

NO_LIMIT = 2**62


def _durable(root: Path) -> Store:
    return PosixStore(str(root))


def _fast(root: Path) -> Store:
    return PosixStore(str(root), durable=False)


STORES: dict[str, Callable[[Path], Store]] = {"posix": _durable, "posix, not durable": _fast}
"""Opens the store of each kind that has its artifacts at a place."""

WRITE = """
def chunks():
    yield bytes(3_000_000)
    print("writing", flush=True)
    sys.stdin.read()
store.write("run/a", chunks(), 2**40)
"""
"""A program that is in the middle of writing ``run/a`` when it prints ``writing``."""

_OPEN = """
import sys, pathlib
from tests.support.stores import STORES
store = STORES[sys.argv[1]](pathlib.Path(sys.argv[2]))
"""


def read(store: Store, key: str, size: int) -> bytes:
    """Return all bytes of an artifact."""
    return b"".join(store.read(key, 0, None, size=size))


def files(place: Path) -> list[str]:
    """Return all files below a directory, temporary ones too."""
    return sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file())


def opening(code: str) -> str:
    """Return a program that opens the store of the kind and place given to it, and does something with ``store``."""
    return f"{_OPEN}\n{code}"


def in_another_process(kind: str, place: Path, code: str) -> subprocess.Popen[str]:
    """Start a process that opens a store and does something with the variable ``store``."""
    command = [sys.executable, "-c", opening(code), kind, str(place)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def killed_in_the_middle(kind: str, place: Path, code: str) -> None:
    """Run a program until it prints ``writing``, and kill it."""
    with in_another_process(kind, place, code) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        writer.kill()
