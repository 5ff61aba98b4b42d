# SPDX-License-Identifier: BSD-3-Clause
"""What is said and done when a store is not there: its disk is not mounted, or its bucket is gone."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from butler_model.errors import ConfigurationError, ServiceUnavailableError
from butler_model.ports import Finding, FindingKind
from tests.support.households import Household, household
from tests.support.s3 import S3Server
from tests.support.stores import files, s3_settings

NOT_THERE = "is not there: is its disk mounted"


@contextmanager
def living_in(folder: Path, settings: dict[str, Any]) -> Iterator[Household]:
    (folder / "registry").mkdir()
    with household(f"sqlite:///{folder}/registry", settings) as made:
        yield made


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "artifacts"


@pytest.fixture
def house(tmp_path: Path, root: Path) -> Iterator[Household]:
    with living_in(tmp_path, {"root": str(root)}) as made:
        yield made


@pytest.fixture
def one(tmp_path: Path) -> Path:
    return tmp_path / "one"


@pytest.fixture
def two(tmp_path: Path) -> Path:
    return tmp_path / "two"


@pytest.fixture
def chained_house(tmp_path: Path, one: Path, two: Path) -> Iterator[Household]:
    members = {"first": {"root": str(one)}, "second": {"root": str(two)}}
    with living_in(tmp_path, {"kind": "chain", "members": members}) as made:
        yield made


@contextmanager
def unmounted(root: Path, mount_point: bool) -> Iterator[None]:
    """Take a store's directory away, but for an empty one in its place if it is a mount point itself."""
    disk = root.with_name("disk")
    root.rename(disk)
    if mount_point:
        root.mkdir()
    yield
    if mount_point:
        # Nothing may be hidden below what is mounted there again.
        root.rmdir()
    disk.rename(root)


