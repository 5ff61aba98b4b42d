# SPDX-License-Identifier: BSD-3-Clause
"""Commands that say in which collections datasets stand, besides their run."""

from __future__ import annotations

__all__ = ["associate", "certify_calibrations"]

from collections.abc import Iterator

import click

from butler import Butler, CollectionType, DatasetRef, Timespan
from butler_model.errors import DatasetNotFoundError
from butler_model.timespan import nsec_from_text

from .arguments import json_option, repository_argument
from .dataset_selection import DatasetSelection, dataset_options
from .output import Output


@click.command()
@repository_argument
@click.argument("collection")
@dataset_options
@json_option
def associate(
    repository: str,
    collection: str,
    selection: DatasetSelection,
    output: Output,
) -> None:
    """Add datasets to a TAGGED collection.

    It is registered if it does not exist. What is in it already stays, so the command can be repeated.
    """
    with Butler(repository, writeable=True) as butler:
        refs = selection.find(butler, output)
        is_new = butler.registry.registerCollection(collection, CollectionType.TAGGED)
        butler.registry.associate(collection, refs)
    output.record({"name": collection, "is_new": is_new, "datasets": len(refs)})


def _time(ctx: click.Context, param: click.Parameter, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return nsec_from_text(text if "/" in text else f"{text}/tai")
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r} is no time (TAI), as in 2021-03-04T12:00:00: {error}", ctx, param
        ) from None


@click.command()
@repository_argument
@click.argument("source", metavar="INPUT")
@click.argument("target", metavar="OUTPUT")
@click.argument("dataset_type")
@click.option(
    "--begin-date",
    "begin",
    metavar="TIME",
    callback=_time,
    help="When they begin to be valid (ISO, TAI); always before the end if absent.",
)
@click.option(
    "--end-date",
    "end",
    metavar="TIME",
    callback=_time,
    help="When they cease to be valid (ISO, TAI); never if absent.",
)
@click.option(
    "--search-all-inputs",
    is_flag=True,
    help="Search all members if INPUT is a chain; else only its first one is searched.",
)
@json_option
def certify_calibrations(
    repository: str,
    source: str,
    target: str,
    dataset_type: str,
    begin: int | None,
    end: int | None,
    search_all_inputs: bool,
    output: Output,
) -> None:
    """Say when calibration datasets are valid.

    All datasets of DATASET_TYPE that are found in INPUT are certified in OUTPUT, a CALIBRATION collection that is
    registered if it does not exist.
    """
    with Butler(repository, writeable=True) as butler:
        refs = list(_found(butler, source, dataset_type, everything=search_all_inputs))
        if not refs:
            raise DatasetNotFoundError(
                f"There are no datasets of type {dataset_type!r} in {source!r}; see 'butler query-datasets'."
            )
        with butler.transaction():  # a collection that nothing can be certified in does not stay
            is_new = butler.registry.registerCollection(target, CollectionType.CALIBRATION)
            butler.registry.certify(target, refs, Timespan.from_nsec(begin, end))
    output.record({"name": target, "is_new": is_new, "datasets": len(refs)})


def _found(butler: Butler, source: str, dataset_type: str, *, everything: bool) -> Iterator[DatasetRef]:
    kind = butler.registry.getDatasetType(dataset_type)
    collection = source
    if not everything and butler.registry.getCollectionType(source) is CollectionType.CHAINED:
        collection = next(iter(butler.registry.getCollectionChain(source)), source)
    yield from butler.registry.queryDatasets(kind, collections=[collection], findFirst=True)
