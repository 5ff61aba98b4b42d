# SPDX-License-Identifier: BSD-3-Clause
"""TLS of a service: certificates that are read again when their files change, and what the peer has shown."""

from __future__ import annotations

__all__ = ["ServerCertificates", "is_loopback", "server_credentials"]

import ipaddress
import logging
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import grpc

from butler_model.errors import ConfigurationError

_LOGGER = logging.getLogger(__name__)
_Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class ServerCertificates:
    """Files in PEM form.

    Attributes
    ----------
    certificate
        The certificate of the service and, after it, those that lead to its authority.
    key
        Its private key, which not everybody may read.
    client_ca
        The authorities whose certificates clients may show; empty if none are asked for.
    """

    certificate: str
    key: str
    client_ca: str = ""

    @property
    def files(self) -> tuple[str, ...]:
        """Those that are named."""
        return tuple(filter(None, (self.certificate, self.key, self.client_ca)))

    def stamp(self) -> _Stamp:
        """Return what is another one as soon as a file is; `OSError` if one is not there."""
        # Links are followed: Kubernetes exchanges a link to the directory.
        stats = map(os.stat, self.files)
        return tuple((each.st_ino, each.st_size, each.st_mtime_ns) for each in stats)


def server_credentials(files: ServerCertificates, *, require_client: bool) -> grpc.ServerCredentials:
    """Return credentials that follow the files: a connection that begins gets the certificate that is there then.

    Parameters
    ----------
    require_client
        Whether who shows no certificate of ``client_ca`` cannot connect.

    Raises
    ------
    ConfigurationError
        Raised if a file cannot be read, or everybody can read the key.
    """
    if require_client and not files.client_ca:
        raise ConfigurationError(
            "tls.client_ca is missing: name the file of the authorities of clients' certificates."
        )
    current = _Current(files)
    configuration = current.read()
    # The types of grpc do not know that there may be nothing new.
    changed = cast("Callable[[], grpc.ServerCertificateConfiguration]", current.changed)
    return grpc.dynamic_ssl_server_credentials(configuration, changed, require_client)


class _Current:
    """The certificates as they were read last."""

    def __init__(self, files: ServerCertificates) -> None:
        self._files = files
        self._stamp: _Stamp | None = None

    def read(self) -> grpc.ServerCertificateConfiguration:
        """Read all files."""
        try:
            stamp = self._files.stamp()
            if stat.S_IMODE(os.stat(self._files.key).st_mode) & stat.S_IROTH:
                raise ConfigurationError(
                    f"Everybody can read the private key {self._files.key!r}; chmod 600 {self._files.key}",
                    file=self._files.key,
                )
            contents = [_content(file) for file in self._files.files]
        except OSError as error:
            raise ConfigurationError(
                f"The certificates cannot be read: {error.filename}: {error.strerror}.",
                file=str(error.filename),
            ) from None
        self._stamp = stamp
        certificate, key, *client_ca = contents
        return grpc.ssl_server_certificate_configuration(
            [(key, certificate)], client_ca[0] if client_ca else None
        )

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Return what is to be used from now on, `None` for no change; what cannot be read changes nothing."""
        try:
            if self._files.stamp() == self._stamp:
                return None
            configuration = self.read()
        except (OSError, ConfigurationError) as error:
            _LOGGER.warning(
                "The certificates have changed and cannot be used (%s); the old ones stay.", error
            )
            return None
        _LOGGER.info("The certificates have changed; new connections get %s.", self._files.certificate)
        return configuration


def _content(file: str) -> bytes:
    with open(file, "rb") as stream:
        content = stream.read()
    if b"-----BEGIN " not in content:
        # gRPC would only say that no connection can be made.
        raise ConfigurationError(f"{file!r} is no PEM file of certificates or keys.", file=file)
    return content


def is_loopback(host: str) -> bool:
    """Return whether what is sent to a host stays on this machine."""
    name = host.strip("[]")
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
