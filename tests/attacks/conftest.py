# SPDX-License-Identifier: BSD-3-Clause
"""Both services as processes, to be attacked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from butler import Butler
from butler.remote import RemoteRepositories
from butler_model.grants import TokenSigner
from tests.support.attacked import Target
from tests.support.behaved import Behaved
from tests.support.registries import RegistrySetup
from tests.support.survey import insert_survey, register_types
from tools.servers.services import own_services

LIMITS = {"butler_datastore": {"BUTLER_DATASTORE_BYTES_PER_SECOND": "20000000"}}
"""What docs/security.md advises for two processors that many share."""


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder: Path = tmp_path_factory.mktemp("services")
    (folder / "tables").mkdir()
    with ExitStack() as stack:
        registry = stack.enter_context(
            own_services(f"sqlite:///{folder}/tables", folder, environments=LIMITS)
        )
        address = f"grpc://{registry}/main"
        Butler.makeRepo(address)
        butler = stack.enter_context(_opened(address))
        insert_survey(butler)
        register_types(butler)
        butler.registry.registerRun("behaved")
        repositories = RemoteRepositories(registry)
        stack.callback(repositories.close)
        opened = repositories.open("main")
        setup = RegistrySetup(opened, "main", TokenSigner([b"no key of these services, only of tests"]))
        butler.put({"a": 1}, "note", instrument="Cam1", detector=1, run="behaved")
        behaved = stack.enter_context(Behaved.running(address, "behaved"))
        target = Target(registry, opened.info.datastore_endpoint, butler, setup, behaved)
        yield target


@pytest.fixture(autouse=True)
def _quiet(target: Target) -> None:
    """Measure anew before each attack: a machine is not the same all the time."""
    target.quiet = target.times()


@contextmanager
def _opened(address: str) -> Iterator[Butler]:
    butler = Butler(address, run="run1")
    try:
        yield butler
    finally:
        butler.close()
