# SPDX-License-Identifier: BSD-3-Clause
"""The command that tells how much a repository holds."""

from __future__ import annotations

__all__ = ["stats"]

from contextlib import closing
from typing import Any

import click

from butler.connect import connect
from butler_model.ports import DatasetStatistics, StatisticsKey

from .arguments import json_option, names, repository_argument
from .output import Output
from .rendering import amount

_KEYS = {"type": StatisticsKey.DATASET_TYPE, "run": StatisticsKey.RUN, "store": StatisticsKey.STORE}


def _keys(ctx: click.Context, param: click.Parameter, value: str | None) -> list[StatisticsKey] | None:
    if value is None:
        return None
    given = names([value])
    unknown = [name for name in given if name not in _KEYS]
    if unknown or not given:
        raise click.BadParameter(f"Datasets are counted by {', '.join(_KEYS)}, not by {value!r}.", ctx, param)
    return [_KEYS[name] for name in given]


@click.command()
@repository_argument
@click.option(
    "--by",
    metavar="NAMES",
    callback=_keys,
    help="What to count apart, of type, run and store, with commas between. A table for each if absent.",
)
@click.option(
    "-d", "--dataset-type", "dataset_types", multiple=True, metavar="GLOBS", help="Count only these types."
)
@click.option("--runs", multiple=True, metavar="GLOBS", help="Count only datasets of these runs.")
@json_option
def stats(
    repository: str,
    by: list[StatisticsKey] | None,
    dataset_types: tuple[str, ...],
    runs: tuple[str, ...],
    output: Output,
) -> None:
    """Count datasets and bytes.

    A file that several datasets share counts once for each type and run that has it.
    """
    groupings = [[key] for key in _KEYS.values()] if by is None else [by]
    with closing(connect(repository)) as connection:
        rows = connection.registry.statistics.datasets(
            [*groupings, []], dataset_types=names(dataset_types) or ["*"], runs=names(runs) or ["*"]
        )
    output.records(map(_record, rows[:-1]), of_what="datasets")
    for row in rows[-1:]:
        output.notice(
            f"{amount(row.datasets, 'dataset')}, {amount(row.artifacts, 'file')}, {_readable(row.size)}."
        )


def _record(row: DatasetStatistics) -> dict[str, Any]:
    given = {"type": row.dataset_type, "run": row.run, "store": row.store}
    return {
        **{name: value for name, value in given.items() if value is not None},
        "datasets": row.datasets,
        "files": row.artifacts,
        "bytes": row.size,
    }


def _readable(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if size < 1000:
            return amount(int(size), "byte") if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} PB"
