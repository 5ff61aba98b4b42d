# SPDX-License-Identifier: BSD-3-Clause
"""Page tokens: where a page ended, sealed together with what was asked."""

from __future__ import annotations

__all__ = ["PageTokens"]

import hashlib
from typing import Any
from uuid import UUID

from butler_model.errors import GrantError, InvalidPageTokenError
from butler_model.grants import TokenSigner

_KIND = "page"


class PageTokens:
    """Makes and opens page tokens; they give no rights, and one of another query is refused."""

    def __init__(self, signer: TokenSigner) -> None:
        self._signer = signer

    def make(self, question: str, last_key: tuple[Any, ...]) -> bytes:
        """Return the token of the page after the row with this key: of numbers, strings, UUIDs, bytes and `None`."""
        return self._signer.seal(_KIND, [_digest(question), [_plain(value) for value in last_key]])

    def open(self, token: bytes, question: str) -> tuple[Any, ...] | None:
        """Return the key after which the page starts, `None` for the first page; `InvalidPageTokenError`."""
        if not token:
            return None
        try:
            digest, key = self._signer.unseal(token, _KIND)
        except GrantError:
            raise InvalidPageTokenError("The page token was altered; start the query again.") from None
        if digest != _digest(question):
            raise InvalidPageTokenError("The page token belongs to another query; start this one without it.")
        return tuple(map(_value, key))


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it."""
    if isinstance(value, UUID):
        return {"uuid": value.hex}
    return {"bytes": value.hex()} if isinstance(value, bytes) else value


def _value(plain: Any) -> Any:
    if not isinstance(plain, dict):
        return plain
    return UUID(plain["uuid"]) if "uuid" in plain else bytes.fromhex(plain["bytes"])


def _digest(question: str) -> str:
    return hashlib.sha256(question.encode()).hexdigest()[:24]
