# SPDX-License-Identifier: BSD-3-Clause
"""The order of rows, and where the next page begins in it. Rows without a value come last, in either direction."""

from __future__ import annotations

__all__ = ["SortTerm", "after"]

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, false, literal, or_, tuple_


@dataclass(frozen=True, slots=True)
class SortTerm:
    """One column that rows are ordered by.

    Attributes
    ----------
    nullable
        Whether rows may have no value in it.
    """

    column: ColumnElement[Any]
    descending: bool = False
    nullable: bool = False

    @property
    def clause(self) -> ColumnElement[Any]:
        """What stands in ORDER BY."""
        ordered: ColumnElement[Any] = self.column.desc() if self.descending else self.column.asc()
        return ordered.nulls_last() if self.nullable else ordered

    def beyond(self, value: Any) -> ColumnElement[bool]:
        """Return whether a row comes after one with this value, by this column alone."""
        if value is None:
            return false()
        further = self.column < value if self.descending else self.column > value
        return or_(further, self.column.is_(None)) if self.nullable else further

    def same(self, value: Any) -> ColumnElement[bool]:
        """Return whether a row has this value."""
        return self.column.is_(None) if value is None else self.column == value


def after(terms: Sequence[SortTerm], values: Sequence[Any]) -> ColumnElement[bool]:
    """Return whether a row comes after the rows with these values in the first columns of the order."""
    terms = terms[: len(values)]
    if not terms:
        return false()
    if not any(term.descending or term.nullable for term in terms):
        # One comparison of rows, for which the database can use an index.
        # Each value has its column's type: a tuple would give it that of Python's type.
        typed = [literal(value, term.column.type) for term, value in zip(terms, values, strict=True)]
        beyond: ColumnElement[bool] = tuple_(*(term.column for term in terms)) > tuple_(*typed)
        return beyond
    choices = []
    for i, (term, value) in enumerate(zip(terms, values, strict=True)):
        same = [earlier.same(v) for earlier, v in zip(terms[:i], values[:i], strict=True)]
        choices.append(and_(*same, term.beyond(value)))
    return or_(*choices)
