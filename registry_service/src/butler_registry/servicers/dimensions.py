# SPDX-License-Identifier: BSD-3-Clause
"""The RPCs of `DimensionService`."""

from __future__ import annotations

__all__ = ["DimensionServicer"]

import grpc

from butler_api.convert.data_ids import data_ids_from_proto, expanded_to_proto
from butler_api.convert.dimension_records import record_from_proto, records_from_proto
from butler_api.convert.values import uuid_from_proto
from butler_api.v1 import dimension_service_pb2 as pb
from butler_api.v1.dimension_service_pb2_grpc import DimensionServiceServicer

from .opened import OpenedRepositories


class DimensionServicer(DimensionServiceServicer):
    """Dimension records and data IDs."""

    def __init__(self, repositories: OpenedRepositories) -> None:
        self._repositories = repositories

    def InsertDimensionRecords(
        self, request: pb.InsertDimensionRecordsRequest, context: grpc.ServicerContext
    ) -> pb.InsertDimensionRecordsResponse:
        opened = self._repositories.open(request.repository)
        inserted = opened.registry.dimension_records.insert(
            request.records.element,
            records_from_proto(opened.universe, request.records, opened.limits.batch_items),
            request_id=uuid_from_proto(request.request_id, "request_id"),
            skip_existing=request.skip_existing,
            replace=request.replace,
        )
        return pb.InsertDimensionRecordsResponse(inserted=inserted, revision=opened.revision)

    def SyncDimensionRecord(
        self, request: pb.SyncDimensionRecordRequest, context: grpc.ServicerContext
    ) -> pb.SyncDimensionRecordResponse:
        opened = self._repositories.open(request.repository)
        inserted = opened.registry.dimension_records.sync(
            record_from_proto(opened.universe, request.record),
            request_id=uuid_from_proto(request.request_id, "request_id"),
            update=request.update,
        )
        return pb.SyncDimensionRecordResponse(inserted=inserted, revision=opened.revision)

    def ExpandDataIds(
        self, request: pb.ExpandDataIdsRequest, context: grpc.ServicerContext
    ) -> pb.ExpandDataIdsResponse:
        opened = self._repositories.open(request.repository)
        expanded = opened.registry.dimension_records.expand(
            opened.universe.conform(request.dimensions),
            data_ids_from_proto(request.data_ids, opened.limits.batch_items),
        )
        return pb.ExpandDataIdsResponse(expanded=expanded_to_proto(expanded), revision=opened.revision)
