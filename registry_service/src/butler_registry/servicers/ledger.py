# SPDX-License-Identifier: BSD-3-Clause
"""The RPCs of `LedgerService`."""

from __future__ import annotations

__all__ = ["LedgerServicer"]

import grpc

from butler_api.convert.access import caller_from_proto, caller_to_proto, verb_from_proto
from butler_api.convert.ledger import (
    failure_from_proto,
    known_to_proto,
    places_to_proto,
    task_from_proto,
    task_to_proto,
)
from butler_api.convert.trash import selection_from_proto
from butler_api.convert.values import packed_uuids_from_proto, uuid_from_proto
from butler_api.v1 import ledger_service_pb2 as pb
from butler_api.v1.ledger_service_pb2_grpc import LedgerServiceServicer
from butler_model.api_token import principal_of
from butler_model.ports import GuardedLedgers


class LedgerServicer(LedgerServiceServicer):
    """The ledger of artifacts, for datastore services."""

    def __init__(self, ledgers: GuardedLedgers) -> None:
        self._ledgers = ledgers

    def CountDueTrash(
        self, request: pb.CountDueTrashRequest, context: grpc.ServicerContext
    ) -> pb.CountDueTrashResponse:
        ledger = self._ledgers.ledger(request.service_pass, request.repository)
        return pb.CountDueTrashResponse(count=ledger.count_due(selection_from_proto(request.selection)))

    def ClaimTrash(
        self, request: pb.ClaimTrashRequest, context: grpc.ServicerContext
    ) -> pb.ClaimTrashResponse:
        claim = self._ledgers.ledger(request.service_pass, request.repository).claim_trash(
            selection_from_proto(request.selection),
            claim_id=uuid_from_proto(request.claim_id, "claim_id"),
            limit=request.limit,
            lease_seconds=request.lease_seconds,
        )
        return pb.ClaimTrashResponse(tasks=map(task_to_proto, claim.tasks))

    def ConfirmPurge(
        self, request: pb.ConfirmPurgeRequest, context: grpc.ServicerContext
    ) -> pb.ConfirmPurgeResponse:
        self._ledgers.ledger(request.service_pass, request.repository).confirm_purge(
            uuid_from_proto(request.claim_id, "claim_id"),
            list(map(task_from_proto, request.done)),
            list(map(failure_from_proto, request.failed)),
        )
        return pb.ConfirmPurgeResponse()

    def ClaimIntents(
        self, request: pb.ClaimIntentsRequest, context: grpc.ServicerContext
    ) -> pb.ClaimIntentsResponse:
        intents = self._ledgers.ledger(request.service_pass, request.repository).claim_intents(
            limit=request.limit, lease_seconds=request.lease_seconds, guard_seconds=request.guard_seconds
        )
        return pb.ClaimIntentsResponse(intents=map(places_to_proto, intents))

    def FinishIntents(
        self, request: pb.FinishIntentsRequest, context: grpc.ServicerContext
    ) -> pb.FinishIntentsResponse:
        ids = packed_uuids_from_proto(request.dataset_ids, "dataset_ids")
        self._ledgers.ledger(request.service_pass, request.repository).finish_intents(ids)
        return pb.FinishIntentsResponse()

    def ListKnownArtifacts(
        self, request: pb.ListKnownArtifactsRequest, context: grpc.ServicerContext
    ) -> pb.ListKnownArtifactsResponse:
        ledger = self._ledgers.ledger(request.service_pass, request.repository)
        known = ledger.known(request.store, after=request.after, limit=request.limit)
        return pb.ListKnownArtifactsResponse(artifacts=map(known_to_proto, known))

    def IdentifyToken(
        self, request: pb.IdentifyTokenRequest, context: grpc.ServicerContext
    ) -> pb.IdentifyTokenResponse:
        token_id = uuid_from_proto(request.token_id, "token_id")
        token = self._ledgers.token(request.service_pass, request.repository, token_id, request.digest)
        return pb.IdentifyTokenResponse(
            caller=caller_to_proto(principal_of(token, request.repository)), expires_nsec=token.expires_nsec
        )

    def CheckHousekeeping(
        self, request: pb.CheckHousekeepingRequest, context: grpc.ServicerContext
    ) -> pb.CheckHousekeepingResponse:
        self._ledgers.check_housekeeping(
            request.service_pass,
            request.repository,
            caller_from_proto(request.caller),
            verb_from_proto(request.verb),
            packed_uuids_from_proto(request.trash_ids, "trash_ids"),
        )
        return pb.CheckHousekeepingResponse()

    def AgeOut(self, request: pb.AgeOutRequest, context: grpc.ServicerContext) -> pb.AgeOutResponse:
        deleted = self._ledgers.ledger(request.service_pass, request.repository).age_out(
            request_seconds=request.request_seconds, log_seconds=request.log_seconds
        )
        return pb.AgeOutResponse(deleted=deleted)
