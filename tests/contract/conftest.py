# SPDX-License-Identifier: BSD-3-Clause
"""A fresh repository of each kind for every contract test of the client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from butler import Butler
from tests.support.butlers import DEPLOYMENTS, Deployment, Repository, deployment, new_repository
from tests.support.observed import observe
from tests.support.stores import store_place


@pytest.fixture
def store_kind() -> str:
    """Give the kind of store of a test that does not name others, as `on_every_store` does."""
    return "posix"


@pytest.fixture(params=DEPLOYMENTS)
def place(request: pytest.FixtureRequest, tmp_path: Path, store_kind: str) -> Iterator[Deployment]:
    """Give a place for repositories that has none."""
    kind: str = request.param
    database = request.getfixturevalue("postgres_database") if kind.endswith("postgresql") else None
    store = None if store_kind == "posix" else store_place(store_kind, tmp_path, request)
    with deployment(kind, tmp_path, database, store) as made:
        yield made


@pytest.fixture
def repository(place: Deployment) -> Iterator[Repository]:
    """Give an empty repository."""
    Butler.makeRepo(place.root, **place.options)
    made = Repository(place, place.root)
    yield made
    made.close()


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def observed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Repository]:
    """Give a repository that `tests.support.observed` filled, for tests that only ask; a module shares it."""
    with new_repository(request, tmp_path_factory.mktemp("observed")) as place:
        made = Repository(place, place.root)
        with closing(made):
            observe(made.butler(writeable=True))
            yield made
