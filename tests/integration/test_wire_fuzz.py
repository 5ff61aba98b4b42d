# SPDX-License-Identifier: BSD-3-Clause
"""Whatever bytes a service is sent, it answers with an error that it foresaw, lives on, and keeps nothing of them."""

from __future__ import annotations

import logging
import os
import random
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from butler import Butler
from butler.remote import RemoteRepositories
from butler_model.grants import TokenSigner
from tests.support.registries import RegistrySetup
from tests.support.survey import insert_survey, register_types
from tests.support.wire_fuzz import Findings, Fuzzer
from tests.support.wire_services import DATASTORE_SERVICES, REGISTRY_SERVICES, methods_of
from tools.servers.services import own_services

REQUESTS = int(os.environ.get("BUTLER_FUZZ_WIRE", "5000"))
"""Requests to each service. CI sends 125,000 by ``make fuzz-wire``, of which 100,000 and more are refused."""
SEED = int(os.environ.get("BUTLER_FUZZ_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
MOST_GROWTH_MIB = 128
METHODS = {"registry": methods_of(REGISTRY_SERVICES), "datastore": methods_of(DATASTORE_SERVICES)}

pytestmark = pytest.mark.timeout(0 if REQUESTS > 5_000 else 600)


class Fuzzed:
    """Two running services with a little in them, and bytes that mean something to them."""

    def __init__(self, registry: str, datastore: str, known: list[bytes]) -> None:
        self.registry = registry
        self.datastore = datastore
        self.known = known


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    folder: Path = tmp_path_factory.mktemp("fuzzed")
    (folder / "tables").mkdir()
    with ExitStack() as stack:
        registry = stack.enter_context(own_services(f"sqlite:///{folder}/tables", folder))
        Butler.makeRepo(f"grpc://{registry}/main")
        repositories = RemoteRepositories(registry)
        stack.callback(repositories.close)
        with Butler(f"grpc://{registry}/main", run="run1") as butler:
            insert_survey(butler)
            register_types(butler)
            refs = [butler.put({"a": each}, "note", instrument="Cam1", detector=each) for each in (1, 2)]
        opened = repositories.open("main")
        setup = RegistrySetup(opened, "main", TokenSigner([b"no key of these services, only of tests"]))
        intents = setup.begin("note", "run1", [{"instrument": "Cam1", "detector": each} for each in (3, 4)])
        found = setup.find("note", {"instrument": "Cam1", "detector": 1}, "run1", want_artifacts=True)
        assert found is not None
        known = [
            *(ref.id.bytes for ref in refs if ref.id is not None),
            *(grant.token for intent in intents for grant in intent.grants),
            *(intent.dataset_id.bytes for intent in intents),
            *(artifact.grant for artifact in found.artifacts),
        ]
        yield Fuzzed(registry, opened.info.datastore_endpoint, known)


def memory_mib(program: str) -> float:
    """Return the resident memory of a service that this process started."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
            if command[1:4] == [b"-m", program.encode(), b"serve"] and os.getpid() in ancestors(folder):
                return int(status(folder, "VmRSS")) / 1024
        except OSError:
            continue
    raise LookupError(program)


def ancestors(folder: Path) -> Iterator[int]:
    while (parent := int(status(folder, "PPid"))) > 1:
        yield parent
        folder = folder.parent / str(parent)


def status(folder: Path, name: str) -> str:
    found = re.search(rf"^{name}:\s+(\d+)", (folder / "status").read_text(), re.MULTILINE)
    return found[1] if found else "0"


def check(address: str, findings: Findings, before: float, after: float) -> None:
    shown = "\n".join(
        f"{method}: {status}\n    {request[:2000]}" for method, status, request in findings.faults[:10]
    )
    assert not findings.faults, (
        f"{len(findings.faults)} faults with BUTLER_FUZZ_SEED={SEED}:\n{shown}\n{findings.codes}"
    )
    with grpc.insecure_channel(address) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=60)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    assert after - before < MOST_GROWTH_MIB, f"grew from {before:.0f} to {after:.0f} MiB; {findings.codes}"


@pytest.mark.parametrize("service", ["datastore", "registry"])
def test_a_service_foresees_every_request(service: str, services: Fuzzed) -> None:
    address: str = getattr(services, service)
    fuzzer = Fuzzer(METHODS[service], services.known, SEED)
    program = f"butler_{service}"
    # After a quarter all caches are full.
    early = fuzzer.run(address, REQUESTS // 4)
    before = memory_mib(program)
    check(address, early, 0.0, 0.0)
    late = Fuzzer(METHODS[service], services.known, SEED + 1)
    findings = late.run(address, REQUESTS - REQUESTS // 4)
    after = memory_mib(program)
    codes = early.codes + findings.codes
    refused = codes.total() - codes["OK"]
    logging.getLogger(__name__).info(
        "%s, seed %d: %d requests, %d refused, %s; %.0f, then %.0f MiB",
        *(program, SEED, codes.total(), refused, dict(codes), before, after),
    )
    assert refused >= 0.8 * REQUESTS
    check(address, findings, before, after)
