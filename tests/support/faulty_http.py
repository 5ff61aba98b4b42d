# SPDX-License-Identifier: BSD-3-Clause
"""An HTTP server that passes requests on to another one, but for those that it is told to fail."""

from __future__ import annotations

__all__ = ["CUT", "LOST", "FaultyServer", "faulty_server_before"]

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

LOST = -1
CUT = -2


@dataclass
class FaultyServer:
    """Stands before a server.

    Attributes
    ----------
    endpoint
        URL to use instead of the server's.
    faults
        Statuses with which the next requests are answered, by method, instead of being passed on. `LOST` means that one
        is passed on and its answer withheld, `CUT` that the connection ends in the middle of the answer.
    seconds
        How long each request waits.
    requests
        Method and path of all that came.
    """

    endpoint: str
    faults: dict[str, list[int]] = field(default_factory=dict)
    seconds: float = 0.0
    requests: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def faulty_server_before(endpoint: str) -> Iterator[FaultyServer]:
    """Give a server on a loopback port that passes on to an endpoint."""
    target = urlsplit(endpoint).netloc
    state = FaultyServer("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            state.requests.append((self.command, self.path.partition("?")[0]))
            time.sleep(state.seconds)
            faults = state.faults.get(self.command)
            fault = faults.pop(0) if faults else 0
            if fault > 0:
                self.reply(fault, [("Content-Length", "0")], b"")
                return
            connection = http.client.HTTPConnection(target, timeout=30)
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            if fault:
                self.close_connection = True
            if fault != LOST:
                content = content[: len(content) // 2] if fault else content
                self.reply(answer.status, answer.getheaders(), content)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer

        def reply(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in ("connection", "transfer-encoding", "keep-alive"):
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
