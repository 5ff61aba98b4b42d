# SPDX-License-Identifier: BSD-3-Clause
"""Options that say which datasets a command is about."""

from __future__ import annotations

__all__ = ["DatasetSelection", "dataset_options"]

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import click

from butler import Butler, DatasetRef

from .arguments import check_dataset_types, names
from .output import Output

_Command = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class DatasetSelection:
    """What the options of `dataset_options` say."""

    dataset_types: tuple[str, ...]
    collections: tuple[str, ...]
    where: str
    find_first: bool
    limit: int | None

    @property
    def searched(self) -> Any:
        """The collections to look in, as queries take them."""
        return names(self.collections) or ...

    def find(self, butler: Butler, output: Output) -> list[DatasetRef]:
        """Return the datasets; say so if there are more than the limit."""
        if self.find_first and not self.collections:
            raise click.UsageError("--find-first needs --collections: the order of the search.")
        check_dataset_types(butler, self.dataset_types)
        refs: list[DatasetRef] = butler.query_all_datasets(
            self.searched,
            name=names(self.dataset_types) or "*",
            find_first=self.find_first,
            where=self.where,
            limit=None if self.limit is None else self.limit + 1,
            explain=False,
        )
        if self.limit is not None and len(refs) > self.limit:
            output.notice(f"Only the first {self.limit:,} datasets are taken; raise --limit to take more.")
        return refs[: self.limit]


def dataset_options(command: _Command) -> _Command:
    """Add the options that say which datasets, and pass the command a `DatasetSelection` as ``selection``."""

    @functools.wraps(command)
    def selecting(**values: Any) -> Any:
        said = {field.name: values.pop(field.name) for field in fields(DatasetSelection)}
        return command(selection=DatasetSelection(**said), **values)

    options = (
        click.option(
            "-d",
            "--dataset-type",
            "dataset_types",
            multiple=True,
            metavar="GLOBS",
            help="Names of dataset types, with commas between, or repeated; globs are allowed. All if absent.",
        ),
        click.option(
            "--collections",
            multiple=True,
            metavar="NAMES",
            help="Where to look, in order, with commas between, or repeated; globs are allowed. All runs if absent.",
        ),
        click.option(
            "--where",
            default="",
            metavar="EXPRESSION",
            help="Which datasets, as in \"instrument = 'HSC' AND visit IN (1..9)\".",
        ),
        click.option(
            "--find-first/--find-all",
            default=False,
            help="Of datasets with the same data ID, the one in the first of the collections, or all, which is the "
            "default.",
        ),
        click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Take N datasets at most."),
    )
    decorated: _Command = selecting
    for option in reversed(options):
        decorated = option(decorated)
    return decorated
