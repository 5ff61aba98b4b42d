# SPDX-License-Identifier: BSD-3-Clause
"""Moving datasets by the program ``butler``, embedded and served; docs/how-to/move-repositories.md is true."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from butler import Butler, CollectionType, DatasetType
from tests.support.contents import contents_of
from tools.servers.process import running, wait_until

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "how-to" / "move-repositories.md").read_text()
COMMAND = (sys.executable, "-m", "butler.cli")
RUN = "HSC/runs/RC2"
VISITS = (1, 2)
DETECTORS = (10, 11)


@dataclass(frozen=True)
class Pair:
    """A repository with eight datasets, and an empty one."""

    full: str
    empty: str


def fill(root: str) -> None:
    """Put datasets of two types, and tag some."""
    with Butler(root, run=RUN) as butler:
        insert = butler.registry.insertDimensionData
        insert("instrument", {"name": "HSC", "visit_max": 9, "exposure_max": 9, "detector_max": 99})
        insert("physical_filter", {"instrument": "HSC", "name": "HSC-R", "band": "r"})
        insert("detector", *({"instrument": "HSC", "id": n, "full_name": f"1_{n}"} for n in (*DETECTORS, 12)))
        insert("day_obs", {"instrument": "HSC", "id": 20200101})
        shared = {"instrument": "HSC", "physical_filter": "HSC-R", "day_obs": 20200101}
        insert("visit", *({**shared, "id": visit, "name": f"v{visit}"} for visit in VISITS))
        for name in ("calexp", "calexpBackground"):
            butler.registry.registerDatasetType(
                DatasetType(name, ["visit", "detector"], "Bytes", universe=butler.dimensions)
            )
            refs = [
                butler.put(
                    b"%d-%d" % (visit, detector), name, instrument="HSC", visit=visit, detector=detector
                )
                for visit in VISITS
                for detector in DETECTORS
            ]
            butler.collections.register(f"tags/{name}", CollectionType.TAGGED)
            butler.registry.associate(f"tags/{name}", refs[:2])
        butler.collections.register("chain", CollectionType.CHAINED)
        butler.collections.redefine_chain("chain", ["tags/calexp", RUN])


def served_address(log: Path) -> str | None:
    """Return the address that ``butler serve`` printed, once it has."""
    found = re.search(r"grpc://\S+", log.read_text())
    return None if found is None else found[0]


@pytest.fixture(params=["embedded", "served"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    """Give what REPO and OTHER are on the command line."""
    if request.param == "embedded":
        made = Pair(str(tmp_path / "full"), str(tmp_path / "empty"))
        Butler.makeRepo(made.full)
        Butler.makeRepo(made.empty)
        fill(made.full)
        yield made
        return
    command = [*COMMAND, "serve", "--data-root", str(tmp_path / "data"), "--repository", "full", "--create"]
    log = tmp_path / "log"
    with running([*command, "--address", "127.0.0.1:0"], log=log) as server:
        wait_until(lambda: served_address(log) is not None, server, seconds=30)
        address = served_address(log) or ""
        made = Pair(address, address.removesuffix("full") + "empty")
        Butler.makeRepo(made.empty)
        fill(made.full)
        yield made


def butler(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the program and return what it printed and how it ended."""
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def objects(*arguments: str | Path) -> list[dict[str, object]]:
    """Run the program with ``--json``; it must succeed. Return the objects that it printed."""
    done = butler(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_an_export_of_everything_is_imported(pair: Pair, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ("export", pair.full, "--directory", out, "--dimensions", "*")
    planned = objects(*arguments, "--dry-run")
    assert not out.exists()
    assert objects(*arguments) == planned
    assert {"kind": "datasets", "name": "calexp", "count": 4} in planned
    assert {"kind": "collections", "name": "TAGGED", "count": 2} in planned
    objects("import", pair.empty, out / "export.yaml", "--transfer", "move")
    assert not [path for path in out.rglob("*") if path.is_file() and path.name != "export.yaml"]
    with Butler(pair.full) as full, Butler(pair.empty) as empty:
        assert contents_of(empty) == contents_of(full)


def test_an_export_of_a_query_has_its_datasets_and_the_members_of_its_chains(
    pair: Pair, tmp_path: Path
) -> None:
    where = "instrument = 'HSC' AND visit = 1 AND detector = 10"
    arguments = ("export", pair.full, "--directory", tmp_path / "out", "--collections", "chain")
    counts = objects(*arguments, "--find-first", "-d", "calexp", "--where", where, "-t", "none")
    assert counts == [
        {"kind": "datasets", "name": "calexp", "count": 1},
        {"kind": "collections", "name": "CHAINED", "count": 1},
        {"kind": "collections", "name": "RUN", "count": 1},
        {"kind": "collections", "name": "TAGGED", "count": 1},
    ]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["export.yaml"]


def test_datasets_are_taken_over_and_a_repeat_takes_none(pair: Pair) -> None:
    arguments = ("transfer-datasets", pair.full, pair.empty, "-d", "calexp")
    new = [{"type": "calexp", "found": 4, "new": 4, "missing": 0}]
    assert objects(*arguments, "--dry-run") == new
    done = butler(*arguments, "--no-register-dataset-types")
    assert (done.returncode, "'calexp'" in done.stderr) == (3, True)
    assert objects(*arguments) == new
    assert objects(*arguments) == [{**new[0], "new": 0}]
    with Butler(pair.empty, collections=RUN) as empty:
        assert empty.get("calexp", instrument="HSC", visit=2, detector=11) == b"2-11"


def test_what_cannot_be_moved_is_refused_by_exit_code(pair: Pair, tmp_path: Path) -> None:
    done = butler("export", pair.full, "--directory", tmp_path / "out", "--dimensions", "colour")
    assert (done.returncode, "'colour'" in done.stderr) == (5, True)
    done = butler("export", pair.full, "--directory", tmp_path / "out", "--filename", "e.json")
    assert (done.returncode, "json" in done.stderr) == (5, True)
    done = butler("export", pair.full, "--directory", tmp_path / "out", "--collections", "nowhere")
    assert (done.returncode, "nowhere" in done.stderr) == (3, True)
    assert not (tmp_path / "out").exists()
    done = butler("transfer-datasets", pair.full, str(tmp_path / "nowhere"))
    assert (done.returncode, "nowhere" in done.stderr) == (3, True)


def test_the_commands_of_the_document_do_what_it_says(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "butler"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m butler.cli "$@"\n')
    program.chmod(0o755)
    environment = {
        **os.environ,
        "REPO": pair.full,
        "OTHER": pair.empty,
        "PATH": f"{program.parent}:{os.environ['PATH']}",
    }
    # What the document has the older library write; tests/integration/test_older_library.py has it do so.
    butler("export", pair.full, "--directory", tmp_path / "moving", "-d", "calexpBackground")
    for block in re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL):
        subprocess.run(["sh", "-ec", block], cwd=tmp_path, env=environment, timeout=120, check=True)
    assert (tmp_path / "everything" / "export.yaml").exists()
    _, *codes = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    shown = "\n".join([f"REPO, OTHER = {pair.full!r}, {pair.empty!r}", *codes, "print(len(refs), len(new))"])
    done = subprocess.run(
        [sys.executable, "-c", shown],
        cwd=tmp_path,
        env=environment,
        timeout=60,
        check=True,
        capture_output=True,
    )
    assert done.stdout == b"4 0\n"
    assert len(list((tmp_path / "calexps").rglob("*.bin"))) == 2
    with Butler(pair.empty) as empty:
        assert len(empty.query_all_datasets("*", find_first=False)) == 8
