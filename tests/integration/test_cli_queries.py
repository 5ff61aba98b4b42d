# SPDX-License-Identifier: BSD-3-Clause
"""The commands that query: which rows, in which order, how many, and why there are none."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from butler import Butler
from butler.cli.main import main
from tests.support.command_line import served
from tests.support.survey import insert_survey, register_types


@pytest.fixture(scope="module", params=["embedded", "served"])
def repository(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give a repository with the notes of three detectors in two runs, and a log in one of them."""
    folder = tmp_path_factory.mktemp("queries")
    if request.param == "embedded":
        Butler.makeRepo(folder / "repo")
        fill(str(folder / "repo"))
        yield str(folder / "repo")
        return
    with served(folder / "data", folder / "log") as address:
        fill(address)
        yield address


def fill(address: str) -> None:
    with Butler(address, writeable=True) as filled:
        insert_survey(filled)
        register_types(filled)
        for run in ("run1", "run2"):
            filled.registry.registerRun(run)
            filled.put_many(
                [({"n": n}, "note", {"instrument": "Cam1", "detector": n}) for n in (1, 2, 3)], run=run
            )
        filled.put("fine", "log", run="run1")
        filled.registry.registerRun("empty")


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The objects that it printed."""
        assert self.code == 0, self.err
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Give a function that runs a command in this process."""

    def running(*arguments: str) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        printed = capsys.readouterr()
        return Ended(int(ended.value.code or 0), printed.out, printed.err)

    return running


Run = Callable[..., Ended]


def test_datasets_come_in_the_order_asked_for(repository: str, run: Run) -> None:
    command = ("query-datasets", repository, "note", "--json", "--order-by")
    found = run(*command, "-detector,note.run").rows
    assert [(row["data_id"]["detector"], row["run"]) for row in found] == [
        (number, name) for number in (3, 2, 1) for name in ("run1", "run2")
    ]
    found = run(*command, "-detector.full_name", "--collections", "run1").rows
    assert [row["data_id"]["detector"] for row in found] == [3, 2, 1]


def test_data_ids_and_records_come_in_the_order_asked_for(repository: str, run: Run) -> None:
    where = ("--where", "instrument = 'Cam1'")
    data_ids = run(
        "query-data-ids", repository, "visit", "detector", *where, "--order-by", "-visit", "--order-by",
        "-detector.raft,detector", "--json",
    ).rows  # fmt: skip
    assert [(row["visit"], row["detector"]) for row in data_ids] == [
        (visit, detector) for visit in (2, 1) for detector in (3, 4, 1, 2)
    ]
    records = run("query-dimension-records", repository, "visit", "--order-by=-timespan.begin", "--json").rows
    assert [row["id"] for row in records] == [2, 1]


def test_a_limit_takes_the_first_of_that_order_and_is_noted(repository: str, run: Run) -> None:
    done = run(
        "query-dimension-records", repository, "detector", "--order-by", "-detector", "--limit", "2", "--json"
    )
    assert [row["id"] for row in done.rows] == [4, 3]
    assert done.err == "Only the first 2 dimension records are shown; raise --limit to see more.\n"
    done = run("query-data-ids", repository, "detector", "--limit", "4", "--json")
    assert (len(done.rows), done.err) == (4, "")


def test_an_expression_selects_rows_and_needs_an_instrument_unless_told_otherwise(
    repository: str, run: Run
) -> None:
    where = ("--where", "detector.raft = 'B'", "--json")
    commands = (
        ("query-datasets", repository, "note", "--collections", "run1"),
        ("query-data-ids", repository, "detector"),
        ("query-dimension-records", repository, "detector"),
    )
    for command, rows in zip(commands, (1, 2, 2), strict=True):
        refused = run(*command, *where)
        assert (refused.code, "instrument = '...'" in refused.err) == (5, True)
        assert len(run(*command, *where, "--no-check").rows) == rows


def test_only_that_of_which_there_are_datasets_is_listed(repository: str, run: Run) -> None:
    held = ("--datasets", "note", "--collections", "run*", "--json")
    data_ids = run("query-data-ids", repository, "detector", *held).rows
    assert [row["detector"] for row in data_ids] == [1, 2, 3]
    records = run("query-dimension-records", repository, "detector", *held).rows
    assert [row["id"] for row in records] == [1, 2, 3]
    refused = run("query-data-ids", repository, "detector", "--collections", "run1")
    assert (refused.code, "give --datasets" in refused.err) == (2, True)


