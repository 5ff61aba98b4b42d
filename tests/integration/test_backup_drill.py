# SPDX-License-Identifier: BSD-3-Clause
"""docs/backup.md is true: a backup taken while others write and remove can be restored, and what is amiss is known."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from butler import Butler, DatasetRef
from tests.support.requirement import unavailable
from tests.support.survey import insert_survey, register_types
from tools.servers.postgres import INSTALLATION, PACKAGE, PostgresServer
from tools.servers.services import own_services

DETECTORS = (1, 2, 3, 4)
RUN_IN_KEY = re.compile(r"\bwork/(\d+)/")


@dataclass
class Work:
    """What writer and pruner have done so far.

    Attributes
    ----------
    contents
        By dataset that was put.
    removed
        Datasets whose removal was begun.
    begun
        How many runs the writer has begun; they are called ``work/0``, ``work/1`` and so on.
    """

    contents: dict[DatasetRef, bytes] = field(default_factory=dict)
    removed: set[DatasetRef] = field(default_factory=set)
    begun: int = 0


@dataclass(frozen=True)
class Backup:
    """A dump of the database, a copy of the store, and what was known when they were taken.

    Attributes
    ----------
    whole
        Datasets that were there before the dump was begun.
    begun
        How many runs had been begun by then.
    removed
        Datasets whose removal had been begun before the copy was complete.
    """

    dump: Path
    store: Path
    whole: dict[DatasetRef, bytes]
    begun: int
    removed: set[DatasetRef]


def program(name: str) -> str:
    """Return the path of a program of PostgreSQL."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        unavailable("postgres", f"the package {PACKAGE}, which brings {name}, is not there")
    return str(Path(spec.submodule_search_locations[0]) / INSTALLATION / "bin" / name)


def plain_url(url: str) -> str:
    """Return the URL of a database as PostgreSQL's own programs want it."""
    return urlunsplit(urlsplit(url)._replace(scheme="postgresql"))


def write(address: str, work: Work, stop: threading.Event) -> None:
    """Put four datasets into a new run, over and over."""
    with Butler(address, writeable=True) as butler:
        while not stop.is_set():
            number, work.begun = work.begun, work.begun + 1
            butler.registry.registerRun(f"work/{number}")
            for detector in DETECTORS:
                content = f"{number} {detector}".encode() * 100
                ref = butler.put(content, "blob", run=f"work/{number}", instrument="Cam1", detector=detector)
                work.contents[ref] = content


def prune(address: str, work: Work, stop: threading.Event, purge_after: int) -> None:
    """Remove a dataset that is there, over and over: one of detector 3, so that most stay."""
    with Butler(address, writeable=True) as butler:
        while not stop.is_set():
            refs = [ref for ref in list(work.contents) if ref.dataId["detector"] == 3]
            for ref in [ref for ref in refs if ref not in work.removed][:1]:
                work.removed.add(ref)
                butler.pruneDatasets([ref], unstore=True, purge=True, purge_after=purge_after)
            stop.wait(0.05)


@contextmanager
def busy(address: str, purge_after: int) -> Iterator[Work]:
    """Have somebody write and somebody remove."""
    work, stop = Work(), threading.Event()
    threads = [
        threading.Thread(target=write, args=(address, work, stop)),
        threading.Thread(target=prune, args=(address, work, stop, purge_after)),
    ]
    for thread in threads:
        thread.start()
    try:
        yield work
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def wait_for_work(work: Work, runs: int) -> None:
    """Wait until the writer has begun that many runs more."""
    wanted = work.begun + runs
    while work.begun < wanted:
        threading.Event().wait(0.05)


def copy_store(source: Path, target: Path) -> None:
    """Copy files as rsync does: what vanishes meanwhile is left out, times are kept."""
    for folder, _, names in os.walk(source):
        for name in names:
            path = Path(folder) / name
            to = target / path.relative_to(source)
            to.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(path, to)
            except FileNotFoundError:
                to.unlink(missing_ok=True)
                continue
            # As if the backup were of yesterday: fsck leaves alone what is too new to be known.
            os.utime(to, (0, 0))


