# SPDX-License-Identifier: BSD-3-Clause
"""Bearer tokens that identity providers sign (OpenID Connect): what has to be true of one.

Only the services import this module; they depend on PyJWT, the client does not.
"""

from __future__ import annotations

__all__ = ["BearerTokens", "Identified", "Issuer"]

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jwt

from butler_model.errors import AuthenticationError
from butler_model.principal import CERTIFICATE_START, AuthenticationMethod, Principal

from .jwks import KeySet

SKEW_SECONDS = 60
"""By how much the clocks of provider and service may differ."""
_KINDS = {"RS256": "RSA", "ES256": "EC"}
"""Algorithms that are accepted, whatever a token says, and the kind of key that each needs."""
_MOST_GROUPS = 1000
# Besides its own errors a parser has those of numbers that are too large, and of what is nested too deep.
_UNREADABLE = (jwt.PyJWTError, ValueError, OverflowError, RecursionError, TypeError)


@dataclass(frozen=True, slots=True)
class Identified:
    """A principal, and the Unix time from which on its token proves nothing any more."""

    principal: Principal
    expires: float


@dataclass(frozen=True, slots=True)
class Issuer:
    """An identity provider.

    Attributes
    ----------
    name
        What its tokens say in ``iss``.
    audiences
        Of which a token has to name one in ``aud``.
    keys
        Its public keys.
    user_claim, groups_claim
        Where a token says who it is for, and in which groups that is.
    """

    name: str
    audiences: tuple[str, ...]
    keys: KeySet
    user_claim: str = "sub"
    groups_claim: str = "groups"


class BearerTokens:
    """Verifies tokens of some issuers."""

    def __init__(self, issuers: Sequence[Issuer]) -> None:
        self._issuers = {issuer.name: issuer for issuer in issuers}

    def identify(self, token: str) -> Identified:
        """Return whom a token stands for.

        Raises
        ------
        AuthenticationError
            Raised if it is not signed by a key of a known issuer, is for another audience, or not valid now. What it
            says is told only as far as it is needed to mend it.
        ServiceUnavailableError
            Raised if the keys cannot be had now.
        """
        try:
            header = jwt.get_unverified_header(token)
            unverified = jwt.decode(token, options={"verify_signature": False})
        except _UNREADABLE:
            raise AuthenticationError("The token is no JSON web token; get a new one.") from None
        algorithm, issuer = header.get("alg"), self._issuer(unverified.get("iss"))
        if not isinstance(algorithm, str) or algorithm not in _KINDS:
            raise AuthenticationError(
                "The token is not signed by RS256 or ES256, and nothing else is accepted."
            )
        key = issuer.keys.key(str(header.get("kid")))
        if key is None or key.key_type != _KINDS[algorithm]:
            raise AuthenticationError(
                "The token is signed by a key that its issuer does not have; get a new one."
            )
        try:
            claims = jwt.decode(
                token,
                key.key,
                algorithms=[algorithm],
                audience=issuer.audiences,
                issuer=issuer.name,
                leeway=SKEW_SECONDS,
                options={"require": ["exp", "iss", "aud"]},
            )
            expires = float(claims["exp"])
        except _UNREADABLE as error:
            raise AuthenticationError(
                f"The token is not accepted: {_reason(error)}; get a new one."
            ) from None
        return Identified(_principal(claims, issuer), expires + SKEW_SECONDS)

    def _issuer(self, name: object) -> Issuer:
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            raise AuthenticationError("The token is of an issuer that this service does not know.")
        return issuer


def _principal(claims: dict[str, Any], issuer: Issuer) -> Principal:
    name, groups = claims.get(issuer.user_claim), claims.get(issuer.groups_claim, [])
    if not isinstance(name, str):
        raise AuthenticationError(f"The token does not say in {issuer.user_claim!r} who it is for.")
    if name.startswith(CERTIFICATE_START):
        raise AuthenticationError(
            f"The token is for a name that begins with {CERTIFICATE_START}, as machines' do."
        )
    if not isinstance(groups, list) or len(groups) > _MOST_GROUPS:
        raise AuthenticationError(f"The token has no list of groups in {issuer.groups_claim!r}.")
    # Groups are often objects with a name, or paths.
    names = (each.get("name") if isinstance(each, dict) else each for each in groups)
    return Principal(
        name, frozenset(str(each).removeprefix("/") for each in names), AuthenticationMethod.BEARER
    )


def _reason(error: Exception) -> str:
    for kind, text in _REASONS:
        if isinstance(error, kind):
            return text
    return "its signature or a claim is wrong"


_REASONS = (
    (jwt.ExpiredSignatureError, "it has expired"),
    (jwt.ImmatureSignatureError, "it is not valid yet"),
    (jwt.InvalidAudienceError, "it is for another service"),
    (jwt.MissingRequiredClaimError, "a claim is missing (exp, iss and aud have to be there)"),
    (jwt.InvalidSignatureError, "its signature is wrong"),
)
