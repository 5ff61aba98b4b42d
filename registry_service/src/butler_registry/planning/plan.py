# SPDX-License-Identifier: BSD-3-Clause
"""From what is asked to one SQL statement, and to what is left to do with its rows."""

from __future__ import annotations

__all__ = ["DatasetPlace", "ExactPair", "PixelColumn", "PlannedColumn", "QueryPlan", "QueryRequest"]

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import FromClause, Select, and_, func, or_, select

from butler_model.data_id import DataIdValue
from butler_model.dimensions import DimensionElement
from butler_model.paging import ResultType
from butler_model.query.spec import DataIdTable
from butler_model.query.typed import Column, DatasetColumn, Typed
from butler_model.universe import DimensionGroup
from butler_registry.storage.collection_store import CollectionRow
from butler_registry.storage.dataset_type_store import DatasetTypeRow

from .expression_sql import RegionKeys
from .ordering import SortTerm, after


@dataclass(frozen=True, slots=True)
class DatasetPlace:
    """A dataset type and the collections, chains resolved, in which its datasets are searched for."""

    row: DatasetTypeRow
    collections: Sequence[CollectionRow]


@dataclass(frozen=True, slots=True)
class QueryRequest:
    """What is asked, with every name looked up.

    Attributes
    ----------
    result
        Dimensions of the rows.
    joined
        Dimensions that take part: those of the result and those that restrict or order it.
    element
        For records: whose.
    dataset
        For datasets: of which type, from where.
    order_by
        Columns, each with whether it is descending.
    counted
        Whether only the number of rows is wanted, and no values of what their dimensions imply.
    """

    result: DimensionGroup
    joined: DimensionGroup
    element: DimensionElement | None = None
    dataset: DatasetPlace | None = None
    find_first: bool = False
    dataset_fields: tuple[str, ...] = ()
    data_id: Mapping[str, DataIdValue] | None = None
    where: Typed | None = None
    region_keys: RegionKeys | None = None
    overlaps: tuple[tuple[str, str], ...] = ()
    joins: Sequence[DatasetPlace] = ()
    uploads: Sequence[DataIdTable] = ()
    order_by: Sequence[tuple[Column | DatasetColumn, bool]] = ()
    counted: bool = False


@dataclass(frozen=True, slots=True)
class PlannedColumn:
    """A column of the result, and the columns of the statement that it is made of (a timespan: two).

    Attributes
    ----------
    at
        Position in the statement; `None` for the pixels of an expansion, which no table has.
    names
        What is shown of values that are ids of collections; `None` where they are shown themselves.
    """

    name: str
    type: ResultType
    at: int | None
    names: Mapping[int, str] | None = None


@dataclass(frozen=True, slots=True)
class ExactPair:
    """Positions of two columns whose regions must overlap; the second is a pixel of ``pixels`` if that is given."""

    first: int
    second: int
    pixels: DimensionElement | None = None


@dataclass(frozen=True, slots=True)
class PixelColumn:
    """Position of a region, and the skypix dimension whose pixels it is to be listed in.

    Attributes
    ----------
    only
        The one pixel wanted; `None` for all.
    shown
        Whether the pixel is a column of the result; otherwise it only restricts the rows.
    """

    region: int
    dimension: DimensionElement
    only: int | None
    shown: bool


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """A statement without order and limit, and what its columns mean.

    Attributes
    ----------
    order
        What rows are ordered by, and at which position each term stands. The first ``n_key`` tell rows of the result
        apart, the others rows of the statement.
    repeats
        Whether rows that are alike in the first ``n_key`` terms may come, one after the other.
    complete
        From the rows of a page to the statement that adds, after their columns, what their dimensions imply.
    """

    statement: Select[Any]
    columns: tuple[PlannedColumn, ...]
    order: tuple[SortTerm, ...]
    order_at: tuple[int, ...]
    n_key: int
    repeats: bool = False
    tests: tuple[ExactPair, ...] = ()
    pixels: PixelColumn | None = None
    complete: Callable[[FromClause], Select[Any]] | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the rows of the statement are the rows of the result."""
        return not (self.tests or self.pixels or self.repeats)

    def ordered(
        self, beyond: tuple[Any, ...] | None = None, rows: int | None = None, *, inclusive: bool = False
    ) -> Select[Any]:
        """Return the statement for the rows after some values of the first terms of the order, in that order.

        With ``inclusive`` those with just these values come too.
        """
        statement = self.statement
        if beyond is not None:
            further = after(self.order, beyond)
            if inclusive:
                terms = zip(self.order, beyond, strict=False)
                further = or_(further, and_(*(term.same(value) for term, value in terms)))
            statement = statement.where(further)
        ordered = statement.order_by(*(term.clause for term in self.order))
        if rows is not None:
            ordered = statement = ordered.limit(rows)
        if self.complete is None:
            return ordered
        page = statement.subquery("page")
        given = list(page.c)
        return self.complete(page).order_by(*(given[at] for at in self.order_at))

    def count(self) -> Select[Any]:
        """Return the statement that counts its rows."""
        return select(func.count()).select_from(self.statement.subquery("counted"))
