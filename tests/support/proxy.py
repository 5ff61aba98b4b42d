# SPDX-License-Identifier: BSD-3-Clause
"""A TCP proxy that counts what passes, and cuts, blocks and slows down connections, with real sockets."""

from __future__ import annotations

__all__ = ["Proxy", "proxy_to"]

import contextlib
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_LOOK_SECONDS = 0.01
_QUIET_SECONDS = 0.05
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: a reset instead of an orderly end."""


class Proxy:
    """Passes bytes on between clients and a server.

    Attributes
    ----------
    address
        ``host:port`` to connect to.
    up, down
        Bytes that passed to the server, and from it.
    connections
        How many were made.
    blocked
        The ways, ``up`` and ``down``, on which nothing passes for now.
    refusing
        Whether new connections are cut at once.
    bytes_per_second
        How fast it goes, for each connection and way; 0 for as fast as it can.
    loss
        The part of the pieces that pass, of at most 64 kB, at which a connection is cut instead; decided by ``chance``.
    """

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.up = self.down = self.connections = 0
        self.blocked: set[str] = set()
        self.refusing = False
        self.bytes_per_second = 0.0
        self.loss = 0.0
        self.chance = random.Random(0)
        self._cuts: dict[str, list[int]] = {"up": [], "down": []}
        self._counted_from = 0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._closed = False
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def cut_after(self, *sizes: int, up: bool = False, newest: bool = False) -> None:
        """Cut the next connections: the first after so many bytes from now on, the next after the next number.

        Parameters
        ----------
        up
            Count what goes to the server instead of what comes from it.
        newest
            Count only what passes on connections from the one made last on: those before it carry pings of their own,
            which come late on a busy machine.
        """
        with self._lock:
            self._cuts["up" if up else "down"] = list(sizes)
            self._counted_from = self.connections if newest else 0

    def wait_until_quiet(self) -> None:
        """Wait until what connections say of themselves, as pings and windows, has passed too."""
        before = (-1, -1)
        while before != (self.up, self.down):
            before = (self.up, self.down)
            time.sleep(_QUIET_SECONDS)

    @property
    def cuts_left(self) -> int:
        """How many of the cuts have not been made."""
        return len(self._cuts["up"]) + len(self._cuts["down"])

    def cut(self) -> None:
        """Cut all connections that there are."""
        for each in list(self._open):
            _cut(each)
        self._open.clear()

    def recover(self) -> None:
        """Pass on everything again."""
        self.blocked.clear()
        self.refusing = False
        self.bytes_per_second = self.loss = 0.0

    def close(self) -> None:
        """Cut everything and stop."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        self.cut()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
                if self.refusing:
                    _cut(client)
                    continue
                server = socket.create_connection(self._target)
            except OSError:
                return
            self.connections += 1
            self._open |= {client, server}
            for source, sink, way in ((client, server, "up"), (server, client, "down")):
                pair = (source, sink, way, self.connections)
                threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, way: str, number: int) -> None:
        try:
            while piece := source.recv(65_536):
                if self._counted(way, len(piece), number):
                    break
                while way in self.blocked and not self._closed:
                    time.sleep(_LOOK_SECONDS)
                if self.bytes_per_second:
                    time.sleep(len(piece) / self.bytes_per_second)
                if self.loss and self.chance.random() < self.loss:
                    break
                sink.sendall(piece)
        except OSError:
            pass
        _cut(source)
        _cut(sink)

    def _counted(self, way: str, size: int, number: int) -> bool:
        """Count bytes of a connection, the first of which is 1, and return whether they are those at which to cut."""
        with self._lock:
            setattr(self, way, getattr(self, way) + size)
            cuts = self._cuts[way]
            if cuts and number >= self._counted_from:
                cuts[0] -= size
                if cuts[0] <= 0:
                    cuts.pop(0)
                    return True
        return False


def _cut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    # Whoever waits on it in another thread is woken by this, not by closing.
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@contextmanager
def proxy_to(target: str) -> Iterator[Proxy]:
    """Give a proxy to a server."""
    proxy = Proxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
