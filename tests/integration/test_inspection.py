# SPDX-License-Identifier: BSD-3-Clause
"""``butler fsck`` and ``butler verify``, and the worker of a datastore service as a process."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from butler import Butler
from tests.support.butlers import DEPLOYMENTS, Deployment, Repository, deployment
from tests.support.trashing import open_rows
from tools.servers.services import own_services

COMMAND = (sys.executable, "-m", "butler.cli")


@pytest.fixture(params=[kind for kind in DEPLOYMENTS if kind.endswith("sqlite")])
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Repository]:
    """Give a repository with some datasets."""
    with deployment(request.param, tmp_path, None) as place:
        Butler.makeRepo(place.root, **place.options)
        made = Repository(place, place.root)
        butler = made.surveyed()
        for detector in (1, 2):
            butler.put({"a": detector}, "note", instrument="Cam1", detector=detector)
        yield made
        made.close()


def butler(*arguments: str) -> tuple[int, list[dict[str, object]], str]:
    """Run the program with ``--json``; return its exit code, the objects that it printed, and its remarks."""
    done = subprocess.run(
        [*COMMAND, *arguments, "--json"], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def artifacts(place: Deployment) -> list[Path]:
    """Return the files of all artifacts."""
    return sorted(path for path in place.artifacts.rglob("*.json") if path.is_file())


def test_of_a_sound_repository_nothing_is_reported(repository: Repository) -> None:
    for command in (["fsck"], ["fsck", "--checksums"], ["verify"]):
        code, found, remarks = butler(*command, repository.address)
        assert (code, found) == (0, [])
        assert "2 artifacts inspected" in remarks
        assert "0 findings" in remarks


def test_what_is_wrong_is_printed_and_told_by_the_exit_code(repository: Repository) -> None:
    lost, changed = artifacts(repository.deployment)
    lost.unlink()
    changed.write_bytes(changed.read_bytes()[::-1])
    code, found, _ = butler("fsck", repository.address)
    assert code == 1
    assert [(each["kind"], each["store"], each["size"]) for each in found] == [("lost", "main", None)]
    code, found, _ = butler("verify", repository.address)
    assert code == 1
    assert sorted(str(each["kind"]) for each in found) == ["lost", "mismatched"]
    # What is new may belong to a put that is going on.
    (lost.parent / "new.json").write_bytes(b"{}")
    code, found, _ = butler("fsck", "--repair", repository.address)
    assert [each["kind"] for each in found] == ["lost"]
    assert (lost.parent / "new.json").exists()


def test_the_files_of_the_repository_itself_are_not_dark(repository: Repository) -> None:
    assert butler("fsck", repository.address)[1] == []


def test_the_table_fits_people(repository: Repository) -> None:
    artifacts(repository.deployment)[0].unlink()
    command = [*COMMAND, "fsck", repository.address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "lost" in done.stdout
    assert "1 finding." in done.stderr


def test_the_worker_of_a_service_empties_the_trash(tmp_path: Path) -> None:
    tables = tmp_path / "tables"
    tables.mkdir()
    with own_services(f"sqlite:///{tables}", tmp_path, housekeeping_seconds=0.2) as address:
        root = f"grpc://{address}/main"
        Butler.makeRepo(root)
        with Butler(root, run="run1") as opened:
            repository = Repository(Deployment(root, "", None, tmp_path, tmp_path), root)
            surveyed = repository.surveyed()
            refs = [surveyed.put({"a": d}, "note", instrument="Cam1", detector=d) for d in (1, 2)]
            assert len(list((tmp_path / "artifacts").rglob("*.json"))) == 2
            with open_rows(f"sqlite:///{tables}", "main") as rows:
                rows.trash(*(ref.id for ref in refs[:1] if ref.id))
                end = time.monotonic() + 30
                while rows.count(rows.tables.artifact_trash):
                    assert time.monotonic() < end
                    time.sleep(0.1)
            assert len(list((tmp_path / "artifacts").rglob("*.json"))) == 1
            assert opened.get(refs[1]) == {"a": 2}
            repository.close()
    log = (tmp_path / "butler_datastore.log").read_text()
    assert "emptied the trash of main" in log
    assert "deleted=1" in log
