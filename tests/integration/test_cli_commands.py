# SPDX-License-Identifier: BSD-3-Clause
"""Every command of ``butler`` as a process, on an embedded repository and on one that is served.

A command that has no case here makes the last test fail.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
import lsst.sphgeom
import pytest
from rich.cells import cell_len

from butler import Butler, CollectionType, DatasetType
from butler.cli.main import COMMANDS, program
from tests.support.command_line import COMMAND, butler, environment, on_terminal, served
from tests.support.survey import insert_survey, register_types

RUNS = ("run1", "run2", "pruned", "removed", "gone", "trashed", "restored")


def fill(address: str) -> None:
    """Put a note of each detector into each run; make a tag, a chain, and a type of calibrations."""
    with Butler(address, writeable=True) as filled:
        insert_survey(filled)
        register_types(filled)
        for run in RUNS:
            filled.registry.registerRun(run)
            filled.put_many(
                [({"n": n}, "note", {"instrument": "Cam1", "detector": n}) for n in (1, 2)], run=run
            )
        somewhere = lsst.sphgeom.Circle(
            lsst.sphgeom.UnitVector3d(lsst.sphgeom.LonLat.fromDegrees(10, 10)),
            lsst.sphgeom.Angle.fromDegrees(1),
        )
        filled.registry.insertDimensionData("tract", {"skymap": "Sky1", "id": 1, "region": somewhere})
        bias = DatasetType(
            "bias", ["instrument", "detector"], "Text", universe=filled.dimensions, isCalibration=True
        )
        filled.registry.registerDatasetType(bias)
        filled.put("b", "bias", instrument="Cam1", detector=1, run="run1")
        for name, kind in (("chain", CollectionType.CHAINED), ("tag", CollectionType.TAGGED)):
            filled.registry.registerCollection(name, kind)
        filled.registry.setCollectionChain("chain", ["run2", "run1"])
        for run in ("trashed", "restored"):
            filled.removeRuns([run], purge_after=3_600)


@dataclass(frozen=True)
class Place:
    """A repository with some datasets, an empty one, and files that commands take.

    Attributes
    ----------
    root
        The directory that is served, or the repository itself.
    """

    address: str
    other: str
    new: str
    root: Path
    folder: Path

    def words(self, text: str) -> list[str]:
        """Return arguments with addresses and paths in their places."""
        places = {"REPO": self.address, "OTHER": self.other, "NEW": self.new, "DIR": str(self.folder)}
        return [re.sub("REPO|OTHER|NEW|DIR", lambda found: places[found[0]], word) for word in text.split()]

    def trash_id(self) -> str:
        """Return the id of the trash of the run that is to come back."""
        with Butler(self.address) as opened:
            return next(str(entry.trash_id) for entry in opened.trash.entries() if entry.run == "restored")


@pytest.fixture(scope="module", params=["embedded", "served"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("commands")
    (folder / "note.json").write_text('{"n": 3}')
    (folder / "blob.bin").write_bytes(b"four")
    (folder / "files.csv").write_text(f"file,detector\n{folder}/blob.bin,4\n")
    (folder / "stores.yaml").write_text("main: {root: <butlerRoot>/data}\n")
    (folder / "composites.yaml").write_text("default: true\n")
    if request.param == "embedded":
        Butler.makeRepo(folder / "repo")
        Butler.makeRepo(folder / "other")
        made = Place(
            str(folder / "repo"), str(folder / "other"), str(folder / "new"), folder / "repo", folder
        )
        fill(made.address)
        yield made
        return
    with served(folder / "data", folder / "log") as address:
        service = address.removesuffix("demo")
        Butler.makeRepo(f"{service}other")
        fill(address)
        yield Place(address, f"{service}other", f"{service}new", folder / "data", folder)


@dataclass(frozen=True)
class Case:
    """A command line, and what must come of it.

    Attributes
    ----------
    arguments
        After the name of the command, with ``REPO``, ``OTHER``, ``NEW``, ``DIR`` and ``TRASH`` to be replaced.
    said
        What the output must hold.
    is_table
        Whether it prints several records, as a table.
    json
        Whether it is given ``--json``, and must print JSON.
    """

    arguments: str
    said: Sequence[str] = ()
    is_table: bool = False
    json: bool = True
    answer: str = field(default="", kw_only=True)


CASES = {
    "create": Case("NEW --composites DIR/composites.yaml", ["daf_butler 8"]),
    "config-dump": Case("REPO", []),
    "config-validate": Case("REPO -d note", []),
    "import": Case("OTHER DIR/exported/export.yaml", ['"note"'], True),
    "export": Case("REPO --directory DIR/again -d note --collections run1", ['"note"', '"count": 2'], True),
    "transfer-datasets": Case("REPO OTHER -d note --collections run2", ['"new": 2'], True),
    "register-dataset-type": Case("REPO new_type Text instrument --is-calibration", ['"is_new": true']),
    "remove-dataset-type": Case("REPO frame", ['"frame"']),
    "collections list": Case("REPO run*", ['"run1"', '"run2"'], True),
    "collections register": Case("REPO u/me/run --doc mine", ['"is_new": true']),
    "collection-chain": Case("REPO chain tag --mode prepend", ['["tag", "run2", "run1"]']),
    "associate": Case("REPO tag -d note --collections run1", ['"datasets": 2']),
    "certify-calibrations": Case(
        "REPO run1 calib bias --begin-date 2021-03-04T12:00:00", ['"datasets": 1', '"is_new": true']
    ),
    "ingest-files": Case(
        "REPO blob ingested DIR/files.csv --data-id instrument=Cam1 -t copy", ['"files": 1', '"datasets": 1']
    ),
    "put-file": Case("REPO DIR/note.json note instrument=Cam1 detector=3 --run run1", ['"detector": 3']),
    "get-file": Case("REPO note instrument=Cam1 detector=1 --collections run1 -o DIR/got", ["sha256:"]),
    "retrieve-artifacts": Case("REPO DIR/retrieved -d note --collections run2", ['"is_new": true'], True),
    "query-collections": Case("REPO chain", ['"CHAINED"'], True),
    "query-dataset-types": Case("REPO no*", ['"StructuredDataDict"'], True),
    "query-datasets": Case("REPO note --collections run2", ['"run2"'], True),
    "query-data-ids": Case("REPO detector --data-id instrument=Cam1", ['"detector": 4'], True),
    "query-dimension-records": Case("REPO detector instrument=Cam1", ['"Aa"'], True),
    "plot-sky": Case("REPO tract -o DIR/sky.svg", []),
    "stats": Case("REPO --by type,run --runs run2", ['"datasets": 2'], True),
    "prune-datasets": Case("REPO pruned --purge pruned --no-confirm", ['"datasets": 2']),
    "prune-collection": Case("REPO gone --purge --unstore", ['"datasets": 2'], answer="y\n"),
    "remove-runs": Case("REPO removed", ['"deleted": 2'], answer="y\n"),
    "remove-collections": Case("REPO u/nobody/tag --no-confirm", ['"TAGGED"'], True),
    "trash list": Case("REPO --limit 2", ['"trashed"'], True),
    "trash undelete": Case("REPO --trash-id TRASH", ['"artifacts": 2']),
    "empty-trash": Case("REPO --dry-run", ['"due": 0']),
    "fsck": Case("REPO", []),
    "verify": Case("REPO", []),
    "cache status": Case("", []),
    "cache clear": Case("", []),
    "serve": Case("", []),
    "ping": Case("REPO", ['"registry_ms"']),
    "completion": Case("bash", ["_butler"], json=False),
    "version": Case("", ['"butler-registry"']),
}
"""By what is typed after ``butler``."""
TABLES = [name for name, case in CASES.items() if case.is_table]
OF_SECURED_SERVICES = {
    f"{name} {part}"
    for name, parts in (
        ("access", ("list", "grant", "revoke")),
        ("quota", ("list", "set", "remove")),
        ("token", ("list", "create", "revoke")),
    )
    for part in parts
}
"""Only services that know their callers have them; another module tests them."""
BY_THEMSELVES = {
    "serve": "test_a_service_answers_until_it_is_told_to_stop",
    "trash undelete": "test_what_is_in_the_trash_is_restored",
}


def prepare(place: Place, name: str) -> None:
    """Make what a case needs to be there, whichever cases came before."""
    with Butler(place.address, writeable=True) as opened:
        if name == "remove-collections":
            opened.registry.registerCollection("u/nobody/tag", CollectionType.TAGGED)
        if name == "import":
            with opened.export(
                directory=place.folder / "exported", filename="export.yaml", transfer="copy"
            ) as out:
                out.saveDatasets(opened.registry.queryDatasets("note", collections="run1"))


@pytest.mark.parametrize("name", [name for name in CASES if name not in BY_THEMSELVES])
def test_a_command_does_what_it_says_and_prints_json(place: Place, name: str) -> None:
    case = CASES[name]
    if name in ("import", "remove-collections"):
        prepare(place, name)
    words = [*name.split(), *place.words(case.arguments), *(["--json"] if case.json else [])]
    done = subprocess.run(
        [*COMMAND, *words],
        input=case.answer,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=120,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert [said for said in case.said if said not in done.stdout] == [], done.stdout
    if case.json:
        for line in done.stdout.splitlines():
            json.loads(line)


def test_what_is_in_the_trash_is_restored(place: Place) -> None:
    done = butler("trash", "undelete", place.address, "--trash-id", place.trash_id(), "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"artifacts": 2}), done.stderr


@pytest.mark.parametrize("name", ["serve"])
def test_a_service_answers_until_it_is_told_to_stop(place: Place, name: str, tmp_path: Path) -> None:
    # A repository that exists, or a new one in the directory of a service that runs: SQLite allows both.
    new = [] if place.root.name == "repo" else ["--repository", "second", "--create"]
    command = [*COMMAND, name, "--data-root", str(place.root), *new, "--address", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split()[-1]
            with Butler(address) as opened:
                assert ("chain" in opened.registry.queryCollections()) is not bool(new)
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        finally:
            process.kill()


@pytest.mark.parametrize("place", ["served"], indirect=True)
@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_40_columns_is_whole(place: Place, name: str) -> None:
    if name in ("import", "remove-collections"):
        prepare(place, name)
    shown = on_terminal(40, *COMMAND, *name.split(), *place.words(CASES[name].arguments))
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in shown.replace("\r", "").splitlines()]
    assert "Traceback" not in shown
    if any("───" in line for line in lines):
        # What is drawn as a table fits; what does not fit has a line for each field, which may be long.
        table = [line for line in lines if not line.endswith((".", ","))]
        assert [line for line in table if cell_len(line) > 40] == []
    assert lines


def test_every_command_has_a_case_here() -> None:
    context = click.Context(program)
    leaves = set()
    for name in COMMANDS:
        command = program.get_command(context, name)
        assert command is not None
        parts = getattr(command, "commands", None)
        leaves |= {name} if parts is None else {f"{name} {part}" for part in parts}
    secured = (Path(__file__).parent / "test_secured_services.py").read_text(encoding="utf-8")
    elsewhere = {name for name in OF_SECURED_SERVICES if '"{}", "{}"'.format(*name.split()) in secured}
    assert leaves == CASES.keys() | elsewhere
