# SPDX-License-Identifier: BSD-3-Clause
"""For which runs a quota is, and what is none."""

from __future__ import annotations

import pytest

from butler_model.errors import InvalidNameError, InvalidRequestError
from butler_model.quota import Quota, stricter_first

PLACES = [
    ("u/alice", "u/alice", "u/alice"),
    ("u/alice", "u/alice/run", None),
    ("u/alice/**", "u/alice", "u/alice"),
    ("u/alice/**", "u/alice/a/b", "u/alice"),
    ("u/alice/**", "u/alice2", None),
    ("u/*/**", "u/alice/a/b", "u/alice"),
    ("u/*/**", "u/bob", "u/bob"),
    ("u/*/**", "u", None),
    ("u/*/tmp/**", "u/bob/tmp/x", "u/bob/tmp"),
    ("u/*", "u/bob/tmp", None),
    ("*/raw", "HSC/raw", "HSC/raw"),
    ("a.b/**", "axb/c", None),
    ("a+b/**", "a+b/c", "a+b"),
    ("**", "anything/at/all", ""),
]


@pytest.mark.parametrize(("prefix", "run", "place"), PLACES)
def test_a_run_counts_for_a_quota_below_one_place(prefix: str, run: str, place: str | None) -> None:
    assert Quota(prefix, 1).place_of(run) == place


@pytest.mark.parametrize(
    "prefix", ["", "/", "a//b", "/a", "a/", "u/al*/**", "a/**/b", "a/***", "a?", "a[b]", "a\n", "x" * 256]
)
def test_what_is_no_prefix_is_refused(prefix: str) -> None:
    with pytest.raises(InvalidNameError, match="no prefix of a quota"):
        Quota(prefix, 1)


@pytest.mark.parametrize("size", [-1, 2**63])
def test_what_is_no_number_of_bytes_is_refused(size: int) -> None:
    with pytest.raises(InvalidRequestError, match=str(size)):
        Quota("a", size)


def test_the_smallest_is_looked_at_first() -> None:
    quotas = [Quota("b", 3), Quota("c", 1), Quota("a", 3)]
    assert [quota.prefix for quota in stricter_first(quotas)] == ["c", "a", "b"]
