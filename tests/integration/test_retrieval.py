# SPDX-License-Identifier: BSD-3-Clause
"""Getting files out by the program ``butler``, embedded and served; docs/how-to/get-files-out.md is true."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from butler import Butler, DatasetType
from tools.servers.process import running, wait_until

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "how-to" / "get-files-out.md").read_text()
COMMAND = (sys.executable, "-m", "butler.cli")
RUN = "HSC/runs/RC2"
LARGE = bytes(range(256)) * 4000
VISITS = range(1, 4)
DETECTORS = (10, 11)


def content_of(visit: int, detector: int) -> bytes:
    """Return the bytes of a calexp; those of detector 10 are too many for a batch."""
    return b"%d" % visit + (LARGE if detector == 10 else b"small")


def fill(root: str) -> None:
    """Put datasets of two types of bytes."""
    with Butler(root, run=RUN) as butler:
        insert = butler.registry.insertDimensionData
        insert("instrument", {"name": "HSC", "visit_max": 9, "exposure_max": 9, "detector_max": 99})
        insert("physical_filter", {"instrument": "HSC", "name": "HSC-R", "band": "r"})
        insert("detector", *({"instrument": "HSC", "id": n, "full_name": f"1_{n}"} for n in DETECTORS))
        insert("day_obs", {"instrument": "HSC", "id": 20200101})
        shared = {"instrument": "HSC", "physical_filter": "HSC-R", "day_obs": 20200101}
        insert("visit", *({**shared, "id": visit, "name": f"v{visit}"} for visit in VISITS))
        for name in ("calexp", "calexpBackground"):
            butler.registry.registerDatasetType(
                DatasetType(name, ["visit", "detector"], "Bytes", universe=butler.dimensions)
            )
            for visit in VISITS:
                for detector in DETECTORS:
                    data_id = {"instrument": "HSC", "visit": visit, "detector": detector}
                    butler.put(content_of(visit, detector), name, data_id)


def served_address(log: Path) -> str | None:
    """Return the address that ``butler serve`` printed, once it has."""
    found = re.search(r"grpc://\S+", log.read_text())
    return None if found is None else found[0]


@pytest.fixture(scope="module", params=["embedded", "served"])
def repository(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give what REPO is on the command line, for a repository with twelve datasets."""
    folder = tmp_path_factory.mktemp("repository")
    if request.param == "embedded":
        root = str(folder / "repo")
        Butler.makeRepo(root)
        fill(root)
        yield root
        return
    command = [*COMMAND, "serve", "--data-root", str(folder / "data"), "--repository", "demo", "--create"]
    log = folder / "log"
    with running([*command, "--address", "127.0.0.1:0"], log=log) as server:
        wait_until(lambda: served_address(log) is not None, server, seconds=30)
        address = served_address(log) or ""
        fill(address)
        yield address


