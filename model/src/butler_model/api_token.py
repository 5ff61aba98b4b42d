# SPDX-License-Identifier: BSD-3-Clause
"""API tokens: secrets that a repository gives out, and keeps only the digests of."""

from __future__ import annotations

__all__ = ["API_TOKEN_START", "ApiToken", "NewApiToken", "TokenSecret", "principal_of"]

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from .errors import AuthenticationError
from .principal import AuthenticationMethod, Principal

API_TOKEN_START = "butler."
"""By which such a token is told from others, and found where it should not be."""

_TOKEN = re.compile(r"butler\.([a-z][a-z0-9_]{0,39})\.([0-9a-f]{32})\.([A-Za-z0-9_\-]{43})")


@dataclass(frozen=True, slots=True)
class TokenSecret:
    """A token as its bearer has it: ``butler.REPOSITORY.ID.SECRET``.

    Attributes
    ----------
    repository
        Where it was made and is good.
    """

    repository: str
    id: UUID
    secret: str

    @classmethod
    def new(cls, repository: str, token_id: UUID) -> Self:
        """Make a secret of 256 bits."""
        return cls(repository, token_id, secrets.token_urlsafe(32))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take a token apart; `AuthenticationError` if it is none."""
        found = _TOKEN.fullmatch(text)
        if found is None:
            raise AuthenticationError("The API token is not complete; copy it again, or have a new one made.")
        return cls(found[1], UUID(hex=found[2]), found[3])

    def __repr__(self) -> str:
        return f"TokenSecret({self.repository!r}, {self.id})"

    @property
    def text(self) -> str:
        """The token itself."""
        return f"{API_TOKEN_START}{self.repository}.{self.id.hex}.{self.secret}"

    @property
    def digest(self) -> bytes:
        """What is kept of it; a plain SHA-256 is enough for a secret that nobody can guess."""
        return hashlib.sha256(self.text.encode()).digest()


@dataclass(frozen=True, slots=True)
class NewApiToken:
    """A token to be made.

    Attributes
    ----------
    principal, groups
        Whom it stands for.
    scopes
        Verbs to which it limits its bearer; empty for no limit.
    lifetime_seconds
        How long it is good; at most a year.
    note
        What it is for.
    """

    id: UUID
    principal: str
    groups: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    lifetime_seconds: int = 90 * 86_400
    note: str = ""


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token that was made, without its secret.

    Attributes
    ----------
    created_nsec, expires_nsec, revoked_nsec
        Nanoseconds of Unix time; 0 if it is not revoked.
    created_by
        Who made it.
    """

    id: UUID
    principal: str
    groups: tuple[str, ...]
    scopes: tuple[str, ...]
    note: str
    created_by: str
    created_nsec: int
    expires_nsec: int
    revoked_nsec: int = 0


def principal_of(token: ApiToken, repository: str) -> Principal:
    """Return whom a token of a repository stands for."""
    return Principal(
        token.principal,
        frozenset(token.groups),
        AuthenticationMethod.API_TOKEN,
        frozenset(token.scopes) or None,
        repository,
    )
