# SPDX-License-Identifier: BSD-3-Clause
"""What queries are restricted and ordered by."""

from __future__ import annotations

__all__ = ["filter_from_proto", "filter_to_proto"]

from typing import Any, TypedDict
from uuid import UUID

from butler_api.v1 import query_service_pb2 as pb
from butler_api.v1 import values_pb2
from butler_model.data_id import DataIdValue
from butler_model.errors import ExpressionTypeError, InvalidRequestError
from butler_model.query.bound_values import MAX_BOUND_VALUES, Instant
from butler_model.query.spec import MAX_UPLOADED_ROWS, DataIdTable, DatasetSearch, QuerySpec

from .columns import check_rows, columns_from_proto, given_column_to_proto
from .data_ids import data_id_from_proto, data_id_to_proto
from .values import uuid_from_proto, value_from_proto, value_to_proto


class _Filter(TypedDict):
    where: str
    bind: dict[str, Any]
    default_data_id: dict[str, DataIdValue]
    check: bool
    joins: tuple[DatasetSearch, ...]
    uploads: tuple[DataIdTable, ...]
    order_by: tuple[str, ...]
    limit: int | None


def filter_to_proto(spec: QuerySpec) -> pb.QueryFilter:
    """Return the message for what a query is restricted and ordered by.

    Raises `ExpressionTypeError` for a bound value that has no form on the wire.
    """
    return pb.QueryFilter(
        where=spec.where,
        bind={name: _bind_to_proto(value, name) for name, value in spec.bind.items()},
        default_data_id=data_id_to_proto(spec.default_data_id),
        skip_check=not spec.check,
        joins=[
            pb.DatasetSearch(dataset_type=join.dataset_type, collections=join.collections)
            for join in spec.joins
        ],
        uploads=map(_upload_to_proto, spec.uploads),
        order_by=spec.order_by,
        limit=spec.limit,
    )


def filter_from_proto(message: pb.QueryFilter) -> _Filter:
    """Return the arguments of a `QuerySpec` that a message holds."""
    return _Filter(
        where=message.where,
        bind={name: _bind_from_proto(value) for name, value in message.bind.items()},
        default_data_id=data_id_from_proto(message.default_data_id),
        check=not message.skip_check,
        joins=tuple(DatasetSearch(join.dataset_type, tuple(join.collections)) for join in message.joins),
        uploads=tuple(map(_upload_from_proto, message.uploads)),
        order_by=tuple(message.order_by),
        limit=message.limit if message.HasField("limit") else None,
    )


def _bind_to_proto(value: Any, name: str) -> pb.BindValue:
    if isinstance(value, list | tuple | set | frozenset):
        if any(isinstance(each, list | tuple | set | frozenset) for each in value):
            raise ExpressionTypeError(f"{name} is a list of lists; give values of one kind.", name=name)
        return pb.BindValue(list=pb.BindValueList(values=[_bind_to_proto(each, name) for each in value]))
    if isinstance(value, UUID):
        return pb.BindValue(uuid=value.bytes)
    if isinstance(value, Instant):
        return pb.BindValue(time_nsec=value.nsec)
    try:
        return pb.BindValue(value=value_to_proto(value, name))
    except ValueError as error:
        raise ExpressionTypeError(str(error), name=name) from error


def _bind_from_proto(message: pb.BindValue, *, in_list: bool = False) -> Any:
    match message.WhichOneof("kind"):
        case "uuid":
            return uuid_from_proto(message.uuid, "a bound UUID")
        case "time_nsec":
            return Instant(message.time_nsec)
        case "list":
            if in_list:
                raise InvalidRequestError("A bound list holds lists; give values of one kind.")
            check_rows(len(message.list.values), MAX_BOUND_VALUES)
            return tuple(_bind_from_proto(each, in_list=True) for each in message.list.values)
        case _:
            return value_from_proto(message.value)


def _upload_to_proto(table: DataIdTable) -> values_pb2.Table:
    cells = list(zip(*table.rows, strict=True)) or [()] * len(table.dimensions)
    columns = [
        given_column_to_proto(name, list(values), [])
        for name, values in zip(table.dimensions, cells, strict=True)
    ]
    return values_pb2.Table(columns=columns, rows=len(table.rows))


def _upload_from_proto(message: values_pb2.Table) -> DataIdTable:
    check_rows(message.rows, MAX_UPLOADED_ROWS)
    columns = columns_from_proto(message)
    rows = list(zip(*(column.values for column in columns), strict=True)) if columns else [()] * message.rows
    return DataIdTable(tuple(column.name for column in columns), rows)
