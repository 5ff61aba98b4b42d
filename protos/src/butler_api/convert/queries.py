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
    "query_from_proto",
    "query_to_proto",
    "record_query_from_proto",
    "record_query_to_proto",
    "repository_of",
]

from butler_api.v1 import query_service_pb2 as pb
from butler_api.v1 import values_pb2
from butler_model.collecting import without_collection
from butler_model.errors import InvalidRequestError
from butler_model.paging import PageRequest, ResultPage
from butler_model.query.spec import QuerySpec, ResultKind

from .columns import column_to_proto, columns_from_proto
from .data_ids import data_id_from_proto, data_id_to_proto
from .query_filters import filter_from_proto, filter_to_proto

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
    with without_collection():
        columns = tuple(columns_from_proto(message.rows))
    return ResultPage(columns, message.rows.rows, message.next_page_token, message.revision)


def data_id_query_to_proto(
    repository: str, spec: QuerySpec, page: PageRequest | None = None
) -> pb.QueryDataIdsRequest:
    """Return the request for a page of data IDs, or for a query without paging."""
    return pb.QueryDataIdsRequest(
        repository=repository,
        dimensions=spec.dimensions,
        joined=spec.joined,
        data_id=data_id_to_proto(spec.data_id),
        paging=None if page is None else page_request_to_proto(page),
        filter=filter_to_proto(spec),
    )


def data_id_query_from_proto(message: pb.QueryDataIdsRequest) -> QuerySpec:
    """Return the query for data IDs."""
    return QuerySpec(
        ResultKind.DATA_IDS,
        dimensions=tuple(message.dimensions),
        joined=tuple(message.joined),
        data_id=data_id_from_proto(message.data_id),
        **filter_from_proto(message.filter),
    )


def record_query_to_proto(
    repository: str, spec: QuerySpec, page: PageRequest | None = None
) -> pb.QueryDimensionRecordsRequest:
    """Return the request for a page of dimension records, or for a query without paging."""
    return pb.QueryDimensionRecordsRequest(
        repository=repository,
        element=spec.element,
        dimensions=spec.dimensions,
        data_id=data_id_to_proto(spec.data_id),
        paging=None if page is None else page_request_to_proto(page),
        filter=filter_to_proto(spec),
    )


def record_query_from_proto(message: pb.QueryDimensionRecordsRequest) -> QuerySpec:
    """Return the query for dimension records; `InvalidRequestError` if it names no element."""
    return QuerySpec(
        ResultKind.DIMENSION_RECORDS,
        element=message.element,
        dimensions=tuple(message.dimensions),
        data_id=data_id_from_proto(message.data_id),
        **filter_from_proto(message.filter),
    )


def dataset_query_to_proto(
    repository: str, spec: QuerySpec, page: PageRequest | None = None
) -> pb.QueryDatasetsRequest:
    """Return the request for a page of datasets, or for a query without paging."""
    return pb.QueryDatasetsRequest(
        repository=repository,
        dataset_type=spec.dataset_type,
        collections=spec.collections,
        find_first=spec.find_first,
        dimensions=spec.dimensions,
        dataset_fields=spec.dataset_fields,
        data_id=data_id_to_proto(spec.data_id),
        paging=None if page is None else page_request_to_proto(page),
        filter=filter_to_proto(spec),
    )


def dataset_query_from_proto(message: pb.QueryDatasetsRequest) -> QuerySpec:
    """Return the query for datasets; `InvalidRequestError` if it names no dataset type."""
    return QuerySpec(
        ResultKind.DATASETS,
        dataset_type=message.dataset_type,
        collections=tuple(message.collections),
        find_first=message.find_first,
        dimensions=tuple(message.dimensions),
        dataset_fields=tuple(message.dataset_fields),
        data_id=data_id_from_proto(message.data_id),
        **filter_from_proto(message.filter),
    )


def query_to_proto(repository: str, spec: QuerySpec) -> pb.Query:
    """Return the message for a query of any kind."""
    if spec.kind is ResultKind.DATA_IDS:
        return pb.Query(data_ids=data_id_query_to_proto(repository, spec))
    if spec.kind is ResultKind.DIMENSION_RECORDS:
        return pb.Query(dimension_records=record_query_to_proto(repository, spec))
    return pb.Query(datasets=dataset_query_to_proto(repository, spec))


def query_from_proto(message: pb.Query) -> QuerySpec:
    """Return a query of any kind; `InvalidRequestError` if it is of none."""
    match message.WhichOneof("kind"):
        case "data_ids":
            return data_id_query_from_proto(message.data_ids)
        case "dimension_records":
            return record_query_from_proto(message.dimension_records)
        case "datasets":
            return dataset_query_from_proto(message.datasets)
        case _:
            raise _no_query()


def repository_of(message: pb.Query) -> str:
    """Return the name of the repository that a query is for; `InvalidRequestError` if it is of no kind."""
    kind = message.WhichOneof("kind")
    if kind is None:
        raise _no_query()
    name: str = getattr(message, kind).repository
    return name


def _no_query() -> InvalidRequestError:
    return InvalidRequestError(
        "The request holds no query; set one of data_ids, dimension_records and datasets."
    )
