# SPDX-License-Identifier: BSD-3-Clause
"""Granting clients what they may do at the datastore service."""

from __future__ import annotations

__all__ = ["GrantOffice"]

import time
from uuid import UUID

from butler_model.artifact import ArtifactRecord, Grant, Operation, Receipt
from butler_model.errors import GrantError
from butler_model.grants import TokenSigner
from butler_registry.storage.intent_store import IntendedArtifact

_READ_SECONDS = 900
_DISCARD_SECONDS = 900
_MAX_ARTIFACT_BYTES = 2**40


class GrantOffice:
    """Makes grants for one repository, and opens the receipts that come back.

    Parameters
    ----------
    principal
        Who may use the grants, where the datastore service asks who calls; everybody if empty.
    """

    def __init__(self, signer: TokenSigner, repository: str, principal: str = "") -> None:
        self._signer = signer
        self._repository = repository
        self._principal = principal

    def for_principal(self, name: str) -> GrantOffice:
        """Return one whose grants are of use to somebody only."""
        return GrantOffice(self._signer, self._repository, name)

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
                self._principal,
            )
        )

    def write(self, artifact: IntendedArtifact, dataset_id: UUID, lease_seconds: int) -> bytes:
        """Grant writing an artifact for as long as the put's lease runs."""
        return self._intended(Operation.WRITE, artifact, dataset_id, _MAX_ARTIFACT_BYTES, lease_seconds)

    def adopt(self, artifact: IntendedArtifact, dataset_id: UUID, lease_seconds: int) -> bytes:
        """Grant measuring an artifact that is there already, for as long as the put's lease runs."""
        return self._intended(Operation.ADOPT, artifact, dataset_id, _MAX_ARTIFACT_BYTES, lease_seconds)

    def discard(self, artifact: IntendedArtifact, dataset_id: UUID) -> bytes:
        """Grant removing what an aborted put may have written."""
        return self._intended(Operation.DISCARD, artifact, dataset_id, 0, _DISCARD_SECONDS)

    def _intended(
        self, operation: Operation, artifact: IntendedArtifact, dataset_id: UUID, size: int, seconds: int
    ) -> bytes:
        return self._signer.sign_grant(
            Grant(
                operation,
                self._repository,
                artifact.store,
                artifact.key,
                dataset_id,
                artifact.layout.component,
                size,
                "",
                int(time.time()) + seconds,
                self._principal,
                members=artifact.members,
            )
        )

    def open_receipt(self, token: bytes) -> Receipt:
        """Return what a receipt says; `GrantError` if it was altered or is of another repository."""
        receipt = self._signer.open_receipt(token)
        if receipt.repository != self._repository:
            raise GrantError(f"The receipt for {receipt.key!r} is of repository {receipt.repository!r}.")
        return receipt
