# SPDX-License-Identifier: BSD-3-Clause
"""What those who call may do, across the repositories of a deployment."""

from __future__ import annotations

__all__ = ["CallerService", "GuardedRegistry", "GuardedRepositories", "IdentifiedToken"]

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast
from uuid import UUID, uuid4

from butler_model.access import Access, AccessEntry, Verb, denied, stands_for
from butler_model.api_token import ApiToken, TokenSecret, principal_of
from butler_model.errors import (
    AccessDeniedError,
    AuthenticationError,
    RepositoryNotFoundError,
)
from butler_model.ports import Registry
from butler_model.principal import AuthenticationMethod, Principal

from .access import AccessService
from .quotas import QuotaService
from .views import Viewer, Views

_TOKEN_SECONDS = 5.0
"""How long it may take until a token that was revoked is refused."""
_NSEC = 10**9


class GuardedRegistry(Protocol):
    """A registry that knows who may do what."""

    @property
    def access(self) -> AccessService: ...
    @property
    def quotas(self) -> QuotaService: ...
    @property
    def views(self) -> Views[Any]: ...


class GuardedRepositories(Protocol):
    """Such registries by name."""

    def open(self, name: str) -> GuardedRegistry: ...
    def names(self) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class IdentifiedToken:
    """Whom an API token stands for, and the Unix time at which that has to be asked again."""

    principal: Principal
    expires: float


class CallerService:
    """Answers for callers.

    Parameters
    ----------
    administrators
        Subjects that may do everything; if there are none, everybody who is known may make repositories.
    """

    def __init__(self, repositories: GuardedRepositories, administrators: Sequence[str]) -> None:
        self._repositories = repositories
        self._administrators = administrators

    def access(self, repository: str, principal: Principal) -> Access:
        """Return what somebody may do in a repository.

        Raises
        ------
        RepositoryNotFoundError
            Raised if that is nothing, just as if there were no such repository.
        AuthenticationError
            Raised instead for somebody unknown.
        """
        try:
            access = self._repositories.open(repository).access.access_of(principal)
        except RepositoryNotFoundError:
            access = None
        if access is None or not access.may_anywhere(Verb.READ_METADATA):
            if principal.is_anonymous:
                raise AuthenticationError(
                    "This is not for everybody; show a token: name the file of yours in BUTLER_TOKEN_FILE, and this "
                    "host in BUTLER_TOKEN_HOSTS."
                )
            raise RepositoryNotFoundError(
                f"There is no repository {repository!r:.80} that you may see.", repository=repository[:80]
            )
        return access

    def open_for(self, repository: str, principal: Principal) -> Registry:
        """Return a registry as somebody sees it, with the errors of `access`."""
        access = self.access(repository, principal)
        view = self._repositories.open(repository).views.of(Viewer(principal.name, access))
        return cast("Registry", view)

    def access_service(self, repository: str) -> AccessService:
        """Return the service for who may do what in a repository."""
        return self._repositories.open(repository).access

    def quota_service(self, repository: str) -> QuotaService:
        """Return the service for how much may be stored in a repository."""
        return self._repositories.open(repository).quotas

    def names_for(self, principal: Principal) -> list[str]:
        """Return the names of the repositories in which somebody may see something."""
        if principal.method is AuthenticationMethod.LOCAL:
            return self._repositories.names()
        return [
            name
            for name in self._repositories.names()
            if self._repositories.open(name).access.access_of(principal).may_anywhere(Verb.READ_METADATA)
        ]

    def check_may_create(self, principal: Principal) -> None:
        """Raise `AccessDeniedError` unless somebody may make repositories."""
        is_administrator = any(stands_for(subject, principal) for subject in self._administrators)
        scoped = principal.scopes is not None and Verb.ADMINISTER.value not in principal.scopes
        # A token that is for one repository is none for making others.
        if (
            scoped
            or principal.repository
            or principal.is_anonymous
            or (self._administrators and not is_administrator)
        ):
            raise AccessDeniedError("Only administrators of this deployment may make repositories; ask one.")

    def give_to(self, repository: str, principal: Principal) -> None:
        """Let somebody administer the repository that was just made for that caller."""
        if principal.method is not AuthenticationMethod.LOCAL:
            entry = AccessEntry(f"user:{principal.name}", "**", frozenset({Verb.ADMINISTER}))
            self._repositories.open(repository).access.grant(entry, request_id=uuid4())

    def identify(self, token: str) -> IdentifiedToken:
        """Return whom an API token stands for; `AuthenticationError`."""
        secret = TokenSecret.parse(token)
        found = self.token(secret.repository, secret.id, secret.digest)
        until = min(found.expires_nsec / _NSEC, time.time() + _TOKEN_SECONDS)
        return IdentifiedToken(principal_of(found, secret.repository), until)

    def token(self, repository: str, token_id: UUID, digest: bytes) -> ApiToken:
        """Return an API token that is good now; `AuthenticationError`."""
        try:
            access = self._repositories.open(repository).access
        except RepositoryNotFoundError:
            raise AuthenticationError(
                "The API token is not known, has expired or was revoked; have a new one made."
            ) from None
        return access.identify(token_id, digest)

    def check_housekeeping(
        self, repository: str, principal: Principal, verb: Verb, trash_ids: Collection[UUID]
    ) -> None:
        """Raise `AccessDeniedError` unless somebody may have housekeeping done.

        Who may delete something and knows the id of a removal, which nobody can guess, may empty that trash.
        """
        access = self.access(repository, principal)
        if access.may_everywhere(verb):
            return
        if verb is not Verb.DELETE or not trash_ids or not access.may_anywhere(verb):
            raise denied(verb, f"repository {repository!r}")
