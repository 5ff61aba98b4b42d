# SPDX-License-Identifier: BSD-3-Clause
"""The ledgers of a registry service, for a datastore service that has the same signing keys."""

from __future__ import annotations

__all__ = ["IdentifiedToken", "RemoteLedgers"]

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from butler_api.channel import Connection
from butler_api.client_security import ClientSecurity
from butler_api.convert.access import caller_from_proto, caller_to_proto, verb_to_proto
from butler_api.convert.ledger import (
    failure_to_proto,
    known_from_proto,
    places_from_proto,
    task_from_proto,
    task_to_proto,
)
from butler_api.convert.trash import selection_to_proto
from butler_api.v1 import ledger_service_pb2 as pb
from butler_api.v1.ledger_service_pb2_grpc import LedgerServiceStub
from butler_api.v1.repository_service_pb2 import ListRepositoriesRequest
from butler_api.v1.repository_service_pb2_grpc import RepositoryServiceStub
from butler_model.access import Verb
from butler_model.api_token import TokenSecret
from butler_model.grants import TokenSigner
from butler_model.ports import IntendedPlace, KnownArtifact
from butler_model.principal import Principal
from butler_model.trash import PurgeClaim, PurgeFailure, PurgeTask, TrashSelection

_NOTHING_TO_SHOW = ClientSecurity()
_TOKEN_SECONDS = 30.0
"""How long it may take until an API token that was revoked is refused here."""


@dataclass(frozen=True, slots=True)
class IdentifiedToken:
    """Whom an API token stands for, and the Unix time at which that has to be asked again."""

    principal: Principal
    expires: float


class RemoteLedgers:
    """Implements `butler_model.ports.Ledgers`. Safe to use from many threads.

    Parameters
    ----------
    address
        ``host:port`` of the registry service, ``grpcs://host:port`` to encrypt.
    signer
        Has the keys of that service.
    security
        Certificates for it, and tokens.
    """

    def __init__(
        self, address: str, signer: TokenSigner, security: ClientSecurity = _NOTHING_TO_SHOW
    ) -> None:
        self._connection = Connection(address, security=security)
        self._signer = signer

    def names(self) -> list[str]:
        # The worker begins each round here.
        self._connection.renew()
        stub = self._connection.stub(RepositoryServiceStub)
        return list(self._connection.call(stub.ListRepositories, ListRepositoriesRequest()).repositories)

    def identify(self, token: str) -> IdentifiedToken:
        """Return whom an API token stands for, and when that has to be asked again; `AuthenticationError`."""
        secret = TokenSecret.parse(token)
        request = pb.IdentifyTokenRequest(
            repository=secret.repository,
            service_pass=self._signer.sign_pass(),
            token_id=secret.id.bytes,
            digest=secret.digest,
        )
        response = self._connection.call(self._connection.stub(LedgerServiceStub).IdentifyToken, request)
        until = min(response.expires_nsec / 10**9, time.time() + _TOKEN_SECONDS)
        return IdentifiedToken(caller_from_proto(response.caller), until)

    def check_housekeeping(
        self, repository: str, principal: Principal, verb: Verb, trash_ids: Sequence[UUID] = ()
    ) -> None:
        """Raise `AccessDeniedError` unless somebody may have housekeeping done."""
        request = pb.CheckHousekeepingRequest(
            repository=repository,
            service_pass=self._signer.sign_pass(),
            caller=caller_to_proto(principal),
            verb=verb_to_proto(verb),
            trash_ids=b"".join(trash_id.bytes for trash_id in trash_ids),
        )
        self._connection.call(self._connection.stub(LedgerServiceStub).CheckHousekeeping, request)

    def ledger(self, repository: str) -> RemoteLedger:
        return RemoteLedger(self._connection, self._signer, repository)

    def close(self) -> None:
        """Give back the connection; the next use takes a new one."""
        self._connection.close()


class RemoteLedger:
    """Implements `butler_model.ports.ArtifactLedger`."""

    def __init__(self, connection: Connection, signer: TokenSigner, repository: str) -> None:
        self._connection = connection
        self._signer = signer
        self._repository = repository

    def count_due(self, selection: TrashSelection) -> int:
        request = pb.CountDueTrashRequest(
            repository=self._repository,
            service_pass=self._signer.sign_pass(),
            selection=selection_to_proto(selection),
        )
        return self._connection.call(self._stub.CountDueTrash, request).count

    def claim_trash(
        self, selection: TrashSelection, *, claim_id: UUID, limit: int, lease_seconds: int
    ) -> PurgeClaim:
        request = pb.ClaimTrashRequest(
            repository=self._repository,
            service_pass=self._signer.sign_pass(),
            selection=selection_to_proto(selection),
            claim_id=claim_id.bytes,
            limit=limit,
            lease_seconds=lease_seconds,
        )
        response = self._connection.call(self._stub.ClaimTrash, request)
        return PurgeClaim(claim_id, tuple(map(task_from_proto, response.tasks)))

    def confirm_purge(
        self, claim_id: UUID, done: Sequence[PurgeTask], failed: Sequence[PurgeFailure]
    ) -> None:
        request = pb.ConfirmPurgeRequest(
            repository=self._repository,
            service_pass=self._signer.sign_pass(),
            claim_id=claim_id.bytes,
            done=map(task_to_proto, done),
            failed=map(failure_to_proto, failed),
        )
        self._connection.call(self._stub.ConfirmPurge, request)

    def claim_intents(self, *, limit: int, lease_seconds: int, guard_seconds: int) -> list[IntendedPlace]:
        request = pb.ClaimIntentsRequest(
            repository=self._repository,
            service_pass=self._signer.sign_pass(),
            limit=limit,
            lease_seconds=lease_seconds,
            guard_seconds=guard_seconds,
        )
        return list(map(places_from_proto, self._connection.call(self._stub.ClaimIntents, request).intents))

    def finish_intents(self, dataset_ids: Sequence[UUID]) -> None:
        request = pb.FinishIntentsRequest(
            repository=self._repository,
            service_pass=self._signer.sign_pass(),
            dataset_ids=b"".join(dataset_id.bytes for dataset_id in dataset_ids),
        )
        self._connection.call(self._stub.FinishIntents, request)

    def known(self, store: str, *, after: str = "", limit: int = 10_000) -> list[KnownArtifact]:
        request = pb.ListKnownArtifactsRequest(
            repository=self._repository,
            service_pass=self._signer.sign_pass(),
            store=store,
            after=after,
            limit=limit,
        )
        response = self._connection.call(self._stub.ListKnownArtifacts, request)
        return list(map(known_from_proto, response.artifacts))

    def age_out(self, *, request_seconds: int, log_seconds: int) -> Mapping[str, int]:
        request = pb.AgeOutRequest(
            repository=self._repository,
            service_pass=self._signer.sign_pass(),
            request_seconds=request_seconds,
            log_seconds=log_seconds,
        )
        return dict(self._connection.call(self._stub.AgeOut, request).deleted)

    @property
    def _stub(self) -> LedgerServiceStub:
        return self._connection.stub(LedgerServiceStub)
