# SPDX-License-Identifier: BSD-3-Clause
"""The command that draws where data is on the sky."""

from __future__ import annotations

__all__ = ["plot_sky"]

from pathlib import Path
from typing import Any

import click

from butler import Butler, CollectionType

from .arguments import json_option, limit_option, names, repository_argument
from .output import Output

_KINDS = (".png", ".svg", ".pdf")
_DOTS_PER_INCH = 150


def _picture(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if Path(value).suffix.lower() not in _KINDS:
        raise click.BadParameter(f"{value!r} does not end in one of {', '.join(_KINDS)}.", ctx, param)
    return value


@click.command()
@repository_argument
@click.argument("dimensions", nargs=-1)
@click.option(
    "-d",
    "--dataset-type",
    metavar="NAME",
    help="Draw only where there are datasets of this type; without DIMENSIONS, those of its data IDs.",
)
@click.option(
    "--collections",
    multiple=True,
    metavar="NAMES",
    help="Where to look for the datasets, in order, with commas between, or repeated. All runs if absent.",
)
@click.option(
    "--where",
    default="",
    metavar="EXPRESSION",
    help="Which data IDs, as in \"instrument = 'HSC' AND visit.exposure_time > 100\".",
)
@click.option(
    "--color-by",
    metavar="NAME",
    help="A dimension or field of which each value has a colour, as band or visit.exposure_time; the band if absent.",
)
@click.option("--title", metavar="TEXT", help="What stands above the chart.")
@click.option(
    "-o",
    "--output",
    "file",
    default="sky.png",
    show_default=True,
    metavar="FILE",
    callback=_picture,
    help=f"The picture to write; its ending, {', '.join(_KINDS)}, says of what kind.",
)
@limit_option
@json_option
def plot_sky(
    repository: str,
    dimensions: tuple[str, ...],
    dataset_type: str | None,
    collections: tuple[str, ...],
    where: str,
    color_by: str | None,
    title: str | None,
    file: str,
    limit: int | None,
    output: Output,
) -> None:
    """Draw the regions of data IDs on the sky.

    They are those of DIMENSIONS, as visit detector, or patch. North is up and east to the left, and areas are true.
    """
    if not dimensions and dataset_type is None:
        raise click.UsageError("Name the dimensions to draw, as visit or patch, or give --dataset-type.")
    with Butler(repository) as butler:
        query = butler.query()
        wanted: Any = dimensions
        if dataset_type is not None:
            runs = butler.registry.queryCollections(collectionTypes=CollectionType.RUN)
            query = query.join_dataset_search(dataset_type, names(collections) or runs)
            wanted = wanted or butler.registry.getDatasetType(dataset_type).dimensions
        found = list(query.where(where).data_ids(wanted).limit(None if limit is None else limit + 1))
        if limit is not None and len(found) > limit:
            output.notice(f"Only the first {limit:,} data IDs are drawn; raise --limit to draw more.")
        figure = butler.plot_sky(found[:limit], color_by=color_by, title=title)
    figure.savefig(file, dpi=_DOTS_PER_INCH, bbox_inches="tight")
    output.record({"file": file})
