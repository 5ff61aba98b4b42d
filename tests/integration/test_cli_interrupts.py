# SPDX-License-Identifier: BSD-3-Clause
"""Ctrl-C in the middle of each long command: one line, exit code 130, and the command can be repeated."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from butler import Butler, DatasetType
from tests.support.command_line import COMMAND, butler, environment
from tests.support.survey import insert_survey, register_types

DATASETS = 1_500
"""So many that nothing that goes through them is over at once."""
FILES = 40
LARGE = 256 * 2**20


@dataclass(frozen=True)
class Work:
    """A command, and how to know that it is in the middle.

    Attributes
    ----------
    arguments
        After ``butler``, with ``REPO``, ``EMPTY`` and ``DIR`` to be replaced.
    point
        The failpoint at which it waits; if absent, it is in the middle once ``begun`` says so.
    begun
        Given the directory and the process.
    repeated
        What it says when it is repeated, and succeeds.
    """

    arguments: str
    repeated: str
    point: str = ""
    begun: Callable[[Path, int], bool] = lambda folder, pid: False


def has_files(name: str) -> Callable[[Path, int], bool]:
    """Return whether there is any file below a directory."""
    return lambda folder, pid: any(path.is_file() for path in (folder / name).rglob("*.bin"))


def has_database_open(folder: Path, pid: int) -> bool:
    """Return whether the process has opened the registry."""
    for link in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            if os.readlink(link).endswith("main.sqlite3"):
                return True
        except OSError:
            continue
    return False


WORK = {
    "export": Work(
        "export REPO --directory DIR/out -d blob", "1,500 datasets were exported", begun=has_files("out")
    ),
    "import": Work("import EMPTY DIR/export/export.yaml", "Imported", point="put.upload_0"),
    "transfer-datasets": Work(
        "transfer-datasets REPO EMPTY -d blob -t copy", "taken over", point="put.upload_0"
    ),
    "put-file": Work(
        "put-file REPO DIR/1.json blob instrument=Cam1 detector=1 --run run2", "blob", point="put.upload_0"
    ),
    "get-file": Work(
        "get-file REPO large instrument=Cam1 --collections large -o DIR/got/large.bin",
        "268435456",
        begun=lambda folder, pid: any(each.stat().st_size for each in (folder / "got").glob(".large.bin.*")),
    ),
    "retrieve-artifacts": Work(
        "retrieve-artifacts REPO DIR/files -d blob", "files", begun=has_files("files")
    ),
    "ingest-files": Work(
        "ingest-files REPO note ingested DIR/files.csv --data-id instrument=Cam1 -t copy",
        "ingested",
        point="ingest.before_registration",
    ),
    "remove-runs": Work("remove-runs REPO run1 --no-confirm", "datasets", point="prune.before_commit"),
    "prune-datasets": Work(
        "prune-datasets REPO run2 --purge run2 --no-confirm",
        "datasets",
        point="prune.client_between_trash_and_empty",
    ),
    # What it had claimed stays claimed until the lease ends; the datastore deletes it then.
    "empty-trash": Work(
        "empty-trash REPO --no-confirm", "in the trash is due", point="empty_trash.after_k_deletes"
    ),
    "verify": Work("verify REPO", "0 findings", begun=has_database_open),
    "fsck": Work("fsck REPO", "0 findings", begun=has_database_open),
}


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a directory with a repository of many datasets, and an export of some."""
    folder = tmp_path_factory.mktemp("interrupts")
    stores = {"main": {"root": "<butlerRoot>", "durable": False}}
    Butler.makeRepo(folder / "repo", stores=stores)
    with Butler(folder / "repo", writeable=True) as made:
        insert_survey(made)
        register_types(made)
        numbers = range(5, DATASETS + 1)
        made.registry.insertDimensionData(
            "detector", *({"instrument": "Cam1", "id": n, "full_name": f"N{n}"} for n in numbers)
        )
        for run, most in (("run0", DATASETS), ("run1", FILES), ("run2", FILES), ("run3", FILES)):
            made.registry.registerRun(run)
            data_ids = [{"instrument": "Cam1", "detector": n} for n in range(1, most + 1)]
            if run == "run0":
                made.put_many([(b"%d" % n, "blob", each) for n, each in enumerate(data_ids)], run=run)
            else:
                made.put_many([({"n": n}, "note", each) for n, each in enumerate(data_ids)], run=run)
        made.registry.registerDatasetType(
            DatasetType("large", ("instrument",), "Bytes", universe=made.dimensions)
        )
        made.registry.registerRun("large")
        made.put(bytes(LARGE), "large", instrument="Cam1", run="large")
        with made.export(directory=folder / "export", filename="export.yaml", transfer="copy") as out:
            out.saveDatasets(made.registry.queryDatasets("note", collections="run1"))
        made.removeRuns(["run3"], purge_after=1)
    time.sleep(1.1)
    (folder / "got").mkdir()
    for number in range(1, FILES + 1):
        (folder / f"{number}.json").write_text("{}")
    rows = "".join(f"{folder}/{number}.json {number}\n" for number in range(1, FILES + 1))
    (folder / "files.csv").write_text(f"file detector\n{rows}")
    return folder


