# SPDX-License-Identifier: BSD-3-Clause
"""``file://`` URIs, which are the keys of artifacts that stay where they are."""

from __future__ import annotations

__all__ = ["MAX_URI_BYTES", "file_uri", "path_of_file_uri"]

import posixpath
import re
from urllib.parse import quote, unquote

from .errors import InvalidNameError

MAX_URI_BYTES = 4096
_SCHEME = "file://"
_SAME_IN_URI = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9_.~-]+)+")
"""Plain absolute paths of which nothing is quoted, as most are."""


def file_uri(path: str) -> str:
    """Return the URI of an absolute path (RFC 8089).

    Raises
    ------
    InvalidNameError
        Raised unless the path is absolute and plain (no ``..``, no NUL), and its URI has at most 4,096 bytes.
    """
    if _SAME_IN_URI.fullmatch(path) and len(path) <= MAX_URI_BYTES - len(_SCHEME):
        return _SCHEME + path
    uri = _SCHEME + quote(path, errors="surrogateescape")
    if not path.startswith("/") or path.startswith("//") or posixpath.normpath(path) != path or "\0" in path:
        raise InvalidNameError(f"{path!r:.300} is no plain absolute path.", path=path[:300])
    if len(uri) > MAX_URI_BYTES:
        raise InvalidNameError(
            f"{path!r:.300} is too long: its URI has more than {MAX_URI_BYTES} bytes.", path=path[:300]
        )
    return uri


def path_of_file_uri(uri: str) -> str:
    """Return the path that `file_uri` made a URI of; `InvalidNameError` if it is no such URI."""
    path = unquote(uri.removeprefix(_SCHEME), errors="surrogateescape")
    if not uri.startswith(_SCHEME) or file_uri(path) != uri:
        raise InvalidNameError(f"{uri!r:.300} is no file:// URI of a plain absolute path.", key=uri[:300])
    return path
