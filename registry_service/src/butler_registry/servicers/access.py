# SPDX-License-Identifier: BSD-3-Clause
"""The RPCs of `AccessService`."""

from __future__ import annotations

__all__ = ["AccessServicer"]

import grpc

from butler_api.caller import caller
from butler_api.convert.access import (
    api_token_to_proto,
    entry_from_proto,
    entry_to_proto,
    new_token_from_proto,
    quota_use_to_proto,
)
from butler_api.convert.values import uuid_from_proto
from butler_api.v1 import access_service_pb2 as pb
from butler_api.v1.access_service_pb2_grpc import AccessServiceServicer
from butler_model.quota import Quota
from butler_registry.services.callers import CallerService


class AccessServicer(AccessServiceServicer):
    """Who may do what, and tokens."""

    def __init__(self, callers: CallerService) -> None:
        self._callers = callers

    def ListAccess(
        self, request: pb.ListAccessRequest, context: grpc.ServicerContext
    ) -> pb.ListAccessResponse:
        entries = self._callers.access_service(request.repository).entries()
        return pb.ListAccessResponse(entries=map(entry_to_proto, entries))

    def GrantAccess(
        self, request: pb.GrantAccessRequest, context: grpc.ServicerContext
    ) -> pb.GrantAccessResponse:
        request_id = uuid_from_proto(request.request_id, "request_id")
        service = self._callers.access_service(request.repository)
        service.grant(entry_from_proto(request.entry), request_id=request_id)
        return pb.GrantAccessResponse()

    def RevokeAccess(
        self, request: pb.RevokeAccessRequest, context: grpc.ServicerContext
    ) -> pb.RevokeAccessResponse:
        request_id = uuid_from_proto(request.request_id, "request_id")
        service = self._callers.access_service(request.repository)
        service.revoke(entry_from_proto(request.entry), request_id=request_id)
        return pb.RevokeAccessResponse()

    def ListQuotas(
        self, request: pb.ListQuotasRequest, context: grpc.ServicerContext
    ) -> pb.ListQuotasResponse:
        uses = self._callers.quota_service(request.repository).uses()
        return pb.ListQuotasResponse(uses=map(quota_use_to_proto, uses))

    def SetQuota(self, request: pb.SetQuotaRequest, context: grpc.ServicerContext) -> pb.SetQuotaResponse:
        request_id = uuid_from_proto(request.request_id, "request_id")
        service = self._callers.quota_service(request.repository)
        if request.HasField("bytes"):
            service.set(Quota(request.prefix, request.bytes), request_id=request_id)
        else:
            service.remove(request.prefix, request_id=request_id)
        return pb.SetQuotaResponse()

    def CreateToken(
        self, request: pb.CreateTokenRequest, context: grpc.ServicerContext
    ) -> pb.CreateTokenResponse:
        service = self._callers.access_service(request.repository)
        return pb.CreateTokenResponse(
            token=service.create_token(new_token_from_proto(request), caller()).text
        )

    def ListTokens(
        self, request: pb.ListTokensRequest, context: grpc.ServicerContext
    ) -> pb.ListTokensResponse:
        tokens = self._callers.access_service(request.repository).tokens(caller())
        return pb.ListTokensResponse(tokens=map(api_token_to_proto, tokens))

    def RevokeToken(
        self, request: pb.RevokeTokenRequest, context: grpc.ServicerContext
    ) -> pb.RevokeTokenResponse:
        token_id = uuid_from_proto(request.token_id, "token_id")
        self._callers.access_service(request.repository).revoke_token(token_id, caller())
        return pb.RevokeTokenResponse()
