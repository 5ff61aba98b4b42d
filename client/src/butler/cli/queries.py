# SPDX-License-Identifier: BSD-3-Clause
"""Commands that ask what is in a repository."""

from __future__ import annotations

__all__ = ["query_data_ids", "query_datasets", "query_dimension_records"]

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import click

from butler import Butler, DatasetRef
from butler.registry.patterns import is_glob

from .arguments import (
    check_dataset_types,
    data_id_argument,
    data_id_option,
    json_option,
    names,
    repository_argument,
)
from .output import Output
from .query_options import RowSelection, datasets_options, row_options

_Held = Callable[[Butler], dict[str, Any]]
_LOCATED = 1_000
"""Datasets whose places are asked for in one call."""


@click.command()
@repository_argument
@click.argument("element")
@data_id_argument
@datasets_options
@row_options
@json_option
def query_dimension_records(
    repository: str, element: str, held: _Held, rows: RowSelection, output: Output
) -> None:
    """List dimension records.

    Those of a dimension or other ELEMENT (such as detector, visit, visit_detector_region) that have all the values
    given.
    """
    with Butler(repository) as butler:
        results = butler.registry.queryDimensionRecords(element, **rows.arguments(butler), **held(butler))
        rows.show(output, results, lambda record: record.toDict(), of_what="dimension records")


@click.command()
@repository_argument
@click.argument("dimensions", nargs=-1, required=True)
@data_id_option
@datasets_options
@row_options
@json_option
def query_data_ids(
    repository: str, dimensions: tuple[str, ...], held: _Held, rows: RowSelection, output: Output
) -> None:
    """List data IDs.

    They are the combinations of values of DIMENSIONS that the dimension records allow.
    """
    with Butler(repository) as butler:
        results = butler.registry.queryDataIds(names(dimensions), **rows.arguments(butler), **held(butler))
        rows.show(output, results, lambda found: found.mapping, of_what="data IDs")


@click.command()
@repository_argument
@click.argument("dataset_types", metavar="[GLOB]...", nargs=-1)
@click.option(
    "--collections",
    multiple=True,
    metavar="NAMES",
    help="Where to look, in order, with commas between, or repeated; globs are allowed. Everywhere if absent.",
)
@click.option(
    "--find-first",
    is_flag=True,
    help="Of datasets with the same data ID, only the one in the first of the collections. Needs their names.",
)
@click.option("--show-uri", is_flag=True, help="Show where each artifact is; nothing if none is stored.")
@data_id_option
@row_options
@json_option
def query_datasets(
    repository: str,
    dataset_types: tuple[str, ...],
    collections: tuple[str, ...],
    find_first: bool,
    show_uri: bool,
    rows: RowSelection,
    output: Output,
) -> None:
    """List datasets.

    A GLOB is the name of a dataset type, or matches several; all if absent. Those of one type come together, in the
    order asked for.
    """
    if find_first and not collections:
        raise click.UsageError("--find-first needs --collections: the order of the search.")
    with Butler(repository) as butler:
        check_dataset_types(butler, dataset_types)
        searched = names(collections) or ["*"]
        types = _types(butler, names(dataset_types) or ["*"], searched)
        results = butler.registry.queryDatasets(
            types,
            collections=searched,
            findFirst=find_first,
            **rows.arguments(butler),
        )
        found: Iterable[DatasetRef] = rows.ordered(results)
        shown = _located(butler, found) if show_uri else map(_record, found)
        why_none = (
            results.explain_no_results if types else lambda: [f"There are none in {', '.join(searched)}."]
        )
        output.records(shown, of_what="datasets", limit=rows.limit, why_none=why_none)


def _types(butler: Butler, wanted: list[str], collections: list[str]) -> list[str]:
    """Return names of dataset types; of those that globs match, the ones of which the collections may have datasets.

    Raises
    ------
    MissingCollectionError
        Raised for a collection that is not there, since nothing else would ask for it if no type is left.
    """
    if not any(map(is_glob, wanted)):
        return wanted
    searched = butler.collections.query_info(collections, include_summary=True)
    held = {name for each in searched if each.summary is not None for name in each.summary.dataset_types}
    found = butler.registry.queryDatasetTypes(wanted)
    return [each.name for each in found if each.name in wanted or each.nameAndComponent()[0] in held]


def _record(ref: DatasetRef) -> dict[str, Any]:
    return {
        "type": ref.datasetType.name,
        "run": ref.run,
        "id": ref.id,
        "data_id": ref.dataId.mapping,
    }


def _located(butler: Butler, refs: Iterable[DatasetRef]) -> Iterator[Mapping[str, Any]]:
    """Yield the record of each dataset with its URI, or those of its components."""
    rest = iter(refs)
    while batch := list(itertools.islice(rest, _LOCATED)):
        places = butler.get_many_uris(batch, allow_missing=True)
        for ref in batch:
            whole, parts = places.get(ref, (None, {}))
            yield {**_record(ref), "uri": sorted(parts.values()) if parts else whole}
