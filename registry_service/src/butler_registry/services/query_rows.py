# SPDX-License-Identifier: BSD-3-Clause
"""From rows of the database to rows of a result: exact tests, pixels, each row once."""

from __future__ import annotations

__all__ = ["Cells", "ResultRow", "cells_of_rows", "columns_of_cells", "result_rows"]

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from butler_model.paging import ResultColumn, ResultType
from butler_model.timespan import Timespan
from butler_registry.planning.exact import decoded, overlap, pixel_region, pixels_of
from butler_registry.planning.plan import PlannedColumn, QueryPlan

Cells: TypeAlias = Sequence[Sequence[Any]]
"""Values of some rows by column of the statement; empty if there is no row."""


@dataclass(frozen=True, slots=True)
class ResultRow:
    """A row of a result: the row of the database that it comes from, and its pixel if it has one."""

    values: Sequence[Any]
    pixel: int | None = None

    def position(self, plan: QueryPlan) -> tuple[Any, ...]:
        """Return where it stands in the order, for a page that begins after it."""
        key = tuple(self.values[at] for at in plan.order_at[: plan.n_key])
        return key if self.pixel is None else (*key, self.pixel)


def result_rows(
    plan: QueryPlan, rows: Iterable[Sequence[Any]], last_pixel: int | None = None
) -> Iterator[ResultRow]:
    """Yield the rows of the result that rows of the statement, in its order, stand for.

    Parameters
    ----------
    last_pixel
        Of the first row only pixels after this one are wanted: the page before ended there.
    """
    before: tuple[Any, ...] | None = None
    key_at = plan.order_at[: plan.n_key]
    for number, values in enumerate(rows):
        if not all(_overlaps(values, pair.first, pair.second, pair.pixels) for pair in plan.tests):
            continue
        key = tuple(values[at] for at in key_at)
        if plan.repeats and key == before and plan.pixels is None:
            continue
        before = key
        if plan.pixels is None:
            yield ResultRow(values)
            continue
        for pixel in _pixels(plan, values):
            if number == 0 and last_pixel is not None and pixel <= last_pixel:
                continue
            yield ResultRow(values, pixel if plan.pixels.shown else None)
            if not plan.pixels.shown:
                break


def _overlaps(values: Sequence[Any], first: int, second: int, pixels: Any) -> bool:
    one, other = values[first], values[second]
    if one is None or other is None:
        return False
    region = decoded(bytes(other)) if pixels is None else pixel_region(pixels, other)
    return overlap(bytes(one), region)


def _pixels(plan: QueryPlan, values: Sequence[Any]) -> Iterable[int]:
    wanted = plan.pixels
    assert wanted is not None
    encoded = values[wanted.region]
    if encoded is None:
        return ()
    if wanted.only is None:
        return pixels_of(wanted.dimension, bytes(encoded))
    found = overlap(bytes(encoded), pixel_region(wanted.dimension, wanted.only))
    return (wanted.only,) if found else ()


def cells_of_rows(plan: QueryPlan, rows: Sequence[ResultRow]) -> Cells:
    """Return the columns of the statement for some rows of the result, then the pixels if the result has any."""
    cells: list[Sequence[Any]] = list(zip(*(row.values for row in rows), strict=True))
    return [*cells, [row.pixel for row in rows]] if cells and plan.pixels is not None else cells


def columns_of_cells(plan: QueryPlan, cells: Cells) -> tuple[ResultColumn, ...]:
    """Return the columns of a result."""
    return tuple(ResultColumn(c.name, c.type, _values(c, cells)) for c in plan.columns)


def _values(column: PlannedColumn, cells: Cells) -> Sequence[Any]:
    if not cells:
        return ()
    if column.at is None:
        return cells[-1]
    values = cells[column.at]
    if column.type is ResultType.TIMESPAN:
        ends = cells[column.at + 1]
        return [
            None if begin is None else Timespan.from_simple([begin, end])
            for begin, end in zip(values, ends, strict=True)
        ]
    return values if column.names is None else list(map(column.names.__getitem__, values))
