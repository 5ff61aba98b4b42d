# SPDX-License-Identifier: BSD-3-Clause
"""Clients in several languages do the same, against real services, with and without TLS and tokens.

Only the one in Python, which needs no building, runs by default; ``make languages`` runs all of them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from butler import Butler, CollectionType, DatasetType
from tests.support.secured import secured_services
from tests.support.survey import insert_survey
from tools.languages import LANGUAGES, ROOT, Language, build
from tools.servers.services import own_services

SCRIPT = ROOT / "examples" / "conformance" / "core.json"
NAMES = os.environ.get("BUTLER_LANGUAGES", "python").split()
SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Deployment:
    """Running services.

    Attributes
    ----------
    address
        Scheme, host and port, without a repository.
    environment
        What a client needs to know of them.
    """

    address: str
    environment: Mapping[str, str]


@pytest.fixture(scope="module", params=["open", "secured"])
def deployment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """Give services that ask nobody, then such that have TLS and want a token."""
    folder = tmp_path_factory.mktemp("services")
    if request.param == "open":
        (folder / "databases").mkdir()
        with own_services(f"sqlite:///{folder / 'databases'}", folder) as address:
            yield Deployment(f"grpc://{address}", {})
    else:
        with secured_services(folder) as services:
            yield Deployment(services.registry, services.environment(services.provider.token()))


# The browser is none of them: it only reads.
@pytest.fixture(scope="module", params=[name for name in LANGUAGES if {"all", name} & set(NAMES)])
def language(request: pytest.FixtureRequest) -> tuple[str, Language]:
    """Build a client."""
    build(LANGUAGES[request.param])
    return request.param, LANGUAGES[request.param]


def prepare(address: str) -> None:
    """Make a repository that has what the script says."""
    setup = json.loads(SCRIPT.read_text())["setup"]
    Butler.makeRepo(address)
    with Butler(address, writeable=True) as butler:
        insert_survey(butler, setup["instrument"])
        for name, dimensions in setup["dataset_types"].items():
            butler.registry.registerDatasetType(
                DatasetType(name, dimensions, "Bytes", universe=butler.dimensions)
            )
        for run in setup["runs"]:
            butler.collections.register(run, CollectionType.RUN)


@pytest.mark.timeout(0)
def test_a_client_does_all_that_the_script_says(
    language: tuple[str, Language], deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, client = language
    for variable, value in deployment.environment.items():
        monkeypatch.setenv(variable, value)
    address = f"{deployment.address}/in_{name}"
    prepare(address)
    done = subprocess.run(
        [*client.run, str(SCRIPT), address],
        cwd=client.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    wanted = [f"ok {step['name']}" for step in json.loads(SCRIPT.read_text())["steps"]]
    assert done.stdout.splitlines() == wanted


def test_a_client_says_why_it_stops(language: tuple[str, Language], deployment: Deployment) -> None:
    _, client = language
    address = f"{deployment.address}/no_such_repository"
    done = subprocess.run(
        [*client.run, str(SCRIPT), address],
        cwd=client.folder,
        env={**os.environ, **deployment.environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode != 0
    assert "no_such_repository" in done.stderr


@pytest.mark.skipif(not {"all", "go"} & set(NAMES), reason="grpcurl is built by Go: make languages")
@pytest.mark.timeout(0)
def test_a_person_asks_without_any_client(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["make", "--no-print-directory", "build/tools/grpcurl"], cwd=ROOT, check=True)
    for variable, value in deployment.environment.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("PATH", f"{ROOT / 'build' / 'tools'}:{os.environ['PATH']}")
    prepare(f"{deployment.address}/main")
    _, _, host = deployment.address.partition("://")
    manual = (ROOT / "examples" / "clients" / "README.md").read_text().partition("## Without a client")[2]
    open_block, secured_block = re.findall(r"```sh\n(.*?)```", manual, re.DOTALL)
    commands = (secured_block if deployment.environment else open_block).replace("127.0.0.1:50051", host)
    done = subprocess.run(
        ["bash", "-euc", commands], capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if deployment.environment:
        assert '"datastore_endpoint"' in done.stdout
    else:
        assert "butler_api.v1.RepositoryService" in done.stdout
        assert "rpc QueryDataIds ( .butler_api.v1.QueryDataIdsRequest )" in done.stdout
        assert '"Cam1"' in done.stdout
