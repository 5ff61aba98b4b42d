# SPDX-License-Identifier: BSD-3-Clause
"""Queries of a remote registry."""

from __future__ import annotations

__all__ = ["RemoteQueries"]

from collections.abc import Iterator

from butler.pages import pages
from butler_api.convert.queries import (
    data_id_query_to_proto,
    dataset_query_to_proto,
    page_from_proto,
    query_to_proto,
    record_query_to_proto,
)
from butler_api.v1 import query_service_pb2 as pb
from butler_api.v1.query_service_pb2_grpc import QueryServiceStub
from butler_model.cancellation import Cancellation
from butler_model.errors import OverloadedError
from butler_model.paging import PageRequest, ResultPage
from butler_model.query.spec import QuerySpec, ResultKind

from .session import RepositorySession


class RemoteQueries:
    """Implements `butler_model.ports.Queries`."""

    def __init__(self, session: RepositorySession) -> None:
        self._session = session

    def page(self, spec: QuerySpec, page: PageRequest) -> ResultPage:
        repository, connection, stub = self._session.repository, self._session.connection, self._stub
        if spec.kind is ResultKind.DATA_IDS:
            message = connection.call(stub.QueryDataIds, data_id_query_to_proto(repository, spec, page)).page
        elif spec.kind is ResultKind.DIMENSION_RECORDS:
            request = record_query_to_proto(repository, spec, page)
            message = connection.call(stub.QueryDimensionRecords, request).page
        else:
            message = connection.call(stub.QueryDatasets, dataset_query_to_proto(repository, spec, page)).page
        self._session.see(message.revision)
        return page_from_proto(message)

    def stream(
        self, spec: QuerySpec, page_rows: int = 0, *, cancellation: Cancellation | None = None
    ) -> Iterator[ResultPage]:
        request = pb.StreamQueryRequest(
            query=query_to_proto(self._session.repository, spec), page_size=page_rows
        )
        began = False
        try:
            for response in self._session.connection.stream(self._stub.StreamQuery, request, cancellation):
                began = True
                self._session.see(response.page.revision)
                yield page_from_proto(response.page)
        except OverloadedError:
            if began:
                raise
            yield from pages(self, spec, page_rows)

    def count(self, spec: QuerySpec, *, exact: bool = True) -> int:
        query = query_to_proto(self._session.repository, spec)
        request = pb.CountQueryRequest(query=query, inexact=not exact)
        response = self._session.connection.call(self._stub.CountQuery, request)
        self._session.see(response.revision)
        return response.rows

    def explain_no_results(self, spec: QuerySpec) -> list[str]:
        request = pb.ExplainQueryRequest(query=query_to_proto(self._session.repository, spec))
        response = self._session.connection.call(self._stub.ExplainQuery, request)
        self._session.see(response.revision)
        return list(response.reasons)

    @property
    def _stub(self) -> QueryServiceStub:
        return self._session.connection.stub(QueryServiceStub)
