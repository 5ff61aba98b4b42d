# SPDX-License-Identifier: BSD-3-Clause
"""Options that say which rows a query gives, and in which order."""

from __future__ import annotations

__all__ = ["RowSelection", "datasets_options", "row_options"]

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import click

from butler import Butler
from butler.results import QueryResults

from .arguments import check_dataset_types, names, typed_data_id
from .output import Output

_Command = Callable[..., Any]
_Results = TypeVar("_Results", bound=QueryResults[Any])


@dataclass(frozen=True, slots=True)
class RowSelection:
    """What the options of `row_options` say, and the data ID of the command."""

    data_id: tuple[tuple[str, str], ...]
    where: str
    check: bool
    order_by: tuple[str, ...]
    limit: int | None

    def arguments(self, butler: Butler) -> dict[str, Any]:
        """Return the arguments of the registry's queries that restrict the rows."""
        values = typed_data_id(butler.dimensions, self.data_id)
        return {"dataId": values, "where": self.where, "check": self.check}

    def ordered(self, results: _Results) -> _Results:
        """Return results in the order asked for, with one row more than the limit, which tells that there are more."""
        order = names(self.order_by)
        results = results.order_by(*order) if order else results
        return results if self.limit is None else results.limit(self.limit + 1)

    def show(self, output: Output, results: _Results, record: Callable[[Any], Any], *, of_what: str) -> None:
        """Print results, or why there are none."""
        found = map(record, self.ordered(results))
        output.records(found, of_what=of_what, limit=self.limit, why_none=results.explain_no_results)


def row_options(command: _Command) -> _Command:
    """Add ``--where``, ``--order-by``, ``--limit`` and ``--no-check``; pass the command a `RowSelection` as ``rows``.

    The command must have an argument or option ``data_id``.
    """

    @functools.wraps(command)
    def selecting(**values: Any) -> Any:
        said = {field.name: values.pop(field.name) for field in fields(RowSelection)}
        return command(rows=RowSelection(**said), **values)

    options = (
        click.option(
            "--where",
            default="",
            metavar="EXPRESSION",
            help="Which rows, as in \"instrument = 'HSC' AND visit.exposure_time > 100\".",
        ),
        click.option(
            "--order-by",
            multiple=True,
            metavar="NAMES",
            help="In which order, as in visit or -visit.exposure_time, the largest first; with commas between, or "
            "repeated.",
        ),
        click.option(
            "--limit",
            type=click.IntRange(min=1),
            metavar="N",
            help="Show N at most, and say so if there are more.",
        ),
        click.option(
            "--check/--no-check",
            default=True,
            help="Whether EXPRESSION must say of which instrument or skymap its dimensions are; the default.",
        ),
    )
    decorated: _Command = selecting
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


def datasets_options(command: _Command) -> _Command:
    """Add ``--datasets`` and ``--collections``; pass the command arguments of the registry's queries as ``held``.

    They are a function of the butler.
    """

    @functools.wraps(command)
    def selecting(*, datasets: tuple[str, ...], collections: tuple[str, ...], **values: Any) -> Any:
        if collections and not datasets:
            raise click.UsageError("--collections says where datasets are looked for: give --datasets, too.")

        def held(butler: Butler) -> dict[str, Any]:
            if not datasets:
                return {}
            check_dataset_types(butler, datasets)
            return {"datasets": names(datasets), "collections": names(collections) or "*"}

        return command(held=held, **values)

    options = (
        click.option(
            "--datasets",
            multiple=True,
            metavar="GLOBS",
            help="Only those for which there are datasets of all these types, with commas between, or repeated.",
        ),
        click.option(
            "--collections",
            multiple=True,
            metavar="NAMES",
            help="Where to look for the datasets, with commas between, or repeated; globs are allowed. Everywhere if "
            "absent.",
        ),
    )
    decorated: _Command = selecting
    for option in reversed(options):
        decorated = option(decorated)
    return decorated
