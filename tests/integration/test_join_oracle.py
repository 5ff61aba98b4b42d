# SPDX-License-Identifier: BSD-3-Clause
"""Random queries that join datasets and data IDs: both databases select what plain loops select.

``make fuzz-queries CASES=5000`` tries more of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from butler import Butler, DataCoordinate
from butler.query import Query
from tests.support.butlers import new_repository
from tests.support.joined import Drawn, Night, Search, draws, fill, searches

CASES = int(os.environ.get("BUTLER_FUZZ_QUERIES", "300"))
"""For each database."""

_FUZZED = settings(
    max_examples=CASES,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module", params=["embedded-sqlite", "embedded-postgresql"])
def night(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Butler, Night]]:
    """Give a butler of a filled repository, and what is in it."""
    with (
        new_repository(request, tmp_path_factory.mktemp("joins")) as place,
        Butler(place.root, writeable=True) as butler,
    ):
        yield butler, fill(butler, seed=3)


def asked(butler: Butler, query: Query, drawn: Drawn) -> Query:
    """Return a query with all that was drawn."""
    for search in drawn.searches:
        query = query.join_dataset_search(search.dataset_type, list(search.collections))
    for table in drawn.uploads:
        query = query.join_data_coordinates(
            [DataCoordinate.standardize(values, universe=butler.dimensions) for values in table]
        )
    return query.where(drawn.given, drawn.where) if drawn.where else query.where(drawn.given)


@_FUZZED
@given(drawn=draws())
def test_data_ids_are_those_that_plain_loops_find(night: tuple[Butler, Night], drawn: Drawn) -> None:
    butler, content = night
    expected = drawn.data_ids(content)
    with butler.query() as query:
        results = asked(butler, query, drawn).data_ids(drawn.dimensions)
        found = [tuple(each[name] for name in drawn.key_names()) for each in results]
        assert len(found) == len(set(found))
        assert set(found) == expected
        assert results.count() == len(expected)
        assert results.any() == bool(expected)


@_FUZZED
@given(drawn=draws(), search=searches(with_calibrations=False))
def test_datasets_found_first_are_those_that_plain_loops_find(
    night: tuple[Butler, Night], drawn: Drawn, search: Search
) -> None:
    butler, content = night
    joined = Drawn((), (*drawn.searches, search), drawn.uploads, drawn.given, drawn.where)
    expected = joined.first_datasets(search, content)
    with butler.query() as query:
        results = asked(butler, query, drawn).datasets(search.dataset_type, list(search.collections))
        found = [ref.id for ref in results]
        assert len(found) == len(set(found))
        assert set(found) == expected
        assert results.count() == len(expected)
        assert [ref.id for ref in results.limit(3)] == found[:3]