def test_datasets_of_several_types_and_of_all_are_listed(repository: str, run: Run) -> None:
    def types(*arguments: str) -> dict[str, int]:
        names = [row["type"] for row in run("query-datasets", repository, *arguments, "--json").rows]
        return {name: names.count(name) for name in names}

    assert types() == types("note", "log") == types("note,l*") == {"log": 1, "note": 6}
    assert types("--collections", "run2") == {"note": 3}
    assert types("n*", "--collections", "run2,run1", "--find-first") == {"note": 3}


def test_places_of_artifacts_are_shown(repository: str, run: Run) -> None:
    rows = run("query-datasets", repository, "note", "--collections", "run1", "--show-uri", "--json").rows
    with Butler(repository) as opened:
        assert [row["uri"] for row in rows] == [
            opened.getURI("note", row["data_id"], collections="run1") for row in rows
        ]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("note", "--data-id", "instrument=Cam2"), "There is no instrument 'Cam2'."),
        (("note", "--data-id", "detector=99"), "There are rows without detector = 99."),
        (("calexp",), "There are no datasets of type 'calexp' in empty, run1, run2."),
        (("--collections", "empty"), "There are none in empty."),
        (("x*",), "There are none in *."),
        (("note", "--where", "instrument = 'Cam1' AND detector > 9"), "without the condition instrument ="),
    ],
)
def test_an_empty_answer_comes_with_its_reason(
    repository: str, run: Run, arguments: tuple[str, ...], reason: str
) -> None:
    done = run("query-datasets", repository, *arguments)
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("There are no such datasets. ")
    assert reason in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("query-datasets", "REPO", "nite"), 3, "the nearest known one is 'note'"),
        (("query-datasets", "REPO", "note", "--collections", "rum1"), 3, "the nearest known one is 'run1'"),
        (("query-datasets", "REPO", "--collections", "rum1"), 3, "the nearest known one is 'run1'"),
        (("query-datasets", "REPO", "note", "--order-by", "detektor"), 5, "did you mean detector"),
        (("query-datasets", "REPO", "log", "--order-by", "detector"), 5, "Datasets of type 'log'"),
        (("query-data-ids", "REPO", "detektor"), 5, "did you mean 'detector'"),
        (("query-dimension-records", "REPO", "vist"), 5, "did you mean 'visit'"),
        (("query-data-ids", "REPO", "visit", "--where", "visit == 1"), 5, "at character 7: visit == 1\n"),
        (("query-data-ids", "REPO", "visit", "--datasets", "nite"), 3, "the nearest known one is 'note'"),
        (("query-collections", "REPO", "rum1"), 3, "the nearest known one is 'run1'"),
        (("query-collections", "REPO", "run2", "rum1"), 3, "the nearest known one is 'run1'"),
        (("collections", "list", "REPO", "rum1"), 3, "the nearest known one is 'run1'"),
    ],
)
def test_a_slip_of_the_pen_is_answered_with_what_was_meant(
    repository: str, run: Run, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = run(*(repository if word == "REPO" else word for word in arguments))
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert done.err.count("\n") == 1


def test_names_may_stand_one_by_one_or_with_commas_between_wherever_there_may_be_several(
    repository: str, run: Run
) -> None:
    for names in (("log", "note"), ("log,note",), ("lo*,note",)):
        found = run("query-dataset-types", repository, *names, "--json").rows
        assert [row["name"] for row in found] == ["log", "note"]
        removed = run("remove-dataset-type", repository, *names, "--dry-run", "--json").rows
        assert removed == [{"name": "log"}, {"name": "note"}]
    for names in (("run1", "empty"), ("run1,empty",)):
        found = run("query-collections", repository, *names, "--json").rows
        assert [row["name"] for row in found] == ["empty", "run1"]
    assert run("query-collections", repository, "run1,nothing").code == 3
    for dimensions in (("instrument", "detector"), ("instrument,detector",)):
        made = run("register-dataset-type", repository, "zoo", "Text", *dimensions, "--json").rows
        assert made[0]["dimensions"] == ["instrument", "detector"]
    run("remove-dataset-type", repository, "zoo")


def test_what_cannot_be_certified_leaves_no_collection_behind(repository: str, run: Run) -> None:
    assert run("certify-calibrations", repository, "run1", "calib", "note").code == 5
    assert run("query-collections", repository, "calib").code == 3
