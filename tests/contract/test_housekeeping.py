# SPDX-License-Identifier: BSD-3-Clause
"""Emptying the trash, reaping, and comparing the registry with every kind of store."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from butler_datastore.application import DatastoreApplication
from butler_datastore.remote_ledger import RemoteLedgers
from butler_datastore.services.opened_stores import OpenedStores
from butler_datastore.services.purging import TrashPurging
from butler_datastore.services.store_health import StoreHealth
from butler_datastore.store_tables import store_config
from butler_datastore.stores.memory import MemoryStore
from butler_model.errors import (
    GrantError,
    RepositoryNotFoundError,
    ServiceUnavailableError,
    UnsupportedOperationError,
)
from butler_model.grants import TokenSigner
from butler_model.ports import FindingKind
from butler_model.trash import TrashSelection
from butler_model.universe import DimensionUniverse
from butler_registry.storage.schema import DeletionReason, TrashRowState
from tests.support.faulty_s3 import Fault, FaultyS3, faulty_s3
from tests.support.households import Household, household, undeletable
from tests.support.registries import LIMITS, at_once
from tests.support.s3 import S3Server
from tests.support.stores import s3_settings, store_place
from tools.servers.process import free_ports

HOUSES = ("posix", "s3", "memory", "memory + posix", "posix + s3")
CONTENT = b"a note"


@pytest.fixture(params=HOUSES)
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Household]:
    """Give a household whose store is of some kind."""
    for folder in ("store", "registry"):
        (tmp_path / folder).mkdir()
    place = store_place(request.param, tmp_path / "store", request)
    with household(f"sqlite:///{tmp_path}/registry", place.settings) as made:
        yield made


@pytest.fixture
def posix_house(tmp_path: Path) -> Iterator[Household]:
    """Give a household whose artifacts are files below ``artifacts``."""
    (tmp_path / "registry").mkdir()
    settings = {"root": str(tmp_path / "artifacts")}
    with household(f"sqlite:///{tmp_path}/registry", settings) as made:
        yield made


@pytest.fixture
def faulty_house(tmp_path: Path) -> Iterator[tuple[Household, FaultyS3]]:
    """Give a household whose store is in a bucket that can be told to fail."""
    (tmp_path / "registry").mkdir()
    credentials = tmp_path / "credentials"
    credentials.touch(mode=0o600)
    credentials.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    with faulty_s3() as server:
        settings = {
            "kind": "s3",
            "bucket": "bucket",
            "endpoint": server.endpoint,
            "region": "here",
            "credentials": str(credentials),
            "attempts": 1,
            "read_seconds": 1.0,
        }
        with household(f"sqlite:///{tmp_path}/registry", settings) as made:
            yield made, server


def test_emptying_deletes_what_is_in_the_trash_and_nothing_else(house: Household) -> None:
    first, second, live = house.put(1, 2, 3)
    house.rows.trash(first, second)
    gone, stays = [house.key(first), house.key(second)], house.key(live)
    would = house.empty(dry_run=True)
    assert (would.deleted, would.remaining) == (0, 2)
    assert all(map(house.has, [*gone, stays]))
    done = house.empty()
    assert (done.deleted, done.kept, done.failed, done.size, done.remaining) == (2, 0, 0, 2 * len(CONTENT), 0)
    assert not any(map(house.has, gone))
    assert house.has(stays)
    assert house.rows.count(house.rows.tables.artifact_trash) == 0
    assert house.empty().deleted == 0


def test_only_the_trash_that_was_meant_is_emptied(house: Household) -> None:
    first, second = house.put(1, 2)
    mine, others = house.rows.trash(first), house.rows.trash(second)
    keys = house.key(first), house.key(second)
    assert house.empty(mine).deleted == 1
    assert [house.has(key) for key in keys] == [False, True]
    assert house.empty(others).deleted == 1


def test_what_is_not_there_any_more_counts_as_deleted(house: Household) -> None:
    (dataset_id,) = house.put(1)
    house.rows.trash(dataset_id)
    house.remove(house.key(dataset_id))
    done = house.empty()
    assert (done.deleted, done.failed) == (1, 0)
    assert house.rows.count(house.rows.tables.artifact_trash) == 0


# D19
def test_a_shared_artifact_goes_with_its_last_reference(house: Household) -> None:
    first, *others = house.put(1, 2, 3)
    house.rows.share(first, *others)
    key = house.key(first)
    house.rows.trash(first)
    assert (house.empty().kept, house.has(key)) == (1, True)
    house.rows.trash(*others)
    done = house.empty()
    assert (done.deleted, done.kept, house.has(key)) == (1, 1, False)


class SlowStore(MemoryStore):
    """A store that takes its time."""

    def delete_many(self, keys: Sequence[str]) -> dict[str, Exception]:
        """Remove artifacts slowly."""
        time.sleep(1.0)
        return super().delete_many(keys)


def test_a_worker_whose_lease_has_ended_stops_deleting(posix_house: Household) -> None:
    house = posix_house
    detectors = [
        {"instrument": "Cam1", "id": n, "full_name": f"d{n}", "purpose": "SCIENCE"} for n in range(10, 300)
    ]
    house.setup.insert("detector", *detectors)
    ids = house.put(*range(10, 300))
    house.rows.trash(*ids)
    store = SlowStore(2**30)
    stores = OpenedStores({"main": lambda repository: store})
    ledger = house.registry.ledger("main")
    purging = TrashPurging("main", ledger, stores, StoreHealth(), lease_seconds=1)
    done = list(purging.empty(TrashSelection(), dry_run=False))[-1]
    assert 0 < done.deleted < len(ids)
    assert house.rows.count(house.rows.tables.artifact_trash) == len(ids) - done.deleted
    # Another one does the rest.
    assert house.empty().deleted == len(ids) - done.deleted


def test_a_great_deal_of_trash_is_emptied_in_chunks(posix_house: Household) -> None:
    house = posix_house
    house.setup.register_type("mark", ("instrument",))
    kept = house.put(1)
    for number in range(6):
        run = house.setup.register_run(f"many{number}")
        house.rows.trash(*[i for d in (1, 2, 3, 4) for i in house.put(d, run=run)])
    steps = list(house.housekeeping.empty_trash("main", TrashSelection()))
    assert [step.deleted for step in steps] == sorted(step.deleted for step in steps)
    assert (steps[0].remaining, steps[-1].deleted, steps[-1].remaining) == (24, 24, 0)
    assert house.has(house.key(kept[0]))


# D28
def test_a_deletion_that_fails_leaves_its_row_and_is_tried_again(
    posix_house: Household, tmp_path: Path
) -> None:
    house = posix_house
    first, second = house.put(1)[0], house.put(2, run=house.setup.register_run("run2"))[0]
    house.rows.trash(first, second)
    keys = house.key(first), house.key(second)
    with undeletable((tmp_path / "artifacts" / keys[0]).parent):
        done = house.empty()
        assert (done.deleted, done.failed, done.remaining) == (1, 1, 0)
        assert done.last_error is not None
        assert "not permitted" in done.last_error or "Permission denied" in done.last_error
        assert [house.has(key) for key in keys] == [True, False]
        (row,) = house.rows.all(house.rows.tables.artifact_trash)
        assert (row.dataset_id, row.state, row.attempts) == (first, TrashRowState.FAILED, 1)
        assert row.last_error == done.last_error
    assert house.empty().deleted == 0
    house.rows.make_due()
    assert house.empty().deleted == 1
    assert not house.has(keys[0])


def test_a_disk_that_is_not_mounted_is_no_proof_that_its_files_are_gone(
    posix_house: Household, tmp_path: Path
) -> None:
    house = posix_house
    (dataset_id,) = house.put(1)
    house.rows.trash(dataset_id)
    (tmp_path / "artifacts").rename(tmp_path / "elsewhere")
    done = house.empty()
    assert (done.deleted, done.failed) == (0, 1)
    assert done.last_error is not None
    assert "is its disk mounted?" in done.last_error
    (tmp_path / "elsewhere").rename(tmp_path / "artifacts")
    house.rows.make_due()
    assert house.empty().deleted == 1


def test_what_was_moved_away_with_a_link_in_its_place_is_not_said_to_be_gone(
    posix_house: Household, tmp_path: Path
) -> None:
    house = posix_house
    first, second = house.put(1)[0], house.put(2, run=house.setup.register_run("run2"))[0]
    house.rows.trash(first, second)
    (tmp_path / "artifacts" / "run1").rename(tmp_path / "elsewhere")
    (tmp_path / "artifacts" / "run1").symlink_to(tmp_path / "elsewhere")
    done = house.empty()
    assert (done.deleted, done.failed) == (1, 1)
    assert done.last_error is not None
    assert "a link is in the way" in done.last_error
    assert "artifacts/run1" in done.last_error
    (tmp_path / "artifacts" / "run1").unlink()
    (tmp_path / "elsewhere").rename(tmp_path / "artifacts" / "run1")
    house.rows.make_due()
    assert house.empty().deleted == 1
    assert house.fsck() == []


def test_of_a_batch_that_partly_fails_the_rest_is_deleted(faulty_house: tuple[Household, FaultyS3]) -> None:
    house, server = faulty_house
    first, second = house.put(1, 2)
    house.rows.trash(first, second)
    server.undeletable.add(f"main/{house.key(first)}")
    done = house.empty()
    assert (done.deleted, done.failed) == (1, 1)
    assert done.last_error is not None
    assert "AccessDenied" in done.last_error
    assert [row.dataset_id for row in house.rows.all(house.rows.tables.artifact_trash)] == [first]
    server.undeletable.clear()
    house.rows.make_due()
    assert house.empty().deleted == 1


@pytest.mark.parametrize("fault", [Fault(503, "SlowDown"), Fault(500, "InternalError"), Fault(lost=True)])
def test_a_store_that_does_not_answer_leaves_everything_in_the_trash(
    faulty_house: tuple[Household, FaultyS3], fault: Fault
) -> None:
    house, server = faulty_house
    (dataset_id,) = house.put(1)
    key = house.key(dataset_id)
    house.rows.trash(dataset_id)
    server.fail("POST", fault)
    assert house.empty().failed == 1
    # With the lost answer it was deleted; nobody can know, so it is tried again, and found to be gone.
    assert house.has(key) is not fault.lost
    server.recover()
    house.rows.make_due()
    assert house.empty().deleted == 1
    assert house.rows.count(house.rows.tables.deletion_log) == 1


def test_a_store_that_keeps_failing_is_left_alone_for_a_while(
    faulty_house: tuple[Household, FaultyS3],
) -> None:
    house, server = faulty_house
    ids = house.put(1, 2, 3, 4) + house.put(1, 2, run=house.setup.register_run("run2"))
    house.rows.trash(*ids)
    server.fail("POST", Fault(503, "SlowDown"))
    assert house.empty().failed == 6
    server.recover()
    house.rows.make_due()
    done = house.empty()
    assert (done.deleted, done.failed, done.remaining) == (0, 0, 6)


def test_without_the_registry_nothing_is_deleted(posix_house: Household, tmp_path: Path) -> None:
    house = posix_house
    house.rows.trash(*house.put(1))
    signer = TokenSigner([b"a key for the tests of housekeeping"])
    alone = RemoteLedgers(f"127.0.0.1:{free_ports(1)[0]}", signer)
    datastore = DatastoreApplication(
        {"main": store_config({"root": str(tmp_path / "artifacts")})}, signer, limits=LIMITS, ledgers=alone
    )
    with pytest.raises(ServiceUnavailableError):
        list(datastore.housekeeping.empty_trash("main", TrashSelection()))
    with pytest.raises(ServiceUnavailableError):
        datastore.housekeeping.reap("main")
    assert any(path.is_file() for path in (tmp_path / "artifacts").rglob("*"))
    alone.close()


def test_with_a_registry_that_is_read_only_nothing_is_deleted(postgres_database: str, tmp_path: Path) -> None:
    with household(postgres_database, {"root": str(tmp_path / "artifacts")}) as house:
        (dataset_id,) = house.put(1)
        key = house.key(dataset_id)
        house.rows.trash(dataset_id)
        name = postgres_database.rpartition("/")[2].partition("?")[0]
        with house.rows.engine.begin() as connection:
            connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        registry = type(house.registry)(postgres_database, house.setup.signer, limits=LIMITS)
        datastore = DatastoreApplication(
            {"main": store_config({"root": str(tmp_path / "artifacts")})},
            house.setup.signer,
            limits=LIMITS,
            ledgers=registry,
        )
        with pytest.raises(ServiceUnavailableError, match="read-only now"):
            list(datastore.housekeeping.empty_trash("main", TrashSelection()))
        with pytest.raises(ServiceUnavailableError, match="read-only now"):
            datastore.housekeeping.reap("main")
        registry.close()
        assert house.has(key)


def test_a_datastore_that_knows_no_registry_keeps_no_house(tmp_path: Path) -> None:
    signer = TokenSigner([b"a key for the tests of housekeeping"])
    datastore = DatastoreApplication({"main": store_config({"root": str(tmp_path)})}, signer)
    for work in (
        lambda: datastore.housekeeping.empty_trash("main", TrashSelection()),
        lambda: datastore.housekeeping.reap("main"),
        lambda: list(datastore.housekeeping.fsck("main")),
    ):
        with pytest.raises(UnsupportedOperationError, match="was not told where the registry is"):
            work()


def test_eight_that_empty_while_others_put_and_prune_never_collide(
    postgres_database: str, tmp_path: Path
) -> None:
    with household(postgres_database, {"root": str(tmp_path / "artifacts")}) as house:
        _churn(house)


def test_eight_that_empty_while_others_put_and_prune_never_collide_on_sqlite(posix_house: Household) -> None:
    _churn(posix_house)


def _churn(house: Household) -> None:
    stop = time.monotonic() + 4.0
    lasting: list[uuid.UUID] = []
    gone: list[str] = []

    def churn(number: int) -> None:
        round_ = 0
        while time.monotonic() < stop:
            run = house.setup.register_run(f"churn{number}-{round_}")
            round_ += 1
            first, second, third, fourth = house.put(1, 2, 3, 4, run=run)
            house.rows.share(first, second, third)
            shared, alone = house.key(first), house.key(fourth)
            house.rows.trash(first)
            house.rows.trash(fourth)
            gone.append(alone)
            if round_ % 2:
                house.rows.trash(second)
                house.rows.trash(third)
                gone.append(shared)
            else:
                lasting.append(third)

    def empty() -> int:
        deleted = 0
        while time.monotonic() < stop:
            deleted += house.empty().deleted
        return deleted

    results = at_once(*[empty] * 8, *(lambda number=number: churn(number) for number in range(4)))
    assert [result for result in results if isinstance(result, BaseException)] == []
    deleted = sum(result for result in results if result is not None) + house.empty().deleted
    assert house.rows.count(house.rows.tables.artifact_trash) == 0
    assert all(house.has(house.key(dataset_id)) for dataset_id in lasting)
    assert not any(map(house.has, gone))
    assert deleted == len(gone)
    findings = [finding for finding in house.fsck() if finding.kind is not FindingKind.DARK]
    assert findings == []


def test_what_a_put_without_end_wrote_is_reaped(house: Household) -> None:
    kept = house.put(1)
    intents = house.begin(2, 3)
    house.write(intents)
    keys = [grant.key for intent in intents for grant in intent.grants]
    assert house.housekeeping.reap("main") == 0
    house.rows.make_due()
    assert house.housekeeping.reap("main") == 2
    assert not any(map(house.has, keys))
    assert house.has(house.key(kept[0]))
    assert house.rows.count(house.rows.tables.put_intent) == 0
    log = house.rows.all(house.rows.tables.deletion_log)
    assert {row.reason for row in log} == {DeletionReason.REAPED}
    assert house.fsck() == []


def test_a_put_that_wrote_nothing_is_reaped(house: Household) -> None:
    house.begin(1)
    house.rows.make_due()
    assert house.housekeeping.reap("main") == 1


def test_a_broken_upload_is_reaped_with_its_put(posix_house: Household, tmp_path: Path) -> None:
    house = posix_house
    (intent,) = house.begin(1)

    def breaking() -> Iterator[bytes]:
        yield b"a part"
        raise ServiceUnavailableError("the connection broke")

    with pytest.raises(ServiceUnavailableError):
        house.datastore.write(intent.grants[0].token, breaking())
    assert any(path.is_file() for path in (tmp_path / "artifacts" / ".tmp").iterdir())
    house.rows.make_due()
    assert house.housekeeping.reap("main") == 1
    assert list((tmp_path / "artifacts" / ".tmp").iterdir()) == []


def test_what_cannot_be_discarded_is_discarded_later(posix_house: Household, tmp_path: Path) -> None:
    house = posix_house
    (intent,) = intents = house.begin(1)
    house.write(intents)
    key = intent.grants[0].key
    house.rows.make_due()
    with undeletable((tmp_path / "artifacts" / key).parent):
        assert house.housekeeping.reap("main") == 0
        assert house.has(key)
    assert house.rows.aborted() == 1
    house.rows.make_due()
    assert house.housekeeping.reap("main") == 1
    assert not house.has(key)


def test_of_a_sound_repository_nothing_is_found(house: Household) -> None:
    first, second, _ = house.put(1, 2, 3)
    house.rows.trash(first)
    house.begin(4)
    house.rows.share(second)
    steps = list(house.housekeeping.fsck("main", checksums=True))
    assert [finding for step in steps for finding in step.findings] == []
    assert (steps[-1].inspected, steps[-1].total) == (4, 4)
    assert steps[-1].size == 2 * len(CONTENT)


def test_fsck_finds_what_is_dark_lost_or_of_another_length(house: Household) -> None:
    sound, lost, short = house.put(1, 2, 3)
    house.plant("somewhere/dark.json")
    house.remove(house.key(lost))
    house.remove(house.key(short))
    house.plant(house.key(short), b"short")
    found = {finding.kind: finding for finding in house.fsck()}
    dark = found[FindingKind.DARK]
    assert (dark.store, dark.key, dark.dataset_id) == ("main", "somewhere/dark.json", None)
    assert (dark.size, dark.recorded_size, dark.repaired) == (4, None, False)
    assert (found[FindingKind.LOST].dataset_id, found[FindingKind.LOST].size) == (lost, None)
    mismatched = found[FindingKind.MISMATCHED]
    assert (mismatched.dataset_id, mismatched.size, mismatched.recorded_size) == (short, 5, len(CONTENT))
    assert len(found) == 3
    assert house.has(house.key(sound))
    assert house.has("somewhere/dark.json")


def test_only_the_checksum_shows_bytes_that_changed(house: Household) -> None:
    (dataset_id,) = house.put(1)
    key = house.key(dataset_id)
    house.remove(key)
    house.plant(key, b"A NOTE")
    assert house.fsck() == []
    (finding,) = house.fsck(checksums=True)
    assert (finding.kind, finding.dataset_id) == (FindingKind.MISMATCHED, dataset_id)
    assert "it has the checksum sha256:" in finding.detail


def test_repair_moves_what_is_dark_to_quarantine_and_touches_nothing_else(house: Household) -> None:
    sound, lost = house.put(1, 2)
    house.remove(house.key(lost))
    house.plant("somewhere/dark.json")
    found = house.fsck(repair=True)
    assert {(finding.kind, finding.repaired) for finding in found} == {
        (FindingKind.DARK, True),
        (FindingKind.LOST, False),
    }
    assert not house.has("somewhere/dark.json")
    assert house.has(house.key(sound))
    assert [finding.kind for finding in house.fsck()] == [FindingKind.LOST]


@pytest.mark.parametrize("other", ["stores", "stores/main", "stores/main/run1", "elsewhere"])
def test_artifacts_of_a_store_that_shares_a_directory_are_not_dark(tmp_path: Path, other: str) -> None:
    (tmp_path / "registry").mkdir()
    settings = {"root": str(tmp_path / "stores" / "main")}
    others = {"other": {"root": str(tmp_path / other)}}
    with household(f"sqlite:///{tmp_path}/registry", settings, others=others) as house:
        house.put(1, 2)
        house.plant("somewhere/dark.json")
        found = house.fsck(repair=True)
        assert {finding.key.removeprefix("main/") for finding in found} == {"somewhere/dark.json"}
        assert house.fsck() == []


def test_artifacts_of_a_repository_that_shares_a_directory_are_not_dark(
    posix_house: Household, tmp_path: Path
) -> None:
    house = posix_house
    house.put(1, 2)
    house.registry.create("second", DimensionUniverse(), request_id=uuid.uuid4())
    steps = house.housekeeping.fsck("second", repair=True)
    assert [finding for step in steps for finding in step.findings] == []
    assert house.fsck() == []


def test_artifacts_of_a_repository_that_shares_a_bucket_are_not_dark(
    tmp_path: Path, s3_server: S3Server, s3_bucket: str
) -> None:
    (tmp_path / "registry").mkdir()
    settings = s3_settings(s3_server, s3_bucket, tmp_path, prefix="all")
    with household(f"sqlite:///{tmp_path}/registry", settings) as house:
        house.put(1, 2)
        house.registry.create("second", DimensionUniverse(), request_id=uuid.uuid4())
        steps = house.housekeeping.fsck("second", repair=True)
        assert [finding for step in steps for finding in step.findings] == []
        assert house.fsck() == []


def test_what_cannot_be_moved_to_quarantine_says_why_and_the_rest_is_moved(
    posix_house: Household, tmp_path: Path
) -> None:
    house = posix_house
    for key in ("one/dark.json", "two/dark.json"):
        house.plant(key)
    with undeletable(tmp_path / "artifacts" / "one"):
        first, second = house.fsck(repair=True)
    assert (first.key, first.repaired, second.key, second.repaired) == (
        "one/dark.json",
        False,
        "two/dark.json",
        True,
    )
    assert "cannot be moved to quarantine" in first.detail
    assert house.has("one/dark.json")


def test_what_a_put_found_to_be_there_already_is_not_moved_to_quarantine(house: Household) -> None:
    # What a put left that was lost together with its intent, as in a registry that was restored from a backup.
    (intent,) = intents = house.begin(1)
    house.write(intents)
    house.setup.registry.puts.abort([intent.dataset_id], request_id=uuid.uuid4())
    house.setup.registry.puts.finish_abort([intent.dataset_id], request_id=uuid.uuid4())
    house.plant("another/dark.json")
    steps = house.housekeeping.fsck("main", repair=True)
    found = next(step.findings for step in steps if step.findings)
    assert [finding.key for finding in found] == ["another/dark.json"]
    again = house.setup.begin("note", "run1", [intent.data_id.mapping], ids=[intent.dataset_id])
    house.setup.commit(again, house.write(again))
    assert [finding for step in steps for finding in step.findings] == []
    assert house.has(intent.grants[0].key)
    assert house.fsck() == []


def test_quarantine_takes_the_longest_names_again(posix_house: Household, tmp_path: Path) -> None:
    key = "somewhere/" + "x" * 255
    for _ in range(2):
        posix_house.plant(key)
        assert [finding.repaired for finding in posix_house.fsck(repair=True)] == [True]
    assert len(list((tmp_path / "artifacts" / ".quarantine" / "somewhere").iterdir())) == 2


def test_quarantine_keeps_the_file_for_an_operator(posix_house: Household, tmp_path: Path) -> None:
    for content in (b"dark", b"darker"):
        posix_house.plant("somewhere/dark.json", content)
        posix_house.fsck(repair=True)
    folder = tmp_path / "artifacts" / ".quarantine" / "somewhere"
    assert sorted(path.read_bytes() for path in folder.iterdir()) == [b"dark", b"darker"]
    assert posix_house.fsck() == []


def test_what_is_new_is_not_dark(tmp_path: Path) -> None:
    (tmp_path / "registry").mkdir()
    settings = {"root": str(tmp_path / "artifacts")}
    with household(f"sqlite:///{tmp_path}/registry", settings, guard_seconds=60) as house:
        house.plant("somewhere/new.json")
        assert house.fsck(repair=True) == []
        assert house.has("somewhere/new.json")


def test_a_direct_file_that_somebody_removed_is_lost(tmp_path: Path) -> None:
    (tmp_path / "registry").mkdir()
    settings = {"root": str(tmp_path / "artifacts")}
    database = f"sqlite:///{tmp_path}/registry"
    drop = tmp_path / "drop"
    drop.mkdir()
    with household(database, settings, ingest_roots=(str(drop),)) as house:
        (dataset_id,) = house.put(1)
        file = drop / "note.json"
        file.write_bytes(CONTENT)
        with house.rows.engine.begin() as connection:
            connection.execute(
                house.rows.tables.artifact_record.update().values(store="direct", key=file.as_uri())
            )
        assert [finding.kind for finding in house.fsck(checksums=True)] == [FindingKind.DARK]
        file.unlink()
        lost = [finding for finding in house.fsck() if finding.kind is FindingKind.LOST]
        assert [(finding.store, finding.dataset_id) for finding in lost] == [("direct", dataset_id)]


def test_the_worker_keeps_house_until_it_is_stopped(posix_house: Household) -> None:
    house = posix_house
    first, second = house.put(1, 2)
    intents = house.begin(3)
    house.write(intents)
    gone = [house.key(first), intents[0].grants[0].key]
    with house.datastore.keeping_house(0.05):
        house.rows.trash(first)
        house.rows.make_due()
        _wait_until(lambda: not any(map(house.has, gone)))
    assert house.has(house.key(second))
    assert "housekeeping" not in {thread.name for thread in threading.enumerate()}


def _wait_until(ready: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_repository_that_is_not_there_has_no_house(posix_house: Household) -> None:
    with pytest.raises(RepositoryNotFoundError, match="nowhere"):
        list(posix_house.housekeeping.empty_trash("nowhere", TrashSelection()))


def test_a_pass_is_needed_and_is_valid_for_a_minute(posix_house: Household) -> None:
    now = [1_000.0]
    keys = [b"a key for the tests of housekeeping"]
    signer = TokenSigner(keys, clock=lambda: now[0])
    token = signer.sign_pass()
    signer.check_pass(token)
    now[0] += 62
    with pytest.raises(GrantError, match="has expired"):
        signer.check_pass(token)
    stranger = TokenSigner([b"a key that no service has, but a stranger"]).sign_pass()
    with pytest.raises(GrantError, match="altered, or signed with a key"):
        posix_house.registry.guarded_ledgers.ledger(stranger, "main")
    with pytest.raises(GrantError):
        posix_house.registry.guarded_ledgers.ledger(b"", "main")
