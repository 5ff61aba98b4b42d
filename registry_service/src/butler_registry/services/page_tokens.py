# SPDX-License-Identifier: BSD-3-Clause
"""Page tokens: where a page ended, sealed together with what was asked."""

from __future__ import annotations

__all__ = ["PageTokens"]

import hashlib
from typing import Any

from butler_model.errors import GrantError, InvalidPageTokenError
from butler_model.grants import TokenSigner

_KIND = "page"


class PageTokens:
    """Makes and opens page tokens; they give no rights, and one of another query is refused."""

    def __init__(self, signer: TokenSigner) -> None:
        self._signer = signer

    def make(self, question: str, last_key: tuple[Any, ...]) -> bytes:
        """Return the token of the page after the row with this key. Keys are ints and strings."""
        return self._signer.seal(_KIND, [_digest(question), list(last_key)])

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
        return tuple(key)


def _digest(question: str) -> str:
    return hashlib.sha256(question.encode()).hexdigest()[:24]
