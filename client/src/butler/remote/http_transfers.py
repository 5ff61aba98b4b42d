# SPDX-License-Identifier: BSD-3-Clause
"""Requests of bytes by URL: one pool of connections per process, and the servers that it cannot reach."""

from __future__ import annotations

__all__ = ["NoWayError", "get_range", "give_up", "put", "reachable"]

import logging
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from butler_model.artifact import ArtifactUrl

_LOG = logging.getLogger(__name__)

_CONNECTIONS = 16
_TIMEOUT = urllib3.Timeout(connect=5.0, read=30.0)
_PIECE_BYTES = 1024 * 1024
_TOTAL = re.compile(r"bytes \d+-\d+/(\d+)")


class NoWayError(Exception):
    """The bytes cannot move by URL, now (``passing``) or at all; never seen outside of this package."""

    def __init__(self, why: str, *, passing: bool = False, expired: bool = False) -> None:
        super().__init__(why)
        self.passing = passing
        self.expired = expired


class _Process:
    """What belongs to one process: sockets, and what it has learnt."""

    def __init__(self) -> None:
        self.pool = urllib3.PoolManager(maxsize=_CONNECTIONS, block=False, retries=False, timeout=_TIMEOUT)
        self.unreachable: set[str] = set()


def reachable(url: ArtifactUrl) -> bool:
    """Return whether there is a URL, and nothing is known against it."""
    return bool(url.url) and _origin(url) not in _process.unreachable


def give_up(url: ArtifactUrl, why: object) -> None:
    """Remember for this process that a server cannot be reached; say so once."""
    origin = _origin(url)
    if origin not in _process.unreachable:
        _process.unreachable.add(origin)
        _LOG.warning(
            "%s cannot be reached from here (%s); artifacts pass through the datastore service", origin, why
        )


def get_range(url: ArtifactUrl, offset: int, end: int) -> Iterator[bytes]:
    """Yield the bytes from ``offset`` up to ``end`` of an artifact that has `ArtifactUrl.size`.

    Raises
    ------
    NoWayError
        Raised if they do not come, or come of something else.
    """
    headers = {**url.headers, "Accept-Encoding": "identity"}
    if (offset, end) != (0, url.size):
        headers["Range"] = f"bytes={offset}-{end - 1}"
    with _answered(url, headers) as response:
        _check_size(response, url, headers)
        while offset < end:
            piece = _piece(response, min(_PIECE_BYTES, end - offset))
            offset += len(piece)
            yield piece


def put(url: ArtifactUrl, content: Iterable[bytes]) -> bool:
    """Send an artifact; return False if something was there already. Raises `NoWayError` if it is not taken."""
    response = _request("PUT", url, dict(url.headers), content)
    try:
        # An answer that is read to its end leaves the connection to the next request.
        response.drain_conn()
    finally:
        response.release_conn()
    if response.status == 412:
        return False
    _check_status(response, url)
    return True


@contextmanager
def _answered(url: ArtifactUrl, headers: dict[str, str]) -> Iterator[urllib3.BaseHTTPResponse]:
    """Give the answer to a GET; its connection is closed unless all of it was read."""
    response = _request("GET", url, headers, None)
    try:
        yield response
    finally:
        if response.length_remaining:
            response.close()
        response.release_conn()


def _request(
    method: str, url: ArtifactUrl, headers: dict[str, str], content: Iterable[bytes] | None
) -> urllib3.BaseHTTPResponse:
    try:
        return _process.pool.request(
            method, url.url, headers=headers, body=content, preload_content=False, redirect=False
        )
    except (NewConnectionError, ConnectTimeoutError) as error:
        give_up(url, error)
        raise NoWayError(str(error)) from error
    except HTTPError as error:
        raise NoWayError(str(error), passing=True) from error


def _check_status(response: urllib3.BaseHTTPResponse, url: ArtifactUrl) -> None:
    status = response.status
    if status not in (200, 201, 204, 206):
        raise NoWayError(
            f"{url.method} was answered with {status}",
            passing=status in (408, 409, 429) or status >= 500,
            expired=status == 403,
        )


def _check_size(response: urllib3.BaseHTTPResponse, url: ArtifactUrl, headers: dict[str, str]) -> None:
    _check_status(response, url)
    asked_for_range = "Range" in headers
    if (response.status == 206) is not asked_for_range:
        raise NoWayError(
            f"a server that answers {'a range' if asked_for_range else 'all'} with {response.status}"
        )
    if asked_for_range:
        total = _TOTAL.fullmatch(response.headers.get("Content-Range", ""))
        size = total[1] if total else ""
    else:
        size = response.headers.get("Content-Length", "")
    if size != str(url.size):
        raise NoWayError(f"the answer is about {size or 'unknown'} bytes, not {url.size}")


def _piece(response: urllib3.BaseHTTPResponse, size: int) -> bytes:
    try:
        # Nothing is to be decoded, and urllib3 copies what could be.
        piece = response.read(size, decode_content=False)
    except HTTPError as error:
        raise NoWayError(str(error), passing=True) from error
    if not piece:
        raise NoWayError("the answer ended too early", passing=True)
    return piece


def _origin(url: ArtifactUrl) -> str:
    parts = urlsplit(url.url)
    return f"{parts.scheme}://{parts.netloc}"


def _begin() -> None:
    global _process
    _process = _Process()


_process = _Process()
# The parent's sockets are not the child's to talk on.
os.register_at_fork(after_in_child=_begin)
