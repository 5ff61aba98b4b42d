# SPDX-License-Identifier: BSD-3-Clause
"""The commands that remove, and those for the trash, as processes on an embedded repository."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from butler import Butler, CollectionType
from tests.support.survey import insert_survey, register_types


@pytest.fixture
def repository(tmp_path: Path) -> str:
    """Give a repository with three notes in ``run1``, one of them tagged, and one in ``run2``."""
    root = tmp_path / "repo"
    Butler.makeRepo(root)
    with Butler(root, run="run1") as butler:
        insert_survey(butler)
        register_types(butler)
        refs = [butler.put({"n": d}, "note", instrument="Cam1", detector=d) for d in (1, 2, 3)]
        butler.registry.registerRun("run2")
        butler.put({"n": 1}, "note", instrument="Cam1", detector=1, run="run2")
        butler.registry.registerCollection("tag", CollectionType.TAGGED)
        butler.registry.associate("tag", refs[:1])
        butler.registry.registerCollection("chain", CollectionType.CHAINED)
        butler.registry.setCollectionChain("chain", ["run2", "tag"])
    return str(root)


def run(*arguments: str, answer: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "butler.cli", *arguments]
    return subprocess.run(command, input=answer, capture_output=True, text=True, timeout=60, check=False)


def told(*arguments: str, answer: str = "") -> list[Any]:
    """Run a command that must succeed; return the objects that it printed."""
    done = run(*arguments, "--json", answer=answer)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def usage(*arguments: str) -> str:
    """Run a command whose command line must be refused; return why."""
    done = run(*arguments)
    assert done.returncode == 2, done.stderr
    return done.stderr


def notes(repository: str, collection: str) -> int:
    with Butler(repository) as butler:
        return len(list(butler.registry.queryDatasets("note", collections=collection)))


def test_datasets_are_pruned_after_a_question_and_restored_from_the_trash(repository: str) -> None:
    (planned,) = told("prune-datasets", repository, "run1", "--purge", "run1", "--dry-run")
    assert (planned["dry_run"], planned["datasets"], planned["by_type"]) == (True, 3, {"note": 3})
    declined = run("prune-datasets", repository, "run1", "--purge", "run1", answer="n\n")
    assert declined.returncode == 130
    assert "3 note" in declined.stderr
    assert notes(repository, "run1") == 3
    where = "instrument='Cam1' AND detector=2"
    (done,) = told(
        "prune-datasets", repository, "run1", "--where", where, "--purge", "run1", "--purge-after", "600",
        "--no-confirm",
    )  # fmt: skip
    assert (done["datasets"], done["artifacts"], done["deleted"]) == (1, 1, 0)
    (entry,) = told("trash", "list", repository)
    assert (entry["type"], entry["run"], entry["state"], entry["purged"]) == ("note", "run1", "trashed", True)
    assert told("trash", "undelete", repository, "--trash-id", done["trash_ids"][0]) == [{"artifacts": 1}]
    assert notes(repository, "run1") == 3


def test_tags_and_artifacts_are_removed_alone(repository: str) -> None:
    (done,) = told("prune-datasets", repository, "tag", "--disassociate", "tag", answer="y\n")
    assert (done["datasets"], done["artifacts"]) == (1, 0)
    assert (notes(repository, "tag"), notes(repository, "run1")) == (0, 3)
    (done,) = told(
        "prune-datasets",
        repository,
        "run2,run1",
        "--datasets",
        "no*",
        "--unstore",
        "--find-all",
        "--no-confirm",
    )
    assert (done["datasets"], done["deleted"]) == (4, 4)
    assert notes(repository, "run1") == 3


def test_runs_and_collections_are_removed(repository: str) -> None:
    refused = run("remove-runs", repository, "run2", "--no-confirm")
    assert refused.returncode == 5
    assert "'chain'" in refused.stderr
    assert told("remove-collections", repository, "tag", "chain", "--dry-run")[0]["name"] == "tag"
    assert notes(repository, "tag") == 1
    (done,) = told("remove-runs", repository, "run2", "--unlink", "--no-confirm")
    assert (done["datasets"], done["deleted"]) == (1, 1)
    (done,) = told("prune-collection", repository, "run1", "--purge", "--unstore", answer="y\n")
    assert done["deleted"] == 3
    found = told("remove-collections", repository, "tag,chain", answer="y\n")
    assert [each["chains"] for each in found] == [["chain"], []]
    assert told("collections", "list", repository) == []


def test_globs_stand_for_the_collections_that_they_match(repository: str) -> None:
    (planned,) = told("remove-runs", repository, "run*", "--unlink", "--dry-run")
    assert planned["by_type"] == {"note": 4}
    # A RUN is never meant by a glob where datasets are to stay.
    assert [each["name"] for each in told("remove-collections", repository, "*", "--dry-run")] == [
        "chain",
        "tag",
    ]
    for command in ("remove-runs", "remove-collections"):
        missing = run(command, repository, "rux*", "--no-confirm")
        assert (missing.returncode, "'rux*'" in missing.stderr) == (3, True)
    (done,) = told("remove-runs", repository, "run*", "--unlink", "--no-confirm")
    assert (done["datasets"], done["deleted"]) == (4, 4)


def test_who_does_not_say_yes_changes_nothing(repository: str) -> None:
    for command in (
        ("remove-runs", repository, "run1"),
        ("remove-collections", repository, "chain"),
        ("prune-collection", repository, "run1", "--purge", "--unstore"),
    ):
        declined = run(*command, answer="n\n")
        assert (declined.returncode, declined.stdout) == (130, "")
        assert declined.stderr.endswith("Nothing was changed.\n")
        silent = run(*command)
        assert (silent.returncode, silent.stdout) == (130, "")
        assert "--no-confirm" in silent.stderr
    assert (notes(repository, "run1"), notes(repository, "chain")) == (3, 2)


@pytest.mark.parametrize(
    ("command", "option"), [("prune-collection", "--unlink"), ("prune-datasets", "--disassociate")]
)
def test_options_that_take_several_names_say_how(command: str, option: str) -> None:
    told_of = " ".join(run(command, "--help").stdout.partition(f"{option} ")[2].split())
    assert "with commas between, or repeated." in told_of.partition("--")[0]


def test_dataset_types_are_shown_before_they_are_removed(repository: str) -> None:
    assert told("remove-dataset-type", repository, "fra*", "--dry-run") == [{"name": "frame"}]
    assert told("remove-dataset-type", repository, "fra*") == [{"removed": "frame"}]
    refused = run("remove-dataset-type", repository, "n*")
    assert (refused.returncode, "'note'" in refused.stderr) == (5, True)


def test_pruning_can_be_quiet(repository: str) -> None:
    done = run("prune-datasets", repository, "run1", "--purge", "run1", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert notes(repository, "run1") == 0
    assert "--quiet" in usage("prune-datasets", repository, "run1", "--unstore", "--quiet", "--dry-run")


def test_the_trash_is_emptied_on_request(repository: str) -> None:
    told("remove-runs", repository, "run1", "--purge-after", "1", "--no-confirm")
    (entry, *_) = told("trash", "list", repository, "--state", "trashed", "--limit", "1")
    with Butler(repository, writeable=True) as butler:
        while butler.trash.empty(dry_run=True).remaining < 3:
            pass
    assert told("empty-trash", repository, "--dry-run") == [{"due": 3}]
    chosen = ("--dataset-id", entry["dataset_id"])
    (done,) = told("empty-trash", repository, *chosen, answer="y\n")
    assert (done["deleted"], done["failed"]) == (1, 0)
    (done,) = told("empty-trash", repository, "--no-confirm")
    assert done["deleted"] == 2
    empty = run("empty-trash", repository)
    assert (empty.returncode, empty.stdout, empty.stderr) == (0, "", "The trash is empty.\n")


def test_contradictory_command_lines_are_refused(repository: str) -> None:
    assert "--disassociate" in usage(
        "prune-datasets", repository, "run1", "--purge", "run1", "--disassociate", "tag"
    )
    assert "collections" in usage("prune-datasets", repository, "--unstore")
    assert "Nothing" in usage("prune-datasets", repository, "run1")
    assert "no RUN" in usage("prune-datasets", repository, "run1", "--purge", "tag")
    assert "RUN" in usage("prune-collection", repository, "tag", "--purge", "--unstore")
    assert "RUN" in usage("prune-collection", repository, "run1")
    assert "--trash-id" in usage("trash", "undelete", repository)
