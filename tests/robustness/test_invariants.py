# SPDX-License-Identifier: BSD-3-Clause
"""The invariants can fail: each is broken by hand, and the check reports it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import pytest

from butler import DatasetRef, FileDataset
from tests.robustness.support.deployments import Deployment, DeploymentKind, Deployments
from tests.robustness.support.history import History, Outcome, Put
from tests.robustness.support.invariants import check, check_settled
from tests.robustness.support.jobs import payload
from tests.robustness.support.snapshot import Snapshot

KIND = DeploymentKind("embedded", "sqlite", "posix")
CONTENTS = {1: payload("a"), 2: payload("b"), 3: payload("c")}


@dataclass(frozen=True, slots=True)
class Whole:
    """A repository in which all is well: three datasets in one run, two that share a file in another."""

    deployment: Deployment
    history: History

    def sql(self, statement: str, *parameters: object) -> None:
        """Change rows."""
        self.deployment.rows.execute(statement, parameters)

    def key(self, detector: int) -> str:
        """Return the key of a dataset's artifact."""
        snapshot = Snapshot.take(self.deployment)
        wanted = snapshot.in_run("run1")["Cam1", detector]
        (record,) = [record for record in snapshot.live if record.dataset_id == wanted]
        return record.key

    def overwrite(self, key: str, content: bytes) -> None:
        """Write other bytes in the place of an artifact."""
        self.deployment.artifacts.remove(key)
        self.deployment.artifacts.add(key, content)


@pytest.fixture
def whole(deployments: Deployments, tmp_path: Path) -> Whole:
    """Give it."""
    deployment = deployments.make(KIND, tmp_path / "deployment")
    history = History()
    with deployment.butler() as butler:
        butler.registry.registerRun("run1")
        butler.registry.registerRun("run2")
        items = ((content, "blob", {"instrument": "Cam1", "detector": d}) for d, content in CONTENTS.items())
        refs = butler.put_many(items, run="run1")
        history.puts.append(Put("run1", CONTENTS, Outcome.DONE, tuple(ref.id for ref in refs if ref.id)))
        file = deployment.drop / "shared.bin"
        file.write_bytes(payload("shared"))
        blob = butler.registry.getDatasetType("blob")
        data_ids = [butler.registry.expandDataId(instrument="Cam1", detector=d) for d in (1, 2)]
        shared = FileDataset(str(file), [DatasetRef(blob, data_id) for data_id in data_ids])
        butler.ingest(shared, transfer="copy", run="run2")
        history.puts.append(Put("run2", {1: payload("shared"), 2: payload("shared")}, Outcome.DONE))
    assert check(deployment, history, checksums="all") == []
    assert check_settled(deployment, history) == []
    return Whole(deployment, history)


def lose_an_artifact(whole: Whole) -> None:
    whole.deployment.artifacts.remove(whole.key(1))


def shorten_an_artifact(whole: Whole) -> None:
    whole.overwrite(whole.key(1), b"short")


def change_an_artifact(whole: Whole) -> None:
    whole.overwrite(whole.key(1), payload("other"))


def add_a_stray_file(whole: Whole) -> None:
    whole.deployment.artifacts.add("run1/stray.bin", b"stray")


def forget_a_dataset(whole: Whole) -> None:
    (dataset_id, *_) = whole.history.puts[0].ids
    for table, column in (
        ("artifact_record", "dataset_id"),
        (whole.deployment.rows.tables("dataset_tags_")[0], "dataset_id"),
        ("dataset", "id"),
    ):
        whole.sql(f"DELETE FROM {table} WHERE {column} = ?", dataset_id)


def exchange_two_datasets(whole: Whole) -> None:
    """Give two datasets each other's data ID, as if one put had overtaken another."""
    table = whole.deployment.rows.tables("dataset_tags_")[0]
    first, second, _ = whole.history.puts[0].ids
    for dataset_id, detector in ((first, 99), (second, 1), (first, 2)):
        whole.sql(f"UPDATE {table} SET detector = ? WHERE dataset_id = ?", detector, dataset_id)


def half_of_a_put(whole: Whole) -> None:
    whole.history.puts[0] = replace(whole.history.puts[0], outcome=Outcome.UNKNOWN, ids=())
    (dataset_id, *_) = Snapshot.take(whole.deployment).in_run("run1").values()
    tags = whole.deployment.rows.tables("dataset_tags_")[0]
    whole.sql(f"DELETE FROM {tags} WHERE dataset_id = ?", dataset_id)
    whole.sql("DELETE FROM dataset WHERE id = ?", dataset_id)
    whole.sql("DELETE FROM artifact_record WHERE dataset_id = ?", dataset_id)


