# SPDX-License-Identifier: BSD-3-Clause
"""Signing of grants and receipts, and of the passes by which services know each other.

A token is ``key id (8 bytes) | HMAC-SHA256 (32 bytes) | JSON payload``. Clients pass tokens on unopened. Registry
and datastore share the keys: the first signs, all verify, so a key is rotated by adding the new one in front, and
dropping the old one once the longest-lived grant has expired.
"""

from __future__ import annotations

__all__ = ["TokenSigner"]

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from .artifact import Grant, Operation, Receipt
from .errors import ConfigurationError, GrantError

_KEY_ID_BYTES = 8
_MAC_BYTES = 32
_MIN_KEY_BYTES = 32
_PASS_SECONDS = 60


class TokenSigner:
    """Makes and checks tokens.

    Parameters
    ----------
    keys
        Secrets of at least 32 bytes; the first one signs.
    clock
        Gives Unix time in seconds, for the expiry of grants.
    bearer
        Gives the name of who shows a grant now; `None` if that is not known and does not matter.
    """

    def __init__(
        self,
        keys: Sequence[bytes],
        clock: Callable[[], float] = time.time,
        bearer: Callable[[], str] | None = None,
    ) -> None:
        if not keys or any(len(key) < _MIN_KEY_BYTES for key in keys):
            raise ConfigurationError(
                f"Signing keys must have at least {_MIN_KEY_BYTES} bytes, and there must be one."
            )
        self._keys = {hashlib.sha256(key).digest()[:_KEY_ID_BYTES]: key for key in keys}
        self._key_id, self._key = next(iter(self._keys.items()))
        self._clock = clock
        self._bearer = bearer

    def sign_grant(self, grant: Grant) -> bytes:
        """Return the token of a grant."""
        return self.seal(
            "grant",
            [
                grant.operation.value,
                grant.repository,
                grant.store,
                grant.key,
                grant.dataset_id.hex,
                grant.component,
                grant.size,
                grant.checksum,
                grant.expires,
                grant.principal,
                grant.members,
            ],
        )

    def open_grant(self, token: bytes, *operations: Operation) -> Grant:
        """Return the grant of a token; `GrantError` if it was altered, has expired, or is for something else."""
        fields = self.unseal(token, "grant")
        name, repository, store, key, dataset_id, component, size, checksum, expires, principal, members = (
            fields
        )
        grant = Grant(
            Operation(name),
            repository,
            store,
            key,
            UUID(hex=dataset_id),
            component,
            size,
            checksum,
            expires,
            principal,
            tuple(members),
        )
        if grant.operation not in operations:
            wanted = " or ".join(operation.value for operation in operations)
            raise GrantError(
                f"The grant for {grant.key!r} allows {grant.operation.value}, not {wanted}.",
                key=grant.key,
            )
        self.check_expiry(grant)
        if self._bearer is not None and grant.principal != self._bearer():
            raise GrantError(
                f"The grant for {grant.key!r} was made for somebody else; find or begin it yourself.",
                key=grant.key,
            )
        return grant

    def check_expiry(self, grant: Grant) -> None:
        """Raise `GrantError` if a grant has expired by now."""
        if grant.expires < self._clock():
            raise GrantError(
                f"The grant to {grant.operation.value} {grant.key!r} has expired; ask the registry for a new one.",
                key=grant.key,
            )

    def sign_receipt(self, receipt: Receipt) -> bytes:
        """Return the token of a receipt."""
        return self.seal(
            "receipt",
            [
                receipt.repository,
                receipt.store,
                receipt.key,
                receipt.dataset_id.hex,
                receipt.component,
                receipt.size,
                receipt.checksum,
            ],
        )

    def open_receipt(self, token: bytes) -> Receipt:
        """Return the receipt of a token; `GrantError` if it was altered."""
        fields = self.unseal(token, "receipt")
        repository, store, key, dataset_id, component, size, checksum = fields
        return Receipt(repository, store, key, UUID(hex=dataset_id), component, size, checksum)

    def sign_pass(self) -> bytes:
        """Return a token that proves for a minute that its bearer is a service, which has the keys."""
        return self.seal("pass", [int(self._clock()) + _PASS_SECONDS])

    def check_pass(self, token: bytes) -> None:
        """Raise `GrantError` unless a token is a pass, not altered and not expired."""
        (expires,) = self.unseal(token, "pass")
        if expires < self._clock():
            raise GrantError(
                "The pass has expired; the clocks of the services must not differ by more than a minute."
            )

    def seal(self, kind: str, fields: list[Any]) -> bytes:
        """Return a token that holds some plain values; ``kind`` keeps tokens of different use apart."""
        payload = json.dumps([kind, *fields], separators=(",", ":"), ensure_ascii=False).encode()
        return self._key_id + hmac.digest(self._key, payload, "sha256") + payload

    def unseal(self, token: bytes, kind: str) -> list[Any]:
        """Return the values that a token holds; `GrantError` if it was altered or is of another kind."""
        key = self._keys.get(token[:_KEY_ID_BYTES])
        mac, payload = token[_KEY_ID_BYTES : _KEY_ID_BYTES + _MAC_BYTES], token[_KEY_ID_BYTES + _MAC_BYTES :]
        if key is None or not hmac.compare_digest(mac, hmac.digest(key, payload, "sha256")):
            raise GrantError(f"A {kind} was altered, or signed with a key that this service does not know.")
        fields: list[Any] = json.loads(payload)
        if fields[0] != kind:
            raise GrantError(f"A {fields[0]} was given where a {kind} is needed.")
        return fields[1:]
