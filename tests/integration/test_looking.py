# SPDX-License-Identifier: BSD-3-Clause
"""The commands that show what a repository holds: as a tree, as counts, and on the sky."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import lsst.sphgeom
import pytest
from rich.cells import cell_len

from butler import Butler, CollectionType, DatasetType
from butler.cli.main import main
from tests.support.command_line import COMMAND, butler, objects, on_terminal, served, succeeded

RUN = "HSC/runs/RC2/w_2021_14"
DOC = "Défauts – 標準, 探す順序"


def fill(address: str) -> None:
    """Put two chains, some visits and three datasets into a repository."""
    with Butler(address, run=RUN) as filled:
        insert = filled.registry.insertDimensionData
        insert("instrument", {"name": "Cam"})
        insert("physical_filter", *({"instrument": "Cam", "name": f"F-{b}", "band": b} for b in "gr"))
        insert("day_obs", {"instrument": "Cam", "id": 20200101})
        for visit in range(3):
            centre = lsst.sphgeom.UnitVector3d(lsst.sphgeom.LonLat.fromDegrees(359.0 + visit % 1, visit))
            insert(
                "visit",
                {
                    "instrument": "Cam",
                    "id": visit,
                    "name": f"Besuch-{visit}-é標",
                    "day_obs": 20200101,
                    "physical_filter": f"F-{'gr'[visit % 2]}",
                    "region": lsst.sphgeom.Circle(centre, lsst.sphgeom.Angle.fromDegrees(0.8)),
                },
            )
        filled.registry.registerDatasetType(DatasetType("log", ["visit"], "Text", universe=filled.dimensions))
        for visit in range(2):
            filled.put("four", "log", instrument="Cam", visit=visit)
        for name, members in (("calib", []), ("defaults", ["calib", RUN]), ("mine", ["defaults", "calib"])):
            kind = CollectionType.CHAINED if members else CollectionType.CALIBRATION
            filled.collections.register(name, kind, DOC if name == "defaults" else None)
            if members:
                filled.collections.redefine_chain(name, members)


def plain(shown: str) -> str:
    """Return what a terminal showed without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", shown)


def width(line: str) -> int:
    """Return how many columns of a terminal a line takes."""
    return cell_len(plain(line))


