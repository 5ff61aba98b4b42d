# SPDX-License-Identifier: BSD-3-Clause
"""From the specification of a query to a request in which every name is looked up."""

from __future__ import annotations

__all__ = ["request_of"]

from butler_model.data_id import DataIdValue
from butler_model.dimensions import DimensionElement
from butler_model.errors import DimensionNameError, LimitExceededError, UnsupportedOperationError
from butler_model.query.names import DATASET_FIELDS, column_of_name, dataset_field
from butler_model.query.spec import QuerySpec, ResultKind
from butler_model.query.typed import Column, DatasetColumn, ValueType
from butler_model.repository import Limits
from butler_model.universe import DimensionGroup, DimensionUniverse
from butler_registry.planning.plan import DatasetPlace, QueryRequest
from butler_registry.storage.dimension_tables import DimensionTables

from .definitions import Snapshot
from .limits import MAX_COLLECTIONS
from .query_filters import read_filter, region_sets


def request_of(snapshot: Snapshot, tables: DimensionTables, spec: QuerySpec, limits: Limits) -> QueryRequest:
    """Look up everything that a query names.

    Raises `MissingDatasetTypeError`, `MissingCollectionError`, `DimensionNameError`, `LimitExceededError`, and the
    errors of expressions.
    """
    universe = snapshot.universe
    _check_limits(spec)
    element = universe[spec.element] if spec.kind is ResultKind.DIMENSION_RECORDS else None
    if element is not None and element.skypix:
        raise UnsupportedOperationError(
            f"The pixels of {element} are not listed; ask for them together with a dimension that has regions."
        )
    dataset = None
    if spec.kind is ResultKind.DATASETS:
        dataset = DatasetPlace(snapshot.dataset_type(spec.dataset_type), snapshot.search(spec.collections))
    joins = [
        DatasetPlace(snapshot.dataset_type(j.dataset_type), snapshot.search(j.collections))
        for j in spec.joins
    ]
    filter_ = read_filter(spec, universe, [spec.dataset_type] if dataset else [], limits)
    data_id: dict[str, DataIdValue] = {**(filter_.defaults or {}), **spec.data_id}
    order_by = [
        _order_term(universe, name, spec.dataset_type if dataset else "", element) for name in spec.order_by
    ]
    result = _result(universe, spec, dataset)
    names: set[str] = {*result.names, *filter_.dimensions, *(universe.dimension(n).name for n in data_id)}
    names.update(spec.dimensions, spec.joined)
    if element is not None:
        _check_record_keys(universe, spec)
    for place in joins:
        names.update(place.row.dataset_type.dimensions.names)
    for table in spec.uploads:
        names.update(universe.dimension(name).name for name in table.dimensions)
    for column, _ in order_by:
        if isinstance(column, Column):
            names.update(universe[column.element].required)
    for pair in filter_.overlaps:
        names.update(name for each in pair for name in universe[each].required)
    return QueryRequest(
        result=result,
        joined=universe.conform(names),
        element=element,
        dataset=dataset,
        find_first=spec.find_first,
        dataset_fields=spec.dataset_fields,
        data_id=data_id,
        where=filter_.condition,
        region_keys=region_sets(snapshot.connection, tables, filter_.condition),
        overlaps=filter_.overlaps,
        joins=joins,
        uploads=spec.uploads,
        order_by=order_by,
    )


def _result(universe: DimensionUniverse, spec: QuerySpec, dataset: DatasetPlace | None) -> DimensionGroup:
    if dataset is not None:
        return dataset.row.dataset_type.dimensions
    if spec.kind is ResultKind.DIMENSION_RECORDS:
        return universe.conform(universe[spec.element].required)
    return universe.conform(spec.dimensions)


def _check_limits(spec: QuerySpec) -> None:
    for collections in (spec.collections, *(join.collections for join in spec.joins)):
        if len(collections) > MAX_COLLECTIONS:
            raise LimitExceededError(
                f"At most {MAX_COLLECTIONS} collections can be searched in one query.",
                limit=str(MAX_COLLECTIONS),
            )


def _check_record_keys(universe: DimensionUniverse, spec: QuerySpec) -> None:
    for name in spec.data_id:
        if universe.get(name) is None:
            element = universe[spec.element]
            raise DimensionNameError(
                f"Records of {element} cannot be restricted by {name!r}; use {', '.join(element.key_columns)}.",
                name=name,
            )


def _order_term(
    universe: DimensionUniverse, name: str, dataset_type: str, element: DimensionElement | None
) -> tuple[Column | DatasetColumn, bool]:
    descending = name.startswith("-")
    name = name[1:] if descending else name
    field = name.partition(".")[0]
    if dataset_type and field not in universe and field in DATASET_FIELDS:
        name = f"{dataset_type}.{name}"
    if element is not None and field not in universe and any(c.name == field for c in element.columns):
        name = f"{element.name}.{name}"  # of records their own fields may be named alone
    found = dataset_field(name, [dataset_type]) if dataset_type else None
    column = found or column_of_name(universe, name)
    if column.type is ValueType.REGION:
        raise UnsupportedOperationError(
            f"Rows cannot be ordered by {name!r}: regions have no order.", name=name
        )
    return column, descending
