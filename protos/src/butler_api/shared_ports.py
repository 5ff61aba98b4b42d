# SPDX-License-Identifier: BSD-3-Clause
"""Ports at which several processes of one service listen, and nobody else."""

from __future__ import annotations

__all__ = ["held_addresses", "port_in_use", "split_address"]

import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager

from butler_model.errors import ConfigurationError


@contextmanager
def held_addresses(addresses: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """Hold the ports of some addresses meanwhile; give the addresses, by their names, with the ports that were chosen.

    What is held gets no connections, since it does not listen. Those who listen have to share the port by
    ``SO_REUSEPORT``, which only processes of the same user can.

    Raises
    ------
    ConfigurationError
        Raised if somebody else has such a port.
    """
    with ExitStack() as stack:
        held = {}
        for name, address in addresses.items():
            host, _ = split_address(address)
            own = stack.enter_context(closing(_holding(address)))
            held[name] = f"{host}:{own.getsockname()[1]}"
        yield held


def split_address(address: str) -> tuple[str, int]:
    """Return host and port; `ConfigurationError` if it is no address to listen on."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise ConfigurationError(f"{address!r} is no address to listen on; give HOST:PORT.", address=address)
    return host, int(port)


def port_in_use(address: str) -> ConfigurationError:
    """Return the error of an address that cannot be bound."""
    return ConfigurationError(
        f"Cannot listen on {address}: the port is in use, or the host is not this machine; choose another.",
        address=address,
    )


def _holding(address: str) -> socket.socket:
    """Return a socket that is bound to a port; first alone, to see that nobody has it."""
    host, port = split_address(address)
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with closing(socket.socket(family, kind, protocol)) as alone:
            # As servers do: what is left of connections that were closed is in nobody's way.
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind(place)
            chosen = alone.getsockname()
        shared = socket.socket(family, kind, protocol)
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        shared.bind(chosen)
    except OSError:
        raise port_in_use(address) from None
    return shared
