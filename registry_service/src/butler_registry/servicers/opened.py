# SPDX-License-Identifier: BSD-3-Clause
"""What every servicer begins with: the repository that a request names."""

from __future__ import annotations

__all__ = ["Opened", "OpenedInTransaction", "OpenedRepositories"]

from dataclasses import dataclass, replace

from butler_api.caller import caller
from butler_model.errors import InvalidRequestError
from butler_model.ports import Registry, Repositories
from butler_model.principal import LOCAL
from butler_model.repository import Limits
from butler_model.universe import DimensionUniverse
from butler_registry.services.callers import CallerService


@dataclass(frozen=True, slots=True)
class Opened:
    """A registry, with what does not change of its repository at hand."""

    registry: Registry
    universe: DimensionUniverse
    limits: Limits

    @property
    def revision(self) -> int:
        """Revision that the call just made in this thread saw or made; it costs no question to the database."""
        return self.registry.revision


class OpenedRepositories:
    """Opens repositories by name, each once."""

    def __init__(self, repositories: Repositories, callers: CallerService) -> None:
        self._repositories = repositories
        self._callers = callers
        self._opened: dict[str, Opened] = {}

    def open(self, name: str) -> Opened:
        """Return a repository as the caller sees it; `RepositoryNotFoundError` if there is none of that name."""
        principal = caller()
        if principal is LOCAL:
            return self._open(name)
        registry = self._callers.open_for(name, principal)
        return replace(self._open(name), registry=registry)

    def _open(self, name: str) -> Opened:
        opened = self._opened.get(name)
        if opened is None:
            registry = self._repositories.open(name)
            info = registry.info
            opened = self._opened[name] = Opened(registry, info.universe, info.limits)
        return opened


class OpenedInTransaction(OpenedRepositories):
    """The one repository of a transaction.

    Parameters
    ----------
    name
        Its name.
    within
        The transaction, as the registry of that repository.
    """

    def __init__(self, name: str, within: Opened) -> None:
        self._name = name
        self._within = within

    def open(self, name: str) -> Opened:
        """Return the repository; `InvalidRequestError` for any other one."""
        if name != self._name:
            raise InvalidRequestError(
                f"The transaction is one of repository {self._name!r}, not of {name!r:.80}."
            )
        return self._within