def butler(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the program and return what it printed and how it ended."""
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **variables}, timeout=60, check=False
    )


def objects(*arguments: str | Path, **variables: str) -> list[dict[str, object]]:
    """Run the program with ``--json``; it must succeed. Return the objects that it printed."""
    done = butler(*arguments, "--json", **variables)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_files_are_written_and_listed_and_a_repeat_writes_none(repository: str, tmp_path: Path) -> None:
    arguments = ("retrieve-artifacts", repository, tmp_path / "out", "-d", "calexp", "--collections", RUN)
    first = objects(*arguments)
    assert len(first) == 6
    assert sorted(str(each["file"]) for each in first) == list(map(str, files_below(tmp_path / "out")))
    assert {str(each["type"]) for each in first} == {"calexp"}
    assert sum(Path(str(each["file"])).stat().st_size == each["size"] for each in first) == 6
    assert sorted(Path(str(each["file"])).read_bytes() for each in first) == sorted(
        content_of(visit, detector) for visit in VISITS for detector in DETECTORS
    )
    assert all(each["is_new"] for each in first)
    assert objects(*arguments) == [{**each, "is_new": False} for each in first]


def test_a_dry_run_counts_and_writes_nothing(repository: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = (
        "retrieve-artifacts",
        repository,
        out,
        "--where",
        "instrument = 'HSC' AND visit = 2 AND detector = 10",
    )
    size = len(content_of(2, 10))
    counts = [
        {"type": name, "files": 1, "size": size, "present": 0} for name in ("calexp", "calexpBackground")
    ]
    assert objects(*arguments, "--dry-run") == counts
    assert not out.exists()
    done = butler(*arguments, "--dry-run")
    assert f"2 files ({2 * size:,} bytes) would be written." in done.stderr
    objects(*arguments, "--dataset-type", "calexp")
    assert objects(*arguments, "--dry-run")[0] == {"type": "calexp", "files": 0, "size": 0, "present": 1}


def test_a_limit_takes_so_many_and_says_that_there_are_more(repository: str, tmp_path: Path) -> None:
    done = butler("retrieve-artifacts", repository, tmp_path, "--limit", "2", "--no-preserve-path")
    assert done.returncode == 0
    assert "Only the first 2 datasets are taken" in done.stderr
    assert "2 files" in done.stderr
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_with_other_bytes_is_a_conflict(repository: str, tmp_path: Path) -> None:
    arguments = (
        "retrieve-artifacts",
        repository,
        tmp_path,
        "-d",
        "calexp",
        "--where",
        "instrument = 'HSC' AND visit = 1",
    )
    target = Path(str(objects(*arguments)[0]["file"]))
    expected = target.read_bytes()
    target.write_bytes(b"other")
    done = butler(*arguments)
    assert (done.returncode, str(target) in done.stderr) == (4, True)
    assert target.read_bytes() == b"other"
    assert [each["is_new"] for each in objects(*arguments, "--overwrite")].count(True) == 1
    assert target.read_bytes() == expected


def test_a_search_without_an_order_is_refused_and_nothing_found_is_said(
    repository: str, tmp_path: Path
) -> None:
    done = butler("retrieve-artifacts", repository, tmp_path / "out", "--find-first")
    assert (done.returncode, "--collections" in done.stderr) == (2, True)
    done = butler("retrieve-artifacts", repository, tmp_path / "out", "-d", "nothing*")
    assert done.returncode == 0
    assert "There are no such datasets." in done.stderr
    assert not (tmp_path / "out").exists()


def test_what_a_killed_program_left_is_completed_by_the_next(repository: str, tmp_path: Path) -> None:
    arguments = ("retrieve-artifacts", repository, str(tmp_path), "-d", "calexp")
    program = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 30
    while program.poll() is None and not files_below(tmp_path) and time.monotonic() < end:
        time.sleep(0.001)
    program.send_signal(signal.SIGKILL)
    program.wait(30)
    whole = {content_of(visit, detector) for visit in VISITS for detector in DETECTORS}
    named = [path for path in files_below(tmp_path) if not path.name.startswith(".butler-")]
    assert all(path.read_bytes() in whole for path in named)
    assert {Path(str(each["file"])).read_bytes() for each in objects(*arguments)} == whole


def test_programs_share_the_cache_of_a_service(repository: str, tmp_path: Path) -> None:
    variables = {"BUTLER_CACHE_DIR": str(tmp_path / "cache"), "BUTLER_CACHE_EXPIRATION": "files=2"}
    read = (
        f"from butler import Butler; b = Butler({repository!r}, collections={RUN!r}); "
        "[b.get('calexp', instrument='HSC', visit=visit, detector=10) for visit in (1, 2, 3)]"
    )
    subprocess.run([sys.executable, "-c", read], env={**os.environ, **variables}, timeout=60, check=True)
    kept = 2 if repository.startswith("grpc:") else 0
    expected = {"directory": str(tmp_path / "cache"), "files": kept, "size": kept * len(content_of(1, 10))}
    assert objects("cache", "status", **variables) == [{**expected, "expiration": "files=2"}]
    assert objects("cache", "clear", **variables) == [expected]
    assert objects("cache", "clear", **variables) == [{**expected, "files": 0, "size": 0}]


def test_a_malformed_expiration_is_refused_with_the_accepted_form() -> None:
    done = butler("cache", "status", BUTLER_CACHE_EXPIRATION="10GB")
    assert (done.returncode, "size=BYTES" in done.stderr) == (5, True)


def test_the_commands_of_the_document_do_what_it_says(repository: str, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "butler"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m butler.cli "$@"\n')
    program.chmod(0o755)
    environment = {
        **os.environ,
        "REPO": repository,
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "BUTLER_CACHE_DIR": str(tmp_path / "cache"),
    }
    for block in re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL):
        subprocess.run(["sh", "-ec", block], cwd=tmp_path, env=environment, timeout=60, check=True)
    assert len(files_below(tmp_path / "out")) == 6
    listed = [
        json.loads(line) for line in (tmp_path / "flat" / ".." / "files.jsonl").read_text().splitlines()
    ]
    assert sorted(each["file"] for each in listed) == list(map(str, files_below(tmp_path / "flat")))
    assert len(listed) == 6
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    shown = f"REPO = {repository!r}\n{code}\nprint(len(paths))"
    done = subprocess.run(
        [sys.executable, "-c", shown],
        cwd=tmp_path,
        env=environment,
        timeout=60,
        check=True,
        capture_output=True,
    )
    assert done.stdout == b"2\n"
