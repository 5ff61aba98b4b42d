# SPDX-License-Identifier: BSD-3-Clause
"""A small server that speaks enough of the protocol of S3 to break it: it fails, stalls and stops when told to."""

from __future__ import annotations

__all__ = ["Fault", "FaultyS3", "faulty_s3"]

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.sax.saxutils import escape, unescape


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with an answer.

    Attributes
    ----------
    status, code
        The HTTP status and S3's own code; with status 0 the answer is right, but for what follows.
    stall
        Seconds to wait before the answer begins.
    cut
        Whether the connection is closed in the middle of the body.
    lost
        Whether the connection is closed when all is done, and nothing answered.
    """

    status: int = 0
    code: str = ""
    stall: float = 0.0
    cut: bool = False
    lost: bool = False


@dataclass(slots=True)
class FaultyS3:
    """The server, and how it is told to misbehave.

    Attributes
    ----------
    objects
        Contents by bucket and name.
    honours_conditions
        Whether it cares for ``If-None-Match``.
    gives_ranges
        Whether it cares for ``Range``.
    undeletable
        Names of objects in the bucket that it refuses to delete with others.
    """

    endpoint: str
    honours_conditions: bool = True
    gives_ranges: bool = True
    objects: dict[str, bytes] = field(default_factory=dict)
    undeletable: set[str] = field(default_factory=set)
    _faults: list[tuple[str, Fault]] = field(default_factory=list)

    def fail(self, method: str, fault: Fault, times: int = 1_000) -> None:
        """Give that answer to so many requests of a method, but those about the object ``.create-only``."""
        self._faults += [(method, fault)] * times

    def recover(self) -> None:
        """Answer rightly from now on."""
        self._faults.clear()

    def next_fault(self, method: str) -> Fault:
        """Take the fault that is due."""
        for number, (wanted, fault) in enumerate(self._faults):
            if wanted == method:
                del self._faults[number]
                return fault
        return Fault()


@contextmanager
def faulty_s3() -> Iterator[FaultyS3]:
    """Give such a server on a loopback port, with a bucket ``bucket``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    state = FaultyS3(f"http://127.0.0.1:{server.server_address[1]}")
    server.state = state  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_PUT = do_DELETE = do_POST = do_GET

    def _answer(self) -> None:
        state: FaultyS3 = self.server.state  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        name = self.path.split("?")[0].strip("/")
        fault = Fault() if name.endswith(".create-only") else state.next_fault(self.command)
        time.sleep(fault.stall)
        if fault.status:
            self._refuse(fault.status, fault.code)
            return
        if self.command == "PUT":
            self._put(state, name, body, fault)
        elif self.command == "POST" and "delete" in self.path.partition("?")[2]:
            self._delete(state, name, body, fault)
        elif self.command == "DELETE":
            state.objects.pop(name, None)
            self._send(204, {})
        elif name == "bucket":
            self._send(200, {})
        elif name not in state.objects:
            self._refuse(404, "NoSuchKey")
        else:
            self._give(state.objects[name], fault, ranges=state.gives_ranges)

    def _put(self, state: FaultyS3, name: str, body: bytes, fault: Fault) -> None:
        taken = name in state.objects
        if state.honours_conditions and taken and self.headers.get("If-None-Match") == "*":
            self._refuse(412, "PreconditionFailed")
            return
        state.objects[name] = body
        if fault.lost:
            self._hang_up()
            return
        self._send(200, {"ETag": '"1"'})

    def _delete(self, state: FaultyS3, bucket: str, body: bytes, fault: Fault) -> None:
        names = [unescape(key) for key in re.findall(r"<Key>(.*?)</Key>", body.decode())]
        stubborn = [name for name in names if name in state.undeletable]
        for name in names:
            if name not in state.undeletable:
                state.objects.pop(f"{bucket}/{name}", None)
        if fault.lost:
            self._hang_up()
            return
        errors = "".join(
            f"<Error><Key>{escape(name)}</Key><Code>AccessDenied</Code><Message>as told</Message></Error>"
            for name in stubborn
        )
        self._send(
            200, {"Content-Type": "application/xml"}, f"<DeleteResult>{errors}</DeleteResult>".encode()
        )

    def _give(self, content: bytes, fault: Fault, *, ranges: bool) -> None:
        size = len(content)
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        headers = {"ETag": '"1"'}
        status = 200
        if asked and ranges and self.command == "GET":
            start, end = int(asked[1]), min(int(asked[2]) + 1, size)
            content = content[start:end]
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
            status = 206
        if fault.cut:
            self._send(status, headers, content[: len(content) // 2], length=len(content))
            self._hang_up()
        else:
            self._send(status, headers, content)

    def _refuse(self, status: int, code: str) -> None:
        text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>as told</Message></Error>"
        self._send(status, {"Content-Type": "application/xml"}, text.encode())

    def _send(
        self, status: int, headers: dict[str, str], content: bytes = b"", *, length: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)
