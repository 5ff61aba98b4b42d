# SPDX-License-Identifier: BSD-3-Clause
"""What a client shows to a service, and to which services it shows it."""

from __future__ import annotations

__all__ = ["PLAIN_SCHEME", "TLS_SCHEME", "ClientSecurity", "split_address"]

import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import grpc

from butler_model.errors import ConfigurationError

from .private_files import check_private
from .tls import is_loopback
from .token_sources import CommandToken, FileToken, RefreshedToken, TokenSource, VariableToken

PLAIN_SCHEME, TLS_SCHEME = "grpc://", "grpcs://"
_SOURCES: Mapping[str, Callable[[str], TokenSource]] = {
    "BUTLER_TOKEN_FILE": FileToken,
    "BUTLER_TOKEN": lambda value: VariableToken("BUTLER_TOKEN"),
    "BUTLER_TOKEN_COMMAND": lambda value: CommandToken(tuple(shlex.split(value))),
    "BUTLER_TOKEN_REFRESH": RefreshedToken,
}


def split_address(address: str) -> tuple[str, bool]:
    """Return ``host:port`` of an address, and whether it is one with TLS: it begins with ``grpcs://`` then."""
    if address.startswith(TLS_SCHEME):
        return address.removeprefix(TLS_SCHEME), True
    return address.removeprefix(PLAIN_SCHEME), False


@dataclass(frozen=True, slots=True)
class ClientSecurity:
    """Certificates and tokens of a client; `ConfigurationError` if they do not go together.

    It says where secrets are and holds none, so it may be pickled and shown.

    Attributes
    ----------
    ca
        PEM file of the authorities that services' certificates have to be of; empty for those of the system.
    certificate, key
        PEM files of the client's own certificate and its private key, if it has one.
    token
        Where the token comes from; `None` for no token.
    token_hosts
        Hosts, or ``host:port``, to which the token is sent, and no others are.
    plaintext_on_loopback
        Whether the token may go unencrypted to a service on this machine.
    """

    ca: str = ""
    certificate: str = ""
    key: str = ""
    token: TokenSource | None = None
    token_hosts: tuple[str, ...] = ()
    plaintext_on_loopback: bool = False

    def __post_init__(self) -> None:
        if bool(self.certificate) != bool(self.key):
            raise ConfigurationError(
                "A client's certificate needs its key: give BUTLER_TLS_CERTIFICATE and BUTLER_TLS_KEY."
            )
        if self.token is not None and not self.token_hosts:
            raise ConfigurationError(
                "It is not said to which hosts the token may be sent; name those of the registry and the datastore "
                "service in BUTLER_TOKEN_HOSTS, with commas between."
            )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> ClientSecurity:
        """Return what ``BUTLER_TLS_*`` and ``BUTLER_TOKEN*`` say.

        Raises
        ------
        ConfigurationError
            Raised if more than one source of tokens is named, or they do not go together.
        """
        named = [name for name in _SOURCES if environment.get(name)]
        if len(named) > 1:
            raise ConfigurationError(f"{' and '.join(named)} are given; only one can say where the token is.")
        plaintext = environment.get("BUTLER_TOKEN_OVER_PLAINTEXT", "")
        if plaintext not in ("", "loopback"):
            raise ConfigurationError("BUTLER_TOKEN_OVER_PLAINTEXT can be 'loopback' only, or left out.")
        hosts = environment.get("BUTLER_TOKEN_HOSTS", "").replace(",", " ").split()
        return cls(
            environment.get("BUTLER_TLS_CA", ""),
            environment.get("BUTLER_TLS_CERTIFICATE", ""),
            environment.get("BUTLER_TLS_KEY", ""),
            _SOURCES[named[0]](environment[named[0]]) if named else None,
            tuple(host.lower() for host in hosts),
            bool(plaintext),
        )

    def goes_to(self, address: str) -> bool:
        """Return whether the token is sent to an address."""
        target, _ = split_address(address)
        host = target.rpartition(":")[0]
        return self.token is not None and not {target.lower(), host.lower()}.isdisjoint(self.token_hosts)

    def check(self, address: str) -> None:
        """Raise `ConfigurationError` if the token would go to an address unencrypted."""
        target, is_encrypted = split_address(address)
        if is_encrypted or not self.goes_to(address):
            return
        if not (self.plaintext_on_loopback and is_loopback(target.rpartition(":")[0])):
            raise ConfigurationError(
                f"The token is not sent to {target} unencrypted; use {TLS_SCHEME}{target}. For a service on this "
                "machine set BUTLER_TOKEN_OVER_PLAINTEXT=loopback.",
                address=target,
            )

    def channel(self, address: str, options: list[tuple[str, object]]) -> grpc.Channel:
        """Open a channel to an address; `ConfigurationError` if a certificate cannot be read."""
        target, is_encrypted = split_address(address)
        if not is_encrypted:
            return grpc.insecure_channel(target, options=options)
        credentials = grpc.ssl_channel_credentials(
            _content(self.ca), _content(self.key, private=True), _content(self.certificate)
        )
        return grpc.secure_channel(target, credentials, options=options)

    def stamp(self) -> tuple[object, ...]:
        """Return what is another one as soon as a certificate is; one that is not there changes nothing."""
        stamps: list[object] = []
        for file in filter(None, (self.ca, self.certificate, self.key)):
            try:
                found = os.stat(file)
            except OSError:
                continue
            stamps += (found.st_ino, found.st_size, found.st_mtime_ns)
        return tuple(stamps)


def _content(file: str, *, private: bool = False) -> bytes | None:
    if not file:
        return None
    try:
        if private:
            check_private(file, "The private key")
        with open(file, "rb") as stream:
            return stream.read()
    except OSError as error:
        raise ConfigurationError(f"{file!r} cannot be read ({error.strerror}).", file=file) from None
