# SPDX-License-Identifier: BSD-3-Clause
"""TCP proxies that understand enough of HTTP/2 and of PostgreSQL's protocol to count what passes.

They count on the wire, between real ends, so nothing that a program does in a new way escapes them.
"""

from __future__ import annotations

__all__ = ["Counts", "grpc_tap", "postgresql_tap"]

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_PREFACE = len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
_FRAME, _DATA, _HEADERS = 9, 0, 1
_MESSAGE = 5


@dataclass(slots=True)
class Counts:
    """What has passed.

    Attributes
    ----------
    calls
        RPCs that were begun.
    bytes
        Payload of RPCs, in both directions, with five bytes of each message.
    statements
        Executions on PostgreSQL, ``BEGIN`` and ``COMMIT`` among them.
    rows
        Rows that PostgreSQL answered with.
    """

    calls: int = 0
    bytes: int = 0
    statements: int = 0
    rows: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, **numbers: int) -> None:
        """Add to some of them."""
        with self.lock:
            for name, number in numbers.items():
                setattr(self, name, getattr(self, name) + number)

    def numbers(self) -> tuple[int, int, int, int]:
        """Return calls, statements, rows and bytes."""
        with self.lock:
            return self.calls, self.statements, self.rows, self.bytes

    def reset(self) -> None:
        """Begin at zero."""
        with self.lock:
            self.calls = self.bytes = self.statements = self.rows = 0


@dataclass(slots=True)
class _Pieces:
    """Cuts a stream into pieces of a header, which tells the length of a body, and that body, which is skipped.

    Attributes
    ----------
    header
        Length of a header.
    body
        Returns the length of the body, and is told each header once.
    skip
        Bytes that come first.
    """

    header: int
    body: Callable[[bytes], int]
    skip: int = 0
    kept: bytes = b""

    def feed(self, piece: bytes) -> None:
        data = self.kept + piece
        while True:
            skipped = min(self.skip, len(data))
            data, self.skip = data[skipped:], self.skip - skipped
            if self.skip or len(data) < self.header:
                self.kept = data
                return
            self.skip = self.body(data[: self.header])
            data = data[self.header :]


@contextmanager
def grpc_tap(target: str, counts: Counts) -> Iterator[str]:
    """Give the address of a proxy to a gRPC server."""

    def frame(header: bytes, *, from_client: bool) -> int:
        length, kind = int.from_bytes(header[:3]), header[3]
        if kind == _DATA:
            counts.add(bytes=length)
        elif kind == _HEADERS and from_client:
            counts.add(calls=1)
        return length

    with _tap(
        target,
        lambda: _Pieces(_FRAME, lambda header: frame(header, from_client=True), skip=_PREFACE),
        lambda: _Pieces(_FRAME, lambda header: frame(header, from_client=False)),
    ) as address:
        yield address


@contextmanager
def postgresql_tap(target: str, counts: Counts) -> Iterator[str]:
    """Give the address of a proxy to PostgreSQL, for connections without encryption."""

    def client() -> _Pieces:
        is_first = True

        def message(header: bytes) -> int:
            nonlocal is_first
            if is_first:
                # It has no kind; one byte of its content is in the header.
                is_first = False
                return int.from_bytes(header[:4]) - _MESSAGE
            if header[:1] in (b"E", b"Q"):
                counts.add(statements=1)
            return int.from_bytes(header[1:]) - 4

        return _Pieces(_MESSAGE, message)

    def server() -> _Pieces:
        def message(header: bytes) -> int:
            if header[:1] == b"D":
                counts.add(rows=1)
            return int.from_bytes(header[1:]) - 4

        return _Pieces(_MESSAGE, message)

    with _tap(target, client, server) as address:
        yield address


@contextmanager
def _tap(target: str, up: Callable[[], _Pieces], down: Callable[[], _Pieces]) -> Iterator[str]:
    host, _, port = target.rpartition(":")
    listener = socket.create_server(("127.0.0.1", 0))
    ends: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection((host, int(port)))
            ends.extend((client, server))
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for source, sink, pieces in ((client, server, up()), (server, client, down())):
                threading.Thread(target=_pass_on, args=(source, sink, pieces), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        for each in (listener, *ends):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        thread.join()


def _pass_on(source: socket.socket, sink: socket.socket, pieces: _Pieces) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65_536):
            # Counted before it is passed on: who has an answer may look at the counts.
            pieces.feed(piece)
            sink.sendall(piece)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)