def a_refused_put_that_is_there(whole: Whole) -> None:
    whole.history.puts[0] = replace(whole.history.puts[0], outcome=Outcome.REFUSED, ids=())


def a_dataset_without_a_place(whole: Whole) -> None:
    whole.sql(
        "INSERT INTO dataset SELECT ?, dataset_type_id, run_id, ingest_nsec FROM dataset LIMIT 1", uuid4()
    )


def a_record_without_a_dataset(whole: Whole) -> None:
    whole.sql("UPDATE artifact_record SET dataset_id = ? WHERE key LIKE 'run1/%blob_1_%'", uuid4())


def two_datasets_of_one_data_id(whole: Whole) -> None:
    table = whole.deployment.rows.tables("dataset_tags_")[0]
    whole.sql(f"CREATE TABLE loose AS SELECT * FROM {table}")
    whole.sql(f"DROP TABLE {table}")
    whole.sql(f"ALTER TABLE loose RENAME TO {table}")
    whole.sql(f"UPDATE {table} SET detector = 1 WHERE detector = 2")


def a_purged_dataset_that_is_there(whole: Whole) -> None:
    whole.history.purged.add(whole.history.puts[0].ids[0])


def a_trashed_dataset_that_is_there(whole: Whole) -> None:
    whole.history.trashed.add(whole.history.puts[0].ids[0])


def lose_a_shared_file(whole: Whole) -> None:
    (key,) = [key for key in whole.deployment.artifacts.sizes() if key.startswith("run2/")]
    whole.deployment.artifacts.remove(key)


def turn_the_revision_back(whole: Whole) -> None:
    whole.sql("UPDATE revision SET value = value - 1")


def forget_a_summary(whole: Whole) -> None:
    whole.sql("DELETE FROM collection_summary")


@pytest.mark.parametrize(
    ("invariant", "harm"),
    [
        ("I1", lose_an_artifact),
        ("I1", shorten_an_artifact),
        ("I1", change_an_artifact),
        ("I2", add_a_stray_file),
        ("I3", forget_a_dataset),
        ("I3", exchange_two_datasets),
        ("I4", half_of_a_put),
        ("I4", a_refused_put_that_is_there),
        ("I4", a_dataset_without_a_place),
        ("I4", a_record_without_a_dataset),
        ("I5", two_datasets_of_one_data_id),
        ("I6", a_purged_dataset_that_is_there),
        ("I6", a_trashed_dataset_that_is_there),
        ("I7", lose_a_shared_file),
        ("I9", turn_the_revision_back),
        ("I10", forget_a_summary),
    ],
    ids=lambda each: each if isinstance(each, str) else each.__name__,
)
def test_what_is_broken_is_reported(whole: Whole, invariant: str, harm: Callable[[Whole], None]) -> None:
    harm(whole)
    assert invariant in {violation.invariant for violation in check(whole.deployment, whole.history)}


def leave_an_intent(whole: Whole) -> None:
    whole.sql(
        "INSERT INTO put_intent (dataset_id, request_id, dataset_type_id, run_id, data_id, artifacts, adopts, state, "
        "lease_expires_nsec) VALUES (?, ?, 1, 1, '[]', '[]', 0, 1, 0)",
        uuid4(),
        uuid4(),
    )


def leave_a_claim(whole: Whole) -> None:
    whole.sql(
        "INSERT INTO artifact_trash (dataset_id, component, store, key, formatter, extension, storage_class, size, "
        "checksum, dataset_type, run, data_id, ingest_nsec, purged, trash_id, trashed_by, trashed_nsec, state, "
        "due_nsec, attempts) VALUES (?, '', 'main', 'run1/gone', '', '', '', 1, '', 'blob', 'run1', '[]', 0, 1, ?, '', "
        "0, 2, 0, 1)",
        uuid4(),
        uuid4(),
    )


@pytest.mark.parametrize("harm", [leave_an_intent, leave_a_claim, add_a_stray_file], ids=lambda f: f.__name__)
def test_what_is_left_is_reported(whole: Whole, harm: Callable[[Whole], None]) -> None:
    harm(whole)
    found = check_settled(whole.deployment, whole.history)
    assert "I8" in {violation.invariant for violation in found}
