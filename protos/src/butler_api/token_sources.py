# SPDX-License-Identifier: BSD-3-Clause
"""Where a client's token comes from: a file, a variable, a command, or a flow that renews it.

A source says where the token is and does not hold it, so it can be pickled, compared and shown.
"""

from __future__ import annotations

__all__ = ["CommandToken", "FileToken", "RefreshedToken", "TokenReader", "TokenSource", "VariableToken"]

import base64
import binascii
import json
import os
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol

from butler_model.errors import AuthenticationError, ConfigurationError, ServiceUnavailableError

from .private_files import read_private
from .tls import is_loopback

_COMMAND_SECONDS = 30.0
_FETCH_SECONDS = 10.0
_OPAQUE_SECONDS = 60.0
"""How long a token is used of which nobody knows when it expires."""
_EARLY_SECONDS = 30.0
"""How long before it expires a token is replaced."""


class TokenSource(Protocol):
    """Where a token is."""

    def stamp(self) -> object:
        """Return what is another one as soon as the token is; `None` if only time tells."""
        ...

    def fetch(self) -> str:
        """Return the token; an error of the catalogue says what to do if it cannot be had."""
        ...


@dataclass(frozen=True, slots=True)
class FileToken:
    """A file that only its owner may read; it is read again when it changes."""

    file: str

    def stamp(self) -> object:
        try:
            found = os.stat(self.file)
        except OSError:
            return self.file
        return found.st_ino, found.st_size, found.st_mtime_ns

    def fetch(self) -> str:
        return _checked(read_private(self.file, "The token"), self.file)


@dataclass(frozen=True, slots=True)
class VariableToken:
    """A variable of the environment."""

    name: str

    def stamp(self) -> object:
        # Not the token itself: a stamp is kept.
        return hash(os.environ.get(self.name, ""))

    def fetch(self) -> str:
        return _checked(os.environ.get(self.name, ""), self.name)


@dataclass(frozen=True, slots=True)
class CommandToken:
    """A command that prints a token; it runs again shortly before that expires."""

    command: tuple[str, ...]

    def stamp(self) -> object:
        return None

    def fetch(self) -> str:
        program = self.command[0]
        try:
            done = subprocess.run(
                self.command,
                capture_output=True,
                text=True,
                check=False,
                timeout=_COMMAND_SECONDS,
                stdin=subprocess.DEVNULL,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ConfigurationError(
                f"The command {program!r} for the token cannot be run: {type(error).__name__}."
            ) from None
        if done.returncode:
            # Not what it printed: there may be a token in it.
            raise AuthenticationError(
                f"The command {program!r} for the token ended with code {done.returncode}; run it by hand to see why."
            )
        return _checked(done.stdout, program)


@dataclass(frozen=True, slots=True)
class RefreshedToken:
    """A private JSON file with ``token_url``, ``client_id``, ``refresh_token`` and, if there is one, ``client_secret``.

    A token is asked for shortly before the last one expires (OAuth 2.0, RFC 6749 section 6). If the provider gives a
    new refresh token, the file is replaced by one that has it.
    """

    file: str

    def stamp(self) -> object:
        return None

    def fetch(self) -> str:
        content = self._content()
        sent = ("client_id", "client_secret", "refresh_token")
        form = {"grant_type": "refresh_token", **{k: str(content[k]) for k in sent if k in content}}
        url = str(content["token_url"])
        parts = urllib.parse.urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
            raise ConfigurationError(f"{self.file!r}: token_url has to be one of https.", file=self.file)
        answer = _posted(url, urllib.parse.urlencode(form).encode())
        renewed = answer.get("refresh_token", content["refresh_token"])
        if renewed != content["refresh_token"]:
            _replace(self.file, json.dumps({**content, "refresh_token": renewed}))
        return _checked(str(answer.get("access_token", "")), url)

    def _content(self) -> dict[str, Any]:
        try:
            content = json.loads(read_private(self.file, "The refresh token"))
            missing = {"token_url", "client_id", "refresh_token"} - content.keys()
        except (ValueError, AttributeError):
            missing, content = {"token_url", "client_id", "refresh_token"}, {}
        if missing:
            raise ConfigurationError(
                f"{self.file!r} has to be JSON with {', '.join(sorted(missing))} in it.", file=self.file
            )
        return dict(content)


class TokenReader:
    """Gives the token of a source that is good now. Safe to use from many threads; neither pickled nor shown."""

    def __init__(self, source: TokenSource, clock: Callable[[], float] = time.time) -> None:
        self._source = source
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: tuple[object, float, str] | None = None

    def token(self) -> str:
        """Return the token."""
        kept = self._kept
        stamp = self._source.stamp()
        if kept is not None and kept[0] == stamp and self._clock() < kept[1]:
            return kept[2]
        with self._lock:
            if kept is not self._kept and self._kept is not None and self._kept[0] == stamp:
                return self._kept[2]  # another thread has just got it
            token = self._source.fetch()
            until = float("inf") if stamp is not None else self._until(token)
            self._kept = (stamp, until, token)
            return token

    def _until(self, token: str) -> float:
        expires = _expiry(token)
        now = self._clock()
        return now + _OPAQUE_SECONDS if expires is None else max(expires - _EARLY_SECONDS, now + 1)


def _checked(text: str, where: str) -> str:
    token = text.strip()
    if not token or not token.isascii() or any(c.isspace() or not c.isprintable() for c in token):
        raise AuthenticationError(f"There is no token in what {where!r:.200} gives.")
    return token


def _expiry(token: str) -> float | None:
    """Return what a JSON web token says of its end, which only the service verifies."""
    try:
        payload = token.split(".")[1]
        return float(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"])
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        return None


def _posted(url: str, form: bytes) -> dict[str, Any]:
    request = urllib.request.Request(url, form, {"Accept": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=_FETCH_SECONDS) as response:
            answer = json.loads(response.read(1 << 20))
    except urllib.error.HTTPError as error:
        raise AuthenticationError(
            f"{url} does not renew the token (status {error.code}); log in again."
        ) from None
    except (OSError, HTTPException, ValueError) as error:
        raise ServiceUnavailableError(f"{url} cannot renew the token now ({type(error).__name__}).") from None
    return answer if isinstance(answer, dict) else {}


def _replace(file: str, text: str) -> None:
    """Replace a file by one that its owner alone may read, at once: another process may read it meanwhile."""
    handle, temporary = tempfile.mkstemp(dir=Path(file).parent, prefix=".token-")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
    os.replace(temporary, file)
