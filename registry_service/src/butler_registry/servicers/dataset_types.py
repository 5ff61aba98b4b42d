# SPDX-License-Identifier: BSD-3-Clause
"""The RPCs of `DatasetTypeService`."""

from __future__ import annotations

__all__ = ["DatasetTypeServicer"]

import grpc

from butler_api.convert.dataset_types import dataset_type_from_proto, dataset_type_to_proto
from butler_api.convert.values import uuid_from_proto
from butler_api.v1 import dataset_type_service_pb2 as pb
from butler_api.v1.dataset_type_service_pb2_grpc import DatasetTypeServiceServicer

from .listing import page_of_names
from .opened import OpenedRepositories


class DatasetTypeServicer(DatasetTypeServiceServicer):
    """Dataset types."""

    def __init__(self, repositories: OpenedRepositories) -> None:
        self._repositories = repositories

    def RegisterDatasetType(
        self, request: pb.RegisterDatasetTypeRequest, context: grpc.ServicerContext
    ) -> pb.RegisterDatasetTypeResponse:
        opened = self._repositories.open(request.repository)
        registered = opened.registry.dataset_types.register(
            dataset_type_from_proto(opened.universe, request.dataset_type),
            request_id=uuid_from_proto(request.request_id, "request_id"),
        )
        return pb.RegisterDatasetTypeResponse(registered=registered, revision=opened.revision)

    def GetDatasetType(
        self, request: pb.GetDatasetTypeRequest, context: grpc.ServicerContext
    ) -> pb.GetDatasetTypeResponse:
        opened = self._repositories.open(request.repository)
        dataset_type = opened.registry.dataset_types.get(request.name)
        return pb.GetDatasetTypeResponse(
            dataset_type=dataset_type_to_proto(dataset_type), revision=opened.revision
        )

    def ListDatasetTypes(
        self, request: pb.ListDatasetTypesRequest, context: grpc.ServicerContext
    ) -> pb.ListDatasetTypesResponse:
        opened = self._repositories.open(request.repository)
        found = opened.registry.dataset_types.find(request.patterns)
        page, next_token = page_of_names(found, request, opened.limits)
        return pb.ListDatasetTypesResponse(
            dataset_types=map(dataset_type_to_proto, page),
            next_page_token=next_token,
            revision=opened.revision,
        )

    def RemoveDatasetTypes(
        self, request: pb.RemoveDatasetTypesRequest, context: grpc.ServicerContext
    ) -> pb.RemoveDatasetTypesResponse:
        opened = self._repositories.open(request.repository)
        request_id = uuid_from_proto(request.request_id, "request_id")
        removed = opened.registry.dataset_types.remove(request.patterns, request_id=request_id)
        return pb.RemoveDatasetTypesResponse(removed=removed, revision=opened.revision)
