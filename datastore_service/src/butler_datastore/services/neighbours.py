# SPDX-License-Identifier: BSD-3-Clause
"""Stores that share a directory or a bucket: what one of them lists may be the artifacts of another."""

from __future__ import annotations

__all__ = ["Neighbours", "Place"]

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from butler_model.ports import Ledgers

Place: TypeAlias = tuple[str, ...]
"""Where a store has its artifacts, in parts, so that a place within another begins with the parts of that."""

_PAGE = 10_000


class Neighbours:
    """Knows which stores overlap, be it of one repository or of several.

    Parameters
    ----------
    ledgers
        What the registry knows of each repository.
    places
        For each store, what gives its places for a repository: several for a chain, none for what is in memory.
    """

    def __init__(self, ledgers: Ledgers, places: Mapping[str, Callable[[str], Sequence[Place]]]) -> None:
        self._ledgers = ledgers
        self._places = places

    def keys(self, store: str, repository: str) -> Iterator[str]:
        """Yield the artifacts of others that are where a store has its own, under the keys by which it lists them."""
        mine = self._of(store, repository)
        for other_repository, other in itertools.product(self._ledgers.names() if mine else (), self._places):
            if (other, other_repository) == (store, repository):
                continue
            for here, there in itertools.product(mine, self._of(other, other_repository)):
                if here[: len(there)] == there or there[: len(here)] == here:
                    yield from _listed(here, there, self._known(other, other_repository))

    def _of(self, store: str, repository: str) -> Sequence[Place]:
        return self._places[store](repository) if store in self._places else ()

    def _known(self, store: str, repository: str) -> Iterator[str]:
        ledger, after = self._ledgers.ledger(repository), ""
        while page := ledger.known(store, after=after, limit=_PAGE):
            yield from (artifact.key for artifact in page)
            after = page[-1].key


def _listed(here: Place, there: Place, keys: Iterator[str]) -> Iterator[str]:
    """Yield those keys of the one place that are in the other, as keys of that."""
    within, above = "/".join((*there[len(here) :], "")), "/".join((*here[len(there) :], ""))
    for key in keys:
        if key.startswith(above):
            yield within + key[len(above) :]