def interrupt(process: subprocess.Popen[str], is_in_the_middle: Callable[[], bool]) -> None:
    """Press Ctrl-C as soon as a process is in the middle of its work."""
    deadline = time.monotonic() + 20
    while not is_in_the_middle():
        assert process.poll() is None, "it was over before it could be interrupted"
        assert time.monotonic() < deadline, "it did not come to its middle"
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)


@pytest.mark.parametrize("name", WORK)
def test_a_long_command_that_is_interrupted_says_so_and_can_be_repeated(
    full: Path, tmp_path: Path, name: str
) -> None:
    work = WORK[name]
    places = {"REPO": f"{full}/repo", "EMPTY": f"{tmp_path}/empty", "DIR": str(full)}
    arguments = work.arguments
    for word, there in places.items():
        arguments = arguments.replace(word, there)
    if "EMPTY" in work.arguments:
        Butler.makeRepo(tmp_path / "empty")
        with Butler(tmp_path / "empty", writeable=True) as empty:
            insert_survey(empty)
            register_types(empty)
            empty.registry.insertDimensionData(
                "detector",
                *({"instrument": "Cam1", "id": n, "full_name": f"N{n}"} for n in range(5, FILES + 1)),
            )
    marker = tmp_path / "reached"
    variables = {"BUTLER_FAILPOINTS": f"{work.point}@1=wait:{marker}"} if work.point else {}
    with subprocess.Popen(
        [*COMMAND, *arguments.split()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**variables),
    ) as process:
        try:
            interrupt(process, lambda: marker.exists() or work.begun(full, process.pid))
            # A thread that waits at the failpoint does not hear of it.
            time.sleep(0.1)
            marker.unlink(missing_ok=True)
            _, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, errors) == (130, "Interrupted.\n")
    done = butler(*arguments.split())
    assert done.returncode == 0, done.stderr
    assert work.repeated in done.stdout + done.stderr
    assert butler("fsck", f"{full}/repo").returncode == 0
    if "DIR/got" in work.arguments:
        assert [path.name for path in (full / "got").iterdir()] == ["large.bin"]


@pytest.mark.parametrize("module", ["typing", "click._compat", "butler_model.errors", "numpy"])
def test_a_command_that_is_interrupted_while_it_is_loaded_says_so_and_nothing_else(module: str) -> None:
    """After the line by which Python tells that a module was imported; there are many more to come."""
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", *COMMAND[1:], "version"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if line.rpartition("|")[2].strip() == module:
                    process.send_signal(signal.SIGINT)
                    break
            said = [line for line in process.stderr if not line.startswith("import time:")]
            assert process.wait(20) == 130
        finally:
            process.kill()
    assert said[-1:] == ["Interrupted.\n"]
    assert "Traceback" not in "".join(said)


def test_what_was_interrupted_is_whole_once_it_was_repeated(full: Path) -> None:
    """After those of the above that this process has run, in whatever order."""
    with Butler(full / "repo") as opened:
        assert len(list(opened.registry.queryDatasets("blob", collections="run0"))) == DATASETS
    done = butler("verify", f"{full}/repo", "--json")
    assert (done.returncode, [json.loads(line) for line in done.stdout.splitlines()]) == (0, []), done.stderr
