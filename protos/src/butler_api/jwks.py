# SPDX-License-Identifier: BSD-3-Clause
"""Public keys of an identity provider, from a file or a URL, followed as they are rotated.

Only the services import this module; they depend on PyJWT, the client does not.
"""

from __future__ import annotations

__all__ = ["KeySet"]

import json
import logging
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from urllib.parse import urlsplit

import jwt

from butler_model.errors import ConfigurationError, ServiceUnavailableError

from .tls import is_loopback

_LOGGER = logging.getLogger(__name__)
_FETCH_SECONDS = 5.0
_KEEP_SECONDS = 3600.0
_MOST_BYTES = 1 << 20
_ASYMMETRIC = ("RSA", "EC")


class KeySet:
    """The keys of one provider by their ids. Safe to use from many threads.

    Parameters
    ----------
    place
        Path of a file, which is read again when it changes, or an ``https`` URL. That is fetched again every hour, and
        when a token names a key that is not known, at most once in ``patience_seconds``.
    clock
        Gives seconds that only grow.

    Raises
    ------
    ConfigurationError
        Raised if the URL is one of ``http`` on another machine: whoever is between could put in keys of his own.
    """

    def __init__(
        self,
        place: str,
        *,
        patience_seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        parts = urlsplit(place)
        self._is_url = parts.scheme in ("http", "https")
        if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            raise ConfigurationError(
                f"{place!r}: keys are fetched over https only, except from this machine."
            )
        self._place = place
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._stamp: object = None
        self._tried = float("-inf")
        self._fetched = float("-inf")

    def key(self, key_id: str) -> jwt.PyJWK | None:
        """Return a key, `None` if the provider has none of that id; `ServiceUnavailableError` if nothing is known."""
        if self._is_url:
            now = self._clock()
            stale = key_id not in self._keys or now - self._fetched > _KEEP_SECONDS
            if stale and now - self._tried >= self._patience_seconds:
                self._fetch_once(now)
        else:
            self._read_file()
        return self._keys.get(key_id)

    def _fetch_once(self, now: float) -> None:
        # While one thread fetches, others go on with what is known; only the first ones have to wait.
        if not self._lock.acquire(blocking=not self._keys):
            return
        try:
            if now < self._tried:
                return
            self._tried = self._clock()
            self._keys = _parsed(_fetched(self._place), self._place)
            self._fetched = self._clock()
        except (OSError, HTTPException, ValueError) as error:
            if not self._keys:
                self._tried = float("-inf")
                raise ServiceUnavailableError(
                    "The keys of the identity provider cannot be fetched now; try again later."
                ) from error
            _LOGGER.warning(
                "The keys at %s cannot be fetched (%s); the old ones are kept.", self._place, error
            )
        finally:
            self._lock.release()

    def _read_file(self) -> None:
        try:
            found = os.stat(self._place)
            stamp = (found.st_ino, found.st_size, found.st_mtime_ns)
            if stamp == self._stamp:
                return
            with open(self._place, "rb") as stream:
                self._keys = _parsed(stream.read(_MOST_BYTES), self._place)
            self._stamp = stamp
        except (OSError, ValueError) as error:
            if self._stamp is None:
                raise ServiceUnavailableError(
                    "The keys of the identity provider cannot be read by the service; tell its operator."
                ) from error
            _LOGGER.warning("The keys in %s cannot be read (%s); the old ones are kept.", self._place, error)


def _fetched(url: str) -> bytes:
    request = urllib.request.Request(url, headers={"Accept": "application/json"})
    with urllib.request.urlopen(request, timeout=_FETCH_SECONDS) as response:
        content: bytes = response.read(_MOST_BYTES)
    return content


def _parsed(content: bytes, place: str) -> dict[str, jwt.PyJWK]:
    """Return the keys that verify signatures; a secret or a key of another kind is left out."""
    keys: dict[str, jwt.PyJWK] = {}
    for each in json.loads(content)["keys"]:
        if each.get("kty") not in _ASYMMETRIC or not each.get("kid") or each.get("use", "sig") != "sig":
            continue
        try:
            keys[each["kid"]] = jwt.PyJWK(each)
        except jwt.PyJWTError as error:
            _LOGGER.warning("A key of %s cannot be used: %s", place, error)
    return keys
