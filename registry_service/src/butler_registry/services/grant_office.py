# SPDX-License-Identifier: BSD-3-Clause
"""Granting clients what they may do at the datastore service."""

from __future__ import annotations

__all__ = ["GrantOffice"]

import time
from uuid import UUID

from butler_model.artifact import ArtifactRecord, Grant, Operation, Receipt
from butler_model.errors import GrantError
from butler_model.grants import TokenSigner

_READ_SECONDS = 900
_DISCARD_SECONDS = 900
_MAX_ARTIFACT_BYTES = 2**40


class GrantOffice:
    """Makes grants for one repository, and opens the receipts that come back."""

    def __init__(self, signer: TokenSigner, repository: str) -> None:
        self._signer = signer
        self._repository = repository

    def read_expiry(self) -> int:
        """Return when a read grant made now expires, as Unix seconds."""
        return int(time.time()) + _READ_SECONDS

    def read(self, record: ArtifactRecord, expires: int) -> bytes:
        """Grant reading an artifact."""
        return self._signer.sign_grant(
            Grant(
                Operation.READ,
                self._repository,
                record.store,
                record.key,
                record.dataset_id,
                record.layout.component,
                record.size,
                record.checksum,
                expires,
            )
        )

    def write(self, store: str, key: str, dataset_id: UUID, component: str, lease_seconds: int) -> bytes:
        """Grant writing an artifact for as long as the put's lease runs."""
        return self._without_content(
            Operation.WRITE, store, key, dataset_id, component, _MAX_ARTIFACT_BYTES, lease_seconds
        )

    def adopt(self, store: str, key: str, dataset_id: UUID, component: str, lease_seconds: int) -> bytes:
        """Grant measuring an artifact that is there already, for as long as the put's lease runs."""
        return self._without_content(
            Operation.ADOPT, store, key, dataset_id, component, _MAX_ARTIFACT_BYTES, lease_seconds
        )

    def discard(self, store: str, key: str, dataset_id: UUID, component: str) -> bytes:
        """Grant removing what an aborted put may have written."""
        return self._without_content(
            Operation.DISCARD, store, key, dataset_id, component, 0, _DISCARD_SECONDS
        )

    def _without_content(
        self,
        operation: Operation,
        store: str,
        key: str,
        dataset_id: UUID,
        component: str,
        size: int,
        seconds: int,
    ) -> bytes:
        expires = int(time.time()) + seconds
        return self._signer.sign_grant(
            Grant(operation, self._repository, store, key, dataset_id, component, size, "", expires)
        )

    def open_receipt(self, token: bytes) -> Receipt:
        """Return what a receipt says; `GrantError` if it was altered or is of another repository."""
        receipt = self._signer.open_receipt(token)
        if receipt.repository != self._repository:
            raise GrantError(f"The receipt for {receipt.key!r} is of repository {receipt.repository!r}.")
        return receipt