def take_backup(database: str, store: Path, folder: Path, work: Work) -> Backup:
    """Do what the runbook says: the database first, then the store."""
    folder.mkdir()
    whole, begun = dict(work.contents), work.begun
    for ref in set(work.removed):
        whole.pop(ref, None)
    dump = folder / "registry.dump"
    subprocess.run(
        [program("pg_dump"), "--format=custom", f"--file={dump}", plain_url(database)],
        check=True,
        timeout=120,
    )
    wait_for_work(work, 2)
    copy_store(store, folder / "store")
    return Backup(dump, folder / "store", whole, begun, set(work.removed))


@contextmanager
def restored(backup: Backup, server: PostgresServer, folder: Path) -> Iterator[str]:
    """Do what the runbook says on another deployment; give the address of its repository."""
    database = server.create_database()
    try:
        subprocess.run(
            [
                program("pg_restore"),
                "--no-owner",
                "--exit-on-error",
                f"--dbname={plain_url(database)}",
                backup.dump,
            ],
            check=True,
            timeout=120,
        )
        (folder / "artifacts").mkdir(parents=True)
        backup.store.rename(folder / "artifacts" / "main")
        with own_services(database, folder) as address:
            yield f"grpc://{address}/main"
    finally:
        server.drop_database(database)


def fsck(address: str, *options: str) -> list[dict[str, Any]]:
    """Run ``butler fsck``; return its findings."""
    done = subprocess.run(
        [sys.executable, "-m", "butler.cli", "fsck", "--checksums", "--json", *options, address],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode in {0, 1}, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def check(backup: Backup, address: str, *, nothing_lost: bool) -> None:
    """Look whether all is there that should be, and the rest is as the runbook explains; then mend it."""
    findings = fsck(address)
    kinds = {kind: [each for each in findings if each["kind"] == kind] for kind in ("dark", "lost")}
    assert len(findings) == len(kinds["dark"]) + len(kinds["lost"]), findings
    # Dark is only what was written after the dump was begun.
    for each in kinds["dark"]:
        found = RUN_IN_KEY.search(each["key"])
        assert found is not None, each
        assert int(found[1]) >= backup.begun - 1, each
    # Lost is only what was removed after the dump was begun.
    assert {each["dataset_id"] for each in kinds["lost"]} <= {str(ref.id) for ref in backup.removed}
    assert not (nothing_lost and kinds["lost"])
    with Butler(address, writeable=True) as butler:
        kept = {ref: content for ref, content in backup.whole.items() if ref not in backup.removed}
        assert kept
        for ref, content in kept.items():
            assert butler.get(ref) == content
        lost = [
            ref for ref in backup.removed if str(ref.id) in {each["dataset_id"] for each in kinds["lost"]}
        ]
        butler.pruneDatasets(lost, unstore=True, purge=True)
    if kinds["dark"]:
        assert all(each["repaired"] for each in fsck(address, "--repair"))
    assert fsck(address) == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize("purge_after", [0, 3600], ids=["deleted-at-once", "deleted-later"])
def test_a_backup_taken_while_others_write_and_remove_is_restored_with_explained_differences_only(
    purge_after: int, postgres_server: PostgresServer, postgres_database: str, tmp_path: Path
) -> None:
    served = tmp_path / "served"
    served.mkdir()
    with own_services(postgres_database, served) as service:
        address = f"grpc://{service}/main"
        Butler.makeRepo(address)
        with Butler(address, writeable=True) as butler:
            insert_survey(butler)
            register_types(butler)
        store = served / "artifacts" / "main"
        with busy(address, purge_after) as work:
            backups = []
            for name in ("early", "late"):
                wait_for_work(work, 3)
                backups.append(take_backup(postgres_database, store, tmp_path / name, work))
    for backup in backups:
        folder = tmp_path / f"restored-{backup.dump.parent.name}"
        with restored(backup, postgres_server, folder) as address:
            check(backup, address, nothing_lost=purge_after > 0)
