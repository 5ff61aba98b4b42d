# SPDX-License-Identifier: BSD-3-Clause
"""The RPCs of `QueryService`."""

from __future__ import annotations

__all__ = ["QueryServicer"]

from collections.abc import Iterator
from contextlib import closing

import grpc

from butler_api.convert.queries import (
    data_id_query_from_proto,
    dataset_query_from_proto,
    page_request_from_proto,
    page_to_proto,
    query_from_proto,
    record_query_from_proto,
    repository_of,
)
from butler_api.long_calls import LongCalls, cancelled_with
from butler_api.v1 import query_service_pb2 as pb
from butler_api.v1.query_service_pb2_grpc import QueryServiceServicer
from butler_model.query.spec import QuerySpec

from .opened import OpenedRepositories

_STREAMS = LongCalls("streams", 4)
"""Each holds a connection to the database, of which there are ten by default. Who finds no room can ask for pages."""


class QueryServicer(QueryServiceServicer):
    """Queries, a page at a time or as a stream."""

    def __init__(self, repositories: OpenedRepositories) -> None:
        self._repositories = repositories

    def QueryDataIds(
        self, request: pb.QueryDataIdsRequest, context: grpc.ServicerContext
    ) -> pb.QueryDataIdsResponse:
        spec = data_id_query_from_proto(request)
        return pb.QueryDataIdsResponse(page=self._page(request.repository, spec, request.paging))

    def QueryDimensionRecords(
        self, request: pb.QueryDimensionRecordsRequest, context: grpc.ServicerContext
    ) -> pb.QueryDimensionRecordsResponse:
        spec = record_query_from_proto(request)
        return pb.QueryDimensionRecordsResponse(page=self._page(request.repository, spec, request.paging))

    def QueryDatasets(
        self, request: pb.QueryDatasetsRequest, context: grpc.ServicerContext
    ) -> pb.QueryDatasetsResponse:
        spec = dataset_query_from_proto(request)
        return pb.QueryDatasetsResponse(page=self._page(request.repository, spec, request.paging))

    def StreamQuery(
        self, request: pb.StreamQueryRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.StreamQueryResponse]:
        opened = self._repositories.open(repository_of(request.query))
        query, cancellation = query_from_proto(request.query), cancelled_with(context)
        pages = opened.registry.queries.stream(query, request.page_size, cancellation=cancellation)
        # Closed when the client cancels, too: the server then closes this generator.
        with _STREAMS.place(), closing(pages):  # type: ignore[type-var]
            for page in pages:
                yield pb.StreamQueryResponse(page=page_to_proto(page))

    # How grpc is told where to run a method.
    StreamQuery.experimental_thread_pool = _STREAMS.threads  # type: ignore[attr-defined]

    def CountQuery(
        self, request: pb.CountQueryRequest, context: grpc.ServicerContext
    ) -> pb.CountQueryResponse:
        opened = self._repositories.open(repository_of(request.query))
        rows = opened.registry.queries.count(query_from_proto(request.query), exact=not request.inexact)
        return pb.CountQueryResponse(rows=rows, revision=opened.revision)

    def ExplainQuery(
        self, request: pb.ExplainQueryRequest, context: grpc.ServicerContext
    ) -> pb.ExplainQueryResponse:
        opened = self._repositories.open(repository_of(request.query))
        reasons = opened.registry.queries.explain_no_results(query_from_proto(request.query))
        return pb.ExplainQueryResponse(reasons=reasons, revision=opened.revision)

    def _page(self, repository: str, spec: QuerySpec, paging: pb.Paging) -> pb.Page:
        queries = self._repositories.open(repository).registry.queries
        return page_to_proto(queries.page(spec, page_request_from_proto(paging)))
