# SPDX-License-Identifier: BSD-3-Clause
"""Who calls a service, as far as the service knows."""

from __future__ import annotations

__all__ = ["ANONYMOUS", "CERTIFICATE_START", "LOCAL", "AuthenticationMethod", "Principal"]

import re
from dataclasses import dataclass
from enum import Enum

from .errors import AuthenticationError

CERTIFICATE_START = "cert:"
"""Begins the names of machines that are known by certificates, and of nobody else."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:+\-]{0,199}")


class AuthenticationMethod(Enum):
    """How a service came to know who calls."""

    NONE = "none"
    """It did not."""
    LOCAL = "local"
    """It asks nobody: there is no authentication, or no service."""
    BEARER = "bearer"
    """By a token that an identity provider signed."""
    API_TOKEN = "api-token"
    """By a token that a registry service made."""
    CERTIFICATE = "certificate"
    """By the certificate of the connection."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls; `AuthenticationError` if the name or a group could not be told apart from other text in a log.

    Attributes
    ----------
    name
        ``alice``, or ``cert:reaper`` for a machine; ``{user}`` in the prefix of a policy stands for it.
    groups
        The groups that the caller is in.
    scopes
        Verbs to which the token limits its bearer; `None` for no limit.
    repository
        The only repository that the token is for; empty for every one.
    """

    name: str
    groups: frozenset[str] = frozenset()
    method: AuthenticationMethod = AuthenticationMethod.BEARER
    scopes: frozenset[str] | None = None
    repository: str = ""

    def __post_init__(self) -> None:
        for text in (self.name, *self.groups):
            if not _NAME.fullmatch(text):
                raise AuthenticationError(
                    f"{text!r:.80} is no name of a user or group: use letters, digits and . _ @ : + -, 200 characters "
                    "at most."
                )

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody knows who it is."""
        return self.method is AuthenticationMethod.NONE


ANONYMOUS = Principal("anonymous", method=AuthenticationMethod.NONE)
"""Whoever shows nothing."""

LOCAL = Principal("local", method=AuthenticationMethod.LOCAL)
"""Whoever calls where nobody is asked."""