@pytest.fixture(params=[True, False], ids=["a mount point", "below a mount point"])
def mount_point(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_what_is_to_be_deleted_stays_in_the_trash_until_its_disk_is_back(
    house: Household, root: Path, mount_point: bool
) -> None:
    first, second = house.put(1, 2)
    key = house.key(first)
    house.rows.trash(first)
    with unmounted(root, mount_point):
        done = house.empty()
        assert (done.deleted, done.failed) == (0, 1)
        (row,) = house.rows.all(house.rows.tables.artifact_trash)
        assert "store 'main'" in row.last_error
        assert NOT_THERE in row.last_error
        assert house.rows.count(house.rows.tables.deletion_log) == 0
    house.rows.make_due()
    assert house.empty().deleted == 1
    assert not house.has(key)
    assert house.has(house.key(second))
    assert house.fsck() == []


def test_what_a_put_without_end_wrote_is_reaped_when_its_disk_is_back(
    house: Household, root: Path, mount_point: bool
) -> None:
    house.put(1)
    house.write(house.begin(2))
    house.rows.make_due()
    with unmounted(root, mount_point):
        assert house.housekeeping.reap("main") == 0
    house.rows.make_due()
    assert house.housekeeping.reap("main") == 1
    assert house.fsck() == []


def test_what_an_aborted_put_wrote_is_not_said_to_be_discarded_while_its_disk_is_away(
    house: Household, root: Path, mount_point: bool
) -> None:
    house.put(1)
    intents = house.begin(2)
    house.write(intents)
    ids = [intent.dataset_id for intent in intents]
    grants = house.setup.registry.puts.abort(ids, request_id=uuid.uuid4())
    with unmounted(root, mount_point), pytest.raises(ServiceUnavailableError, match=NOT_THERE):
        house.datastore.discard(grants)
    house.datastore.discard(grants)
    assert house.fsck() == []


def test_nothing_is_written_where_a_disk_will_hide_it(
    house: Household, root: Path, mount_point: bool
) -> None:
    house.put(1)
    intents = house.begin(2)
    with unmounted(root, mount_point):
        for _ in range(2):
            with pytest.raises(ServiceUnavailableError, match=NOT_THERE):
                house.write(intents)
        with pytest.raises(ServiceUnavailableError, match=NOT_THERE):
            house.datastore.write(intents[0].grants[0].token, [b"a note"])
    house.setup.commit(intents, house.write(intents))
    assert house.fsck() == []


def test_a_repair_without_the_disk_finds_nothing_lost_and_says_once_what_is_missing(
    house: Household, root: Path, mount_point: bool
) -> None:
    house.put(1, 2, 3)
    with unmounted(root, mount_point):
        found: list[Finding] = []
        steps = house.housekeeping.fsck("main", repair=True)
        with pytest.raises(ServiceUnavailableError, match=NOT_THERE):
            found.extend(finding for step in steps for finding in step.findings)
        assert found == []
    assert house.fsck() == []


def test_the_first_puts_of_a_repository_are_reaped_though_its_root_never_was(
    house: Household, root: Path
) -> None:
    house.begin(1, 2)
    house.rows.make_due()
    assert house.housekeeping.reap("main") == 2
    assert not root.exists()
    assert house.fsck() == []
    house.put(1)
    assert len(files(root)) == 1


def test_a_root_that_its_operator_made_is_written_to(house: Household, root: Path) -> None:
    root.mkdir()
    house.put(1)
    assert house.fsck() == []


def test_a_store_that_only_others_wrote_to_is_there(house: Household, root: Path) -> None:
    first, second = house.put(1, 2)
    shutil.rmtree(root / ".tmp")
    assert house.fsck() == []
    house.rows.trash(first)
    assert house.empty().deleted == 1
    (root / house.key(second)).unlink()
    assert [finding.kind for finding in house.fsck()] == [FindingKind.LOST]


def test_a_disk_that_was_replaced_is_used_once_its_operator_says_so(house: Household, root: Path) -> None:
    (lost,) = house.put(1)
    house.rows.trash(lost)
    shutil.rmtree(root)
    assert house.empty().failed == 1
    (root / ".tmp").mkdir(parents=True)
    house.rows.make_due()
    assert house.empty().deleted == 1
    house.put(2)
    assert house.fsck() == []


def test_a_chain_deletes_what_it_can_and_keeps_the_row_for_the_member_that_is_away(
    chained_house: Household, one: Path, two: Path, mount_point: bool
) -> None:
    house = chained_house
    first, _ = house.put(1, 2)
    house.rows.trash(first)
    house.write(house.begin(3))
    house.rows.make_due()
    with unmounted(two, mount_point):
        done = house.empty()
        assert (done.deleted, done.failed) == (0, 1)
        assert done.last_error is not None
        assert "member 'second' of store 'main'" in done.last_error
        assert len(files(one)) == 2
        assert house.housekeeping.reap("main") == 0
        with pytest.raises(ServiceUnavailableError, match=NOT_THERE):
            house.write(house.begin(4))
        with pytest.raises(ServiceUnavailableError, match="member 'second'"):
            house.fsck(repair=True)
    house.rows.make_due()
    assert house.empty().deleted == 1
    assert house.housekeeping.reap("main") == 2
    assert len(files(one)) == len(files(two)) == 1
    assert house.fsck() == []


def test_a_member_that_took_nothing_so_far_is_there_too(
    chained_house: Household, one: Path, two: Path
) -> None:
    house = chained_house
    store = house.datastore.stores.get("main", "main", "")
    store.write("run/other", [b"a note"], 2**40, ("first",))
    house.put(1)
    store.delete("run/other")
    shutil.rmtree(two / "run1")
    first = house.put(2)
    house.rows.trash(*first)
    assert house.empty().deleted == 1
    assert len(files(one)) == 1


def test_a_bucket_that_is_gone_is_no_proof_that_its_artifacts_are(
    tmp_path: Path, s3_server: S3Server, s3_bucket: str
) -> None:
    with living_in(tmp_path, s3_settings(s3_server, s3_bucket, tmp_path)) as house:
        first, second = house.put(1, 2)
        intents = house.begin(3)
        house.write(intents)
        house.rows.trash(first)
        # So that this process has seen the bucket.
        assert not house.has("run1/nothing")
        client = s3_server.client()
        listed = client.list_objects_v2(Bucket=s3_bucket)["Contents"]
        client.delete_objects(
            Bucket=s3_bucket, Delete={"Objects": [{"Key": entry["Key"]} for entry in listed]}
        )
        client.delete_bucket(Bucket=s3_bucket)
        house.rows.make_due()
        done = house.empty()
        assert (done.deleted, done.failed) == (0, 1)
        assert done.last_error is not None
        assert "no bucket" in done.last_error
        assert house.housekeeping.reap("main") == 0
        found: list[Finding] = []
        steps = house.housekeeping.fsck("main", repair=True)
        with pytest.raises(ConfigurationError, match="no bucket"):
            found.extend(finding for step in steps for finding in step.findings)
        assert found == []
        client.create_bucket(Bucket=s3_bucket)
        house.rows.make_due()
        assert house.empty().deleted == 1
        assert house.housekeeping.reap("main") == 1
        assert [finding.dataset_id for finding in house.fsck()] == [second]
