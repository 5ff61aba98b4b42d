# SPDX-License-Identifier: BSD-3-Clause
"""The last release and today's software work together, whichever of client and services is the older one.

What is meant by the last release, `tools.baseline` says. It is run from its sources, in processes of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.requirement import unavailable
from tests.support.skewed_client import LARGE
from tools.baseline import baseline, unpack
from tools.servers.process import ROOT
from tools.servers.services import own_services

MEMBERS = ("model", "protos", "registry_service", "datastore_service", "client")
CLIENT, REGISTRY, DATASTORE = "client", "butler_registry", "butler_datastore"
WHOLE = {
    "notes": [[2, 2], [3, 3], [4, 4]],
    "by name": {"n": 2},
    "large": hashlib.sha256(LARGE).hexdigest(),
    "visits": [[1, "g"], [2, "r"]],
    "collections": ["skew/chain", "skew/run"],
}
PRUNED = {**WHOLE, "notes": [[2, 2], [3, 3]]}


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Give the environment of a process that runs the last release."""
    try:
        found = baseline()
    except LookupError as error:
        unavailable("baseline", str(error))
    folder = tmp_path_factory.mktemp("older")
    unpack(found.commit, folder, MEMBERS)
    for member in MEMBERS:
        _describe(folder / member)
    path = os.pathsep.join(str(folder / member / "src") for member in MEMBERS)
    return {"PYTHONPATH": path}


def _describe(member: Path) -> None:
    """Write beside the packages of a member what installing it would: its name, and what it offers by label."""
    project = tomllib.loads((member / "pyproject.toml").read_text())["project"]
    name, version = project["name"].replace("-", "_"), project["version"]
    described = member / "src" / f"{name}-{version}.dist-info"
    described.mkdir()
    (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    groups = project.get("entry-points", {})
    lines = [
        line
        for group, entries in groups.items()
        for line in (f"[{group}]", *(f"{label} = {code}" for label, code in entries.items()))
    ]
    (described / "entry_points.txt").write_text("\n".join(lines))


def told_by_client(command: str, address: str, environment: Mapping[str, str]) -> Any:
    """Run the client, and return what it saw; it must be of the version that it is to be."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.skewed_client", command, address],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    path = environment.get("PYTHONPATH", str(ROOT / "client" / "src"))
    assert Path(told["butler"]).parents[1] in map(Path, path.split(os.pathsep))
    return told["seen"]


@pytest.mark.parametrize(
    "old",
    [{CLIENT}, {REGISTRY, DATASTORE}, {REGISTRY}, {DATASTORE}, {CLIENT, REGISTRY}, {CLIENT, DATASTORE}],
    ids=lambda old: "-".join(sorted(old)),
)
def test_a_repository_is_used_by_parts_of_which_some_are_the_last_release(
    older: Mapping[str, str], old: set[str], postgres_database: str, tmp_path: Path
) -> None:
    environments = {part: older if part in old else {} for part in (CLIENT, REGISTRY, DATASTORE)}
    with own_services(postgres_database, tmp_path, environments=environments) as address:
        seen = told_by_client("work", f"grpc://{address}/skew", environments[CLIENT])
    assert seen == {
        "refused": "ConflictingDefinitionError",
        "given up": [1],
        "before": WHOLE,
        "after": PRUNED,
    }


def test_what_the_last_release_stored_is_served_by_todays_services(
    older: Mapping[str, str], postgres_database: str, tmp_path: Path
) -> None:
    environments = {REGISTRY: older, DATASTORE: older}
    with own_services(postgres_database, tmp_path, environments=environments) as address:
        told_by_client("work", f"grpc://{address}/skew", older)
    migrate = [sys.executable, "-m", "butler_registry", "migrate"]
    settings = {"DATABASE": postgres_database, "SIGNING_KEYS": str(tmp_path / "signing-keys")}
    environment = {f"BUTLER_REGISTRY_{name}": value for name, value in settings.items()}
    subprocess.run(migrate, cwd=ROOT, env={**os.environ, **environment}, check=True, timeout=60)
    with own_services(postgres_database, tmp_path) as address:
        assert told_by_client("look", f"grpc://{address}/skew", {}) == PRUNED
        assert told_by_client("look", f"grpc://{address}/skew", older) == PRUNED
