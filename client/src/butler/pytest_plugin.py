# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of pytest for programs that use a butler. Nothing else is loaded before a test asks for one."""

from __future__ import annotations

__all__ = ["butler_repository", "butler_services", "served_butler_repository"]

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def butler_repository(tmp_path: Path) -> str:
    """Give the directory of an empty embedded repository, which `butler.Butler` opens."""
    from butler import Butler

    root = tmp_path / "butler_repository"
    Butler.makeRepo(root)
    return str(root)


@pytest.fixture(scope="session")
def butler_services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give ``grpc://host:port`` of both services, which run in a process of their own until all tests are done."""
    from .testing.serving import served_repositories

    with served_repositories(tmp_path_factory.mktemp("butler_services")) as address:
        yield address.rpartition("/")[0]


@pytest.fixture
def served_butler_repository(butler_services: str) -> str:
    """Give the address of an empty repository behind services, which `butler.Butler` opens."""
    from butler import Butler

    address = f"{butler_services}/test_{uuid.uuid4().hex[:12]}"
    Butler.makeRepo(address)
    return address
