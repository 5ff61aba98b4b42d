# SPDX-License-Identifier: BSD-3-Clause
"""Joins on the sky.

Of each spatial family the finest member that the dimensions of a query identify stands for the family. Two of them are
joined on the pixels of the common skypix dimension that their regions may touch, which finds every true overlap and
some false ones; the pair of regions is then tested exactly, outside the database, which need not know geometry.
"""

from __future__ import annotations

__all__ = ["ExactTest", "PixelExpansion", "join_families", "region_column"]

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from sqlalchemy import ColumnElement, LargeBinary, select, type_coerce

from butler_model.dimensions import DimensionElement
from butler_model.errors import UnsupportedOperationError
from butler_model.universe import DimensionGroup, DimensionUniverse

from .joins import Joins


@dataclass(frozen=True, slots=True)
class ExactTest:
    """Two columns of a row whose regions must overlap: encoded regions, or for ``pixels`` the number of a pixel.

    Attributes
    ----------
    pixels
        The skypix dimension that ``second`` is a pixel of; `None` if it is a region, too.
    """

    first: ColumnElement[Any]
    second: ColumnElement[Any]
    pixels: DimensionElement | None = None


@dataclass(frozen=True, slots=True)
class PixelExpansion:
    """A skypix dimension whose pixels no table has: each row comes once for every pixel that its region overlaps."""

    dimension: DimensionElement
    region: ColumnElement[Any]


def join_families(
    joins: Joins, group: DimensionGroup, asked: Iterable[tuple[str, str]] = ()
) -> tuple[list[ExactTest], list[PixelExpansion]]:
    """Join the spatial families of a group; return the tests and expansions that are left to be done.

    Families that a dataset type relates are not joined again. Pairs of elements that an expression asks for are joined,
    too, each once, however it is written and whether or not their families are.

    Raises
    ------
    UnsupportedOperationError
        Raised for pixels that no region in the query gives.
    """
    universe = group.universe
    members = _representatives(universe, group)
    tests, expansions = [], []
    joined: set[frozenset[str]] = set()
    for first, second in combinations(members, 2):
        if joins.is_related({*first.required, *second.required}):
            continue
        tests.append(_join_pair(joins, first, second))
        joined.add(frozenset((first.name, second.name)))
    for pair in asked:
        if frozenset(pair) not in joined:
            tests.append(_join_pair(joins, *(universe[name] for name in pair)))
            joined.add(frozenset(pair))
    for name in group.skypix:
        dimension = universe[name]
        if name in joins.columns:
            continue
        if not members:
            raise UnsupportedOperationError(
                f"The pixels of {name} are not listed by themselves; ask for them together with a dimension that has "
                "regions, or give one in the data ID.",
                dimension=name,
            )
        region = region_column(joins, members[0])
        if dimension is universe.commonSkyPix:
            overlaps = joins.overlaps(members[0])
            joins.join(overlaps, {n: overlaps.c[n] for n in (*members[0].required, name)})
            tests.append(ExactTest(region, overlaps.c[name], dimension))
        else:
            expansions.append(PixelExpansion(dimension, region))
    if len(expansions) > 1:
        raise UnsupportedOperationError(
            "A query lists the pixels of at most one skypix dimension but the common one."
        )
    return tests, expansions


def region_column(joins: Joins, element: DimensionElement) -> ColumnElement[Any]:
    """Return the encoded region of an element, which is joined."""
    return type_coerce(joins.element(element).c.region, LargeBinary())


def _representatives(universe: DimensionUniverse, group: DimensionGroup) -> list[DimensionElement]:
    found = []
    for family in universe.families["spatial"].values():
        member = next((name for name in family if set(universe[name].required) <= set(group.names)), None)
        if member is not None:
            found.append(universe[member])
    return found


def _join_pair(joins: Joins, first: DimensionElement, second: DimensionElement) -> ExactTest:
    """Join two elements on the pixels that their regions may share; the test tells which do."""
    pixel = joins.universe.commonSkyPix.name
    one, other = joins.overlaps(first).alias(), joins.overlaps(second).alias()
    shared = [one.c[name] == other.c[name] for name in first.required if name in second.required]
    names = [name for name in second.required if name not in first.required]
    # Distinct here, where rows are short, and not later, where they hold regions.
    pairs = (
        select(*(one.c[name] for name in first.required), *(other.c[name] for name in names))
        .join_from(one, other, (one.c[pixel] == other.c[pixel]))
        .where(*shared)
        .distinct()
        .subquery(f"{first.name}_{second.name}_overlap")
    )
    joins.join(pairs, {name: pairs.c[name] for name in (*first.required, *names)})
    joins.relate((*first.required, *names))
    return ExactTest(region_column(joins, first), region_column(joins, second))
