# SPDX-License-Identifier: BSD-3-Clause
"""The door to what is for datastore services only, not for clients."""

from __future__ import annotations

__all__ = ["LedgerAccess"]

from collections.abc import Collection
from uuid import UUID

from butler_model.access import Verb
from butler_model.api_token import ApiToken
from butler_model.grants import TokenSigner
from butler_model.ports import ArtifactLedger, Ledgers
from butler_model.principal import Principal

from .callers import CallerService


class LedgerAccess:
    """Answers whoever has the signing keys; implements `butler_model.ports.GuardedLedgers`."""

    def __init__(self, ledgers: Ledgers, signer: TokenSigner, callers: CallerService) -> None:
        self._ledgers = ledgers
        self._signer = signer
        self._callers = callers

    def ledger(self, service_pass: bytes, repository: str) -> ArtifactLedger:
        self._signer.check_pass(service_pass)
        return self._ledgers.ledger(repository)

    def token(self, service_pass: bytes, repository: str, token_id: UUID, digest: bytes) -> ApiToken:
        self._signer.check_pass(service_pass)
        return self._callers.token(repository, token_id, digest)

    def check_housekeeping(
        self,
        service_pass: bytes,
        repository: str,
        principal: Principal,
        verb: Verb,
        trash_ids: Collection[UUID],
    ) -> None:
        self._signer.check_pass(service_pass)
        self._callers.check_housekeeping(repository, principal, verb, trash_ids)