@pytest.fixture(scope="module", params=["embedded", "served"])
def repository(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("looking")
    if request.param == "embedded":
        Butler.makeRepo(folder / "repo")
        fill(str(folder / "repo"))
        yield str(folder / "repo")
        return
    with served(folder / "data", folder / "log") as address:
        fill(address)
        yield address


def test_chains_are_printed_with_their_members_beneath_them(repository: str) -> None:
    expected = [
        "mine  CHAINED",
        f"├── defaults  CHAINED  {DOC}",
        "│   ├── calib  CALIBRATION",
        f"│   └── {RUN}  RUN",
        "└── calib  CALIBRATION",
    ]
    assert succeeded("query-collections", repository).splitlines() == expected
    assert succeeded("collections", "list", repository, "--tree").splitlines() == expected
    # What is asked for stands at the top, and all that is in it beneath.
    assert succeeded("query-collections", repository, "def*").splitlines()[0] == f"defaults  CHAINED  {DOC}"


def test_a_chain_that_comes_again_is_not_repeated(tmp_path: Path) -> None:
    Butler.makeRepo(tmp_path / "repo")
    with Butler(tmp_path / "repo", writeable=True) as made:
        for name in ("a", "b", "c"):
            made.collections.register(name, CollectionType.CHAINED)
        made.collections.register("run")
        for parent, members in (("c", ["run"]), ("b", ["c"]), ("a", ["b", "c"])):
            made.collections.redefine_chain(parent, members)
    assert succeeded("query-collections", str(tmp_path / "repo")).splitlines() == [
        "a  CHAINED",
        "├── b  CHAINED",
        "│   └── c  CHAINED",
        "│       └── run  RUN",
        "└── c  CHAINED",
        "    └── …",
    ]


def test_a_flattened_chain_has_the_members_in_the_order_in_which_they_were_named(tmp_path: Path) -> None:
    repository = str(tmp_path / "repo")
    Butler.makeRepo(repository)
    with Butler(repository, writeable=True) as made:
        for name in ("a", "b", "c"):
            made.collections.register(name)
        made.collections.register("inner", CollectionType.CHAINED)
        made.collections.redefine_chain("inner", ["c", "a"])
    made_chain = objects("collection-chain", repository, "outer", "inner", "b", "--flatten")[0]
    assert made_chain["children"] == ["c", "a", "b"]
    made_chain = objects("collection-chain", repository, "outer", "b", "inner", "--flatten")[0]
    assert made_chain["children"] == ["b", "c", "a"]
    assert butler("collection-chain", repository, "other", "inner", "nothing", "--flatten").returncode == 3
    assert butler("query-collections", repository, "other").returncode == 3


def test_collections_are_also_rows_of_a_table_or_objects_and_chains_may_be_flattened(repository: str) -> None:
    assert succeeded("query-collections", repository, "--chains", "table").splitlines()[0].split() == [
        "name",
        "type",
        "children",
        "doc",
    ]
    flat = objects("query-collections", repository, "mine", "--chains", "flatten")
    assert [each["name"] for each in flat] == ["calib", RUN]
    chains = objects("query-collections", repository, "--collection-type", "chained")
    assert [(each["name"], each["doc"]) for each in chains] == [("defaults", DOC), ("mine", "")]
    assert "no such collections" in butler("query-collections", repository, "nothing*").stderr


def test_datasets_and_bytes_are_counted_by_type_run_and_store(repository: str) -> None:
    size = {"datasets": 2, "files": 2, "bytes": 8}
    assert objects("stats", repository) == [
        {"type": "log", **size},
        {"run": RUN, **size},
        {"store": "main", **size},
    ]
    assert objects("stats", repository, "--by", "type,run") == [{"type": "log", "run": RUN, **size}]
    assert objects("stats", repository, "-d", "nothing") == []
    done = butler("stats", repository)
    assert done.stderr == "2 datasets, 2 files, 8 bytes.\n"
    assert done.stdout.splitlines()[:2] == ["type  datasets  files  bytes", "log          2      2      8"]


@pytest.mark.parametrize(("ending", "begin"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_data_ids_are_drawn_on_the_sky(repository: str, tmp_path: Path, ending: str, begin: bytes) -> None:
    file = tmp_path / f"sky.{ending}"
    where = ("--where", "instrument = 'Cam'")
    printed = objects("plot-sky", repository, "visit", *where, "-o", str(file))
    assert printed == [{"file": str(file)}]
    assert file.read_bytes().startswith(begin)
    file.unlink()
    done = butler(
        "plot-sky", repository, "visit", *where, "--limit", "1", "--color-by", "visit", "-o", str(file)
    )
    assert (done.returncode, "Only the first 1 data IDs" in done.stderr) == (0, True)
    assert file.exists()


def test_only_where_there_are_datasets_is_drawn(repository: str, tmp_path: Path) -> None:
    file = tmp_path / "sky.svg"
    succeeded("plot-sky", repository, "-d", "log", "--collections", RUN, "-o", str(file))
    assert "<!-- 2 data IDs of instrument, visit -->" in file.read_text()


def test_what_cannot_be_drawn_is_said_in_one_line(
    repository: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, code, said in (
        ((), 2, "Name the dimensions"),
        (("visit", "-o", "sky.jpeg"), 2, ".png, .svg, .pdf"),
        (("detector", "--where", "instrument = 'Cam'"), 3, "nothing to draw"),
        (("physical_filter", "--where", "instrument = 'Cam'"), 5, "no place on the sky"),
        (
            ("visit", "--where", "instrument = 'Cam'", "-o", str(tmp_path / "no" / "sky.png")),
            3,
            "no/sky.png",
        ),
    ):
        # In this process: a new one for each takes its time to load what draws.
        with pytest.raises(SystemExit) as ended:
            main(["plot-sky", repository, *arguments])
        message = capsys.readouterr().err
        assert (ended.value.code, said in message) == (code, True), message
        assert len(message.splitlines()) == 1


def test_a_terminal_of_40_columns_shows_everything_and_breaks_no_character(repository: str) -> None:
    for command in (("query-collections", repository), ("stats", repository)):
        shown = on_terminal(40, *COMMAND, *command)
        for line in shown.replace("\r", "").splitlines():
            assert width(line) <= 40, line
    shown = plain(on_terminal(40, *COMMAND, "query-collections", repository))
    assert DOC.replace(" ", "") in "".join(shown.split()).replace("│", "").replace("├──", "")
    rows = plain(
        on_terminal(100, *COMMAND, "query-data-ids", repository, "visit", "--data-id", "instrument=Cam")
    )
    assert rows.count("Cam") == 3


def test_columns_stand_beneath_each_other_where_characters_are_wide(repository: str) -> None:
    shown = plain(on_terminal(120, *COMMAND, "query-collections", repository, "--chains", "table"))
    header, _, *rows = [line for line in shown.replace("\r", "").splitlines() if line.strip()]
    assert {width(row.rstrip("\n")) for row in rows} == {width(header)}
    records = [
        json.loads(line)
        for line in succeeded("query-dimension-records", repository, "visit", "--json").splitlines()
    ]
    assert records[0]["name"] == "Besuch-0-é標"
