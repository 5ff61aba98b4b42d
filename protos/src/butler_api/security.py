# SPDX-License-Identifier: BSD-3-Clause
"""What an operator says about certificates and identity, the same for both services.

Only the services import this module; they depend on pydantic and PyJWT, the client does not.
"""

from __future__ import annotations

__all__ = ["AuthenticationSettings", "IssuerSettings", "TlsSettings"]

from pydantic import BaseModel, ConfigDict, Field

from .bearer import BearerTokens, Issuer
from .jwks import KeySet
from .tls import ServerCertificates


class TlsSettings(BaseModel):
    """Certificates; a table ``[tls]``.

    Attributes
    ----------
    certificate, key
        PEM files of the certificate, with those that lead to its authority, and of the private key.
    client_ca
        PEM file of the authorities of clients' certificates. With it, clients must show one; if
        ``machine_address`` is given, only there.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    certificate: str
    key: str
    client_ca: str = ""

    @property
    def files(self) -> ServerCertificates:
        """The same for a server."""
        return ServerCertificates(self.certificate, self.key, self.client_ca)


class IssuerSettings(BaseModel):
    """An identity provider; a table ``[[authentication.issuers]]``.

    Attributes
    ----------
    issuer
        What its tokens say in ``iss``.
    audiences
        Of which a token has to name one in ``aud``: names of this service.
    jwks
        Its public keys: the ``jwks_uri`` of its OpenID configuration, or a file.
    user_claim, groups_claim
        Where a token says who it is for, and in which groups that is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: str = Field(min_length=1)
    audiences: tuple[str, ...] = Field(min_length=1)
    jwks: str = Field(min_length=1)
    user_claim: str = "sub"
    groups_claim: str = "groups"


class AuthenticationSettings(BaseModel):
    """Who may call; a table ``[authentication]``. Without it everybody who reaches the service may do everything.

    Attributes
    ----------
    issuers
        Identity providers whose tokens are accepted.
    api_tokens
        Whether tokens are accepted that ``butler token create`` made.
    certificate_groups
        Groups of machines, by the common name of their certificate.
    administrators
        Subjects (``user:NAME``, ``group:NAME``) that may do everything in every repository of a registry service, and
        make repositories; if none is named, everybody who is known may make some. The datastore service asks the
        registry.
    anonymous
        Whether who shows nothing may call; what such a caller may do, each repository says.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuers: tuple[IssuerSettings, ...] = ()
    api_tokens: bool = True
    certificate_groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    administrators: tuple[str, ...] = ()
    anonymous: bool = False

    def bearer_tokens(self) -> BearerTokens:
        """Return what verifies the tokens of the issuers."""
        return BearerTokens(
            [
                Issuer(i.issuer, i.audiences, KeySet(i.jwks), i.user_claim, i.groups_claim)
                for i in self.issuers
            ]
        )
