# SPDX-License-Identifier: BSD-3-Clause
"""What an expression asks of a query: its tree, the dimensions it brings in, and the defaults it needs."""

from __future__ import annotations

__all__ = ["QueryFilter", "read_filter", "region_sets"]

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import lsst.sphgeom

from butler_model.query.governors import governors_by_default
from butler_model.query.parser import parse
from butler_model.query.resolution import resolve
from butler_model.query.spec import QuerySpec
from butler_model.query.typed import (
    AllOf,
    AnyOf,
    Column,
    Constant,
    Inverse,
    Overlap,
    Typed,
    ValueType,
    columns_of,
)
from butler_model.repository import Limits
from butler_model.universe import DimensionUniverse
from butler_registry.planning.region_sets import region_keys
from butler_registry.storage.database import Connection
from butler_registry.storage.dimension_tables import DimensionTables


@dataclass(frozen=True, slots=True)
class QueryFilter:
    """An expression, read.

    Attributes
    ----------
    condition
        What is left to be true of each row; `None` if nothing.
    overlaps
        Pairs of elements whose regions must overlap.
    dimensions
        Dimensions that the expression uses.
    defaults
        Values of governor dimensions that the whole query takes from the defaults.
    """

    condition: Typed | None = None
    overlaps: tuple[tuple[str, str], ...] = ()
    dimensions: frozenset[str] = frozenset()
    defaults: Mapping[str, Any] | None = None


def read_filter(
    spec: QuerySpec, universe: DimensionUniverse, dataset_types: Collection[str], limits: Limits
) -> QueryFilter:
    """Parse and check ``where``; see `butler_model.query` for the errors."""
    written = parse(
        spec.where, most_characters=limits.expression_characters, most_levels=limits.expression_levels
    )
    if written is None:
        return QueryFilter()
    tree = resolve(written, universe, spec.bind, dataset_types)
    defaults = governors_by_default(tree, universe, spec.data_id, spec.default_data_id) if spec.check else {}
    dimensions: set[str] = set()
    for column in columns_of(tree):
        if isinstance(column, Column):
            element = universe[column.element]
            dimensions.update(element.required)
            if element.is_dimension:
                dimensions.add(element.name)
    overlaps, condition = _without_joins(tree)
    return QueryFilter(condition, overlaps, frozenset(dimensions), defaults)


def region_sets(
    connection: Connection, tables: DimensionTables, condition: Typed | None
) -> dict[int, list[tuple[Any, ...]]]:
    """Return, for each comparison of a region field with a constant region, the keys of the records that overlap."""
    found = {}
    for overlap in _overlaps(condition):
        column, constant = overlap.left, overlap.right
        if isinstance(column, Constant):
            column, constant = constant, column
        if isinstance(column, Column) and isinstance(constant, Constant):
            region: lsst.sphgeom.Region = constant.value
            element = tables.universe[column.element]
            found[id(overlap)] = region_keys(connection, tables, element, region)
    return found


def _without_joins(tree: Typed) -> tuple[tuple[tuple[str, str], ...], Typed | None]:
    """Take out of a conjunction the terms that join two elements on the sky."""
    terms = tree.operands if isinstance(tree, AllOf) else (tree,)
    pairs, rest = [], []
    for term in terms:
        both = (term.left, term.right) if isinstance(term, Overlap) else ()
        elements = [c.element for c in both if isinstance(c, Column) and c.type is ValueType.REGION]
        if len(elements) == 2 and elements[0] != elements[1]:
            pairs.append((elements[0], elements[1]))
        else:
            rest.append(term)
    condition = None if not rest else rest[0] if len(rest) == 1 else AllOf(tuple(rest))
    return tuple(pairs), condition


def _overlaps(condition: Typed | None) -> Iterator[Overlap]:
    waiting = [] if condition is None else [condition]
    while waiting:
        match waiting.pop():
            case AllOf(operands) | AnyOf(operands):
                waiting += operands
            case Inverse(operand):
                waiting.append(operand)
            case Overlap() as overlap if overlap.left.type is ValueType.REGION:
                yield overlap
            case _:
                pass
