# SPDX-License-Identifier: BSD-3-Clause
"""The RPCs of `DatasetService`."""

from __future__ import annotations

__all__ = ["DatasetServicer"]

from itertools import islice

import grpc

from butler_api.convert.data_ids import data_ids_from_proto
from butler_api.convert.dataset_types import dataset_type_to_proto
from butler_api.convert.datasets import begin_from_proto, found_to_proto, granted_to_proto, types_of
from butler_api.convert.values import timespan_from_proto, uuid_from_proto, uuids_from_proto
from butler_api.v1 import dataset_service_pb2 as pb
from butler_api.v1.dataset_service_pb2_grpc import DatasetServiceServicer
from butler_model.ports import DatasetLookup

from .opened import OpenedRepositories


class DatasetServicer(DatasetServiceServicer):
    """Finding datasets, and the registry's half of putting them."""

    def __init__(self, repositories: OpenedRepositories) -> None:
        self._repositories = repositories

    def FindDatasets(
        self, request: pb.FindDatasetsRequest, context: grpc.ServicerContext
    ) -> pb.FindDatasetsResponse:
        opened = self._repositories.open(request.repository)
        lookup = DatasetLookup(
            request.dataset_type,
            data_ids_from_proto(request.data_ids, opened.limits.batch_items),
            tuple(request.collections),
            timespan_from_proto(request.timespan) if request.HasField("timespan") else None,
            request.want_artifacts,
        )
        found = opened.registry.datasets.find(lookup)
        dataset_type = next(map(dataset_type_to_proto, types_of(found)), None)
        return pb.FindDatasetsResponse(
            dataset_type=dataset_type, datasets=map(found_to_proto, found), revision=opened.revision
        )

    def GetDatasets(
        self, request: pb.GetDatasetsRequest, context: grpc.ServicerContext
    ) -> pb.GetDatasetsResponse:
        opened = self._repositories.open(request.repository)
        ids = uuids_from_proto(request.ids, "ids")
        found = opened.registry.datasets.get(
            ids, want_artifacts=request.want_artifacts, expected_type=request.expected_type
        )
        return pb.GetDatasetsResponse(
            dataset_types=map(dataset_type_to_proto, types_of(found)),
            datasets=map(found_to_proto, found),
            revision=opened.revision,
        )

    def BeginPut(self, request: pb.BeginPutRequest, context: grpc.ServicerContext) -> pb.BeginPutResponse:
        opened = self._repositories.open(request.repository)
        begin = begin_from_proto(request, opened.limits.batch_items)
        intents = iter(opened.registry.puts.begin(begin))
        granted = [granted_to_proto(list(islice(intents, len(batch.data_ids)))) for batch in begin.batches]
        return pb.BeginPutResponse(batches=granted, revision=opened.revision)

    def CommitPut(self, request: pb.CommitPutRequest, context: grpc.ServicerContext) -> pb.CommitPutResponse:
        opened = self._repositories.open(request.repository)
        opened.registry.puts.commit(
            uuids_from_proto(request.dataset_ids, "dataset_ids"),
            request.receipts,
            request_id=uuid_from_proto(request.request_id, "request_id"),
        )
        return pb.CommitPutResponse(revision=opened.revision)

    def AbortPut(self, request: pb.AbortPutRequest, context: grpc.ServicerContext) -> pb.AbortPutResponse:
        opened = self._repositories.open(request.repository)
        grants = opened.registry.puts.abort(
            uuids_from_proto(request.dataset_ids, "dataset_ids"),
            request_id=uuid_from_proto(request.request_id, "request_id"),
        )
        return pb.AbortPutResponse(discard_grants=grants, revision=opened.revision)

    def FinishAbort(
        self, request: pb.FinishAbortRequest, context: grpc.ServicerContext
    ) -> pb.FinishAbortResponse:
        opened = self._repositories.open(request.repository)
        opened.registry.puts.finish_abort(
            uuids_from_proto(request.dataset_ids, "dataset_ids"),
            request_id=uuid_from_proto(request.request_id, "request_id"),
        )
        return pb.FinishAbortResponse(revision=opened.revision)
