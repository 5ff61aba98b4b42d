# SPDX-License-Identifier: BSD-3-Clause
"""The RPCs of `AssociationService`."""

from __future__ import annotations

__all__ = ["AssociationServicer"]

import grpc

from butler_api.convert.data_ids import data_ids_from_proto
from butler_api.convert.values import packed_uuids_from_proto, timespan_from_proto, uuid_from_proto
from butler_api.v1 import association_service_pb2 as pb
from butler_api.v1.association_service_pb2_grpc import AssociationServiceServicer

from .opened import OpenedRepositories


class AssociationServicer(AssociationServiceServicer):
    """Which datasets stand in TAGGED and CALIBRATION collections."""

    def __init__(self, repositories: OpenedRepositories) -> None:
        self._repositories = repositories

    def Associate(self, request: pb.AssociateRequest, context: grpc.ServicerContext) -> pb.AssociateResponse:
        opened = self._repositories.open(request.repository)
        opened.registry.associations.associate(
            request.collection,
            packed_uuids_from_proto(request.dataset_ids, "dataset_ids"),
            request_id=uuid_from_proto(request.request_id, "request_id"),
        )
        return pb.AssociateResponse(revision=opened.revision)

    def Disassociate(
        self, request: pb.DisassociateRequest, context: grpc.ServicerContext
    ) -> pb.DisassociateResponse:
        opened = self._repositories.open(request.repository)
        opened.registry.associations.disassociate(
            request.collection,
            packed_uuids_from_proto(request.dataset_ids, "dataset_ids"),
            request_id=uuid_from_proto(request.request_id, "request_id"),
        )
        return pb.DisassociateResponse(revision=opened.revision)

    def Certify(self, request: pb.CertifyRequest, context: grpc.ServicerContext) -> pb.CertifyResponse:
        opened = self._repositories.open(request.repository)
        opened.registry.associations.certify(
            request.collection,
            packed_uuids_from_proto(request.dataset_ids, "dataset_ids"),
            timespan_from_proto(request.timespan),
            request_id=uuid_from_proto(request.request_id, "request_id"),
        )
        return pb.CertifyResponse(revision=opened.revision)

    def Decertify(self, request: pb.DecertifyRequest, context: grpc.ServicerContext) -> pb.DecertifyResponse:
        opened = self._repositories.open(request.repository)
        limit = opened.limits.batch_items
        limited = request.HasField("data_ids")
        opened.registry.associations.decertify(
            request.collection,
            request.dataset_type,
            timespan_from_proto(request.timespan),
            request_id=uuid_from_proto(request.request_id, "request_id"),
            data_ids=data_ids_from_proto(request.data_ids, limit) if limited else None,
        )
        return pb.DecertifyResponse(revision=opened.revision)
