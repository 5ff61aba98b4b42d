# SPDX-License-Identifier: BSD-3-Clause
"""The door to the ledgers: they are for datastore services, not for clients."""

from __future__ import annotations

__all__ = ["LedgerAccess"]

from butler_model.grants import TokenSigner
from butler_model.ports import ArtifactLedger, Ledgers


class LedgerAccess:
    """Gives ledgers to whoever has the signing keys; implements `butler_model.ports.GuardedLedgers`."""

    def __init__(self, ledgers: Ledgers, signer: TokenSigner) -> None:
        self._ledgers = ledgers
        self._signer = signer

    def ledger(self, service_pass: bytes, repository: str) -> ArtifactLedger:
        self._signer.check_pass(service_pass)
        return self._ledgers.ledger(repository)
