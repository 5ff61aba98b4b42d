# SPDX-License-Identifier: BSD-3-Clause
"""Queries and pages of their results."""

from __future__ import annotations

__all__ = [
    "data_id_query_from_proto",
    "data_id_query_to_proto",
    "dataset_query_from_proto",
    "dataset_query_to_proto",
    "page_from_proto",
    "page_request_from_proto",
    "page_request_to_proto",
    "page_to_proto",
    "record_query_from_proto",
    "record_query_to_proto",
]

from butler_api.v1 import query_service_pb2 as pb
from butler_api.v1 import values_pb2
from butler_model.paging import PageRequest, ResultPage
from butler_model.query.spec import QuerySpec, ResultKind

from .columns import column_to_proto, columns_from_proto
from .data_ids import data_id_from_proto, data_id_to_proto

_INT32_MAX = 2**31 - 1


def page_request_to_proto(page: PageRequest) -> pb.Paging:
    """Return the message that asks for a page."""
    return pb.Paging(page_size=min(page.size, _INT32_MAX), page_token=page.token)


def page_request_from_proto(message: pb.Paging) -> PageRequest:
    """Return which page is asked for."""
    return PageRequest(message.page_size, message.page_token)


def page_to_proto(page: ResultPage) -> pb.Page:
    """Return the message for a page."""
    columns = [column_to_proto(column.name, column.type, column.values) for column in page.columns]
    rows = values_pb2.Table(columns=columns, rows=page.rows)
    return pb.Page(rows=rows, next_page_token=page.next_token, revision=page.revision)


def page_from_proto(message: pb.Page) -> ResultPage:
    """Return a page; `InvalidRequestError` if it is malformed."""
    columns = tuple(columns_from_proto(message.rows))
    return ResultPage(columns, message.rows.rows, message.next_page_token, message.revision)


def data_id_query_to_proto(repository: str, spec: QuerySpec, page: PageRequest) -> pb.QueryDataIdsRequest:
    """Return the request for a page of data IDs."""
    return pb.QueryDataIdsRequest(
        repository=repository,
        dimensions=spec.dimensions,
        data_id=data_id_to_proto(spec.data_id),
        paging=page_request_to_proto(page),
    )


def data_id_query_from_proto(message: pb.QueryDataIdsRequest) -> QuerySpec:
    """Return the query for data IDs."""
    return QuerySpec(
        ResultKind.DATA_IDS, dimensions=tuple(message.dimensions), data_id=data_id_from_proto(message.data_id)
    )


def record_query_to_proto(
    repository: str, spec: QuerySpec, page: PageRequest
) -> pb.QueryDimensionRecordsRequest:
    """Return the request for a page of dimension records."""
    return pb.QueryDimensionRecordsRequest(
        repository=repository,
        element=spec.element,
        data_id=data_id_to_proto(spec.data_id),
        paging=page_request_to_proto(page),
    )


def record_query_from_proto(message: pb.QueryDimensionRecordsRequest) -> QuerySpec:
    """Return the query for dimension records; `InvalidRequestError` if it names no element."""
    data_id = data_id_from_proto(message.data_id)
    return QuerySpec(ResultKind.DIMENSION_RECORDS, element=message.element, data_id=data_id)


def dataset_query_to_proto(repository: str, spec: QuerySpec, page: PageRequest) -> pb.QueryDatasetsRequest:
    """Return the request for a page of datasets."""
    return pb.QueryDatasetsRequest(
        repository=repository,
        dataset_type=spec.dataset_type,
        collections=spec.collections,
        find_first=spec.find_first,
        data_id=data_id_to_proto(spec.data_id),
        paging=page_request_to_proto(page),
    )


def dataset_query_from_proto(message: pb.QueryDatasetsRequest) -> QuerySpec:
    """Return the query for datasets; `InvalidRequestError` if it names no dataset type."""
    return QuerySpec(
        ResultKind.DATASETS,
        dataset_type=message.dataset_type,
        collections=tuple(message.collections),
        find_first=message.find_first,
        data_id=data_id_from_proto(message.data_id),
    )
