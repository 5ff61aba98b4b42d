# SPDX-License-Identifier: BSD-3-Clause
"""The stores of all repositories, opened when they are first used."""

from __future__ import annotations

__all__ = ["OpenedStores"]

from collections.abc import Callable, Mapping

from butler_datastore.stores.store import Store
from butler_model.errors import ConfigurationError
from butler_model.repository import check_repository_name


class OpenedStores:
    """Stores by name and repository. Safe to use from many threads.

    Parameters
    ----------
    openers
        For each store its name and what opens it for a repository.
    """

    def __init__(self, openers: Mapping[str, Callable[[str], Store]]) -> None:
        self._openers = dict(openers)
        self._opened: dict[tuple[str, str], Store] = {}

    @property
    def names(self) -> list[str]:
        """Names of the stores, ascending."""
        return sorted(self._openers)

    def get(self, name: str, repository: str, key: str) -> Store:
        """Return the store in which the registry places an artifact; `ConfigurationError` if there is none."""
        store = self._opened.get((name, repository))
        if store is None:
            if name not in self._openers:
                raise ConfigurationError(
                    f"The registry places {key!r} in a store {name!r}, but this datastore has "
                    f"{', '.join(self.names) or 'none'}; give both services the same stores.",
                    store=name,
                )
            opened = self._openers[name](check_repository_name(repository))
            # Of two threads that open it at the same time, both use the one that came first.
            store = self._opened.setdefault((name, repository), opened)
        return store

    def close(self) -> None:
        """Forget the stores that are open."""
        self._opened.clear()
