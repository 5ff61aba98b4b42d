# SPDX-License-Identifier: BSD-3-Clause
"""A fresh repository of each kind for every contract test of the client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from butler import Butler
from tests.support.butlers import DEPLOYMENTS, Deployment, Repository, deployment


@pytest.fixture(params=DEPLOYMENTS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    """Give a place for repositories that has none."""
    kind: str = request.param
    database = request.getfixturevalue("postgres_database") if kind.endswith("postgresql") else None
    with deployment(kind, tmp_path, database) as made:
        yield made


@pytest.fixture
def repository(place: Deployment) -> Iterator[Repository]:
    """Give an empty repository."""
    Butler.makeRepo(place.root, **place.options)
    made = Repository(place, place.root)
    yield made
    for butler in made.opened:
        butler.close()
