# SPDX-License-Identifier: BSD-3-Clause
"""Commands that ask what is in a repository."""

from __future__ import annotations

__all__ = ["query_data_ids", "query_datasets", "query_dimension_records"]

import click

from butler import Butler

from .arguments import (
    check_dataset_types,
    data_id_argument,
    data_id_option,
    json_option,
    limit_option,
    names,
    repository_argument,
    typed_data_id,
)
from .output import Output


@click.command()
@repository_argument
@click.argument("element")
@data_id_argument
@limit_option
@json_option
def query_dimension_records(
    repository: str, element: str, data_id: tuple[tuple[str, str], ...], limit: int | None, output: Output
) -> None:
    """List dimension records.

    Those of a dimension or other ELEMENT (such as detector, visit, visit_detector_region) that have all the values
    given.
    """
    with Butler(repository) as butler:
        results = butler.registry.queryDimensionRecords(
            element, dataId=typed_data_id(butler.dimensions, data_id)
        )
        output.records((record.toDict() for record in results), of_what="dimension records", limit=limit)


@click.command()
@repository_argument
@click.argument("dimensions", nargs=-1, required=True)
@data_id_option
@limit_option
@json_option
def query_data_ids(
    repository: str,
    dimensions: tuple[str, ...],
    data_id: tuple[tuple[str, str], ...],
    limit: int | None,
    output: Output,
) -> None:
    """List data IDs.

    They are the combinations of values of DIMENSIONS that the dimension records allow.
    """
    with Butler(repository) as butler:
        results = butler.registry.queryDataIds(dimensions, dataId=typed_data_id(butler.dimensions, data_id))
        output.records((found.mapping for found in results), of_what="data IDs", limit=limit)


@click.command()
@repository_argument
@click.argument("dataset_type")
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
@data_id_option
@limit_option
@json_option
def query_datasets(
    repository: str,
    dataset_type: str,
    collections: tuple[str, ...],
    find_first: bool,
    data_id: tuple[tuple[str, str], ...],
    limit: int | None,
    output: Output,
) -> None:
    """List datasets.

    DATASET_TYPE is the name of a dataset type, or a glob.
    """
    if find_first and not collections:
        raise click.UsageError("--find-first needs --collections: the order of the search.")
    with Butler(repository) as butler:
        check_dataset_types(butler, [dataset_type])
        results = butler.registry.queryDatasets(
            dataset_type,
            collections=names(collections) or "*",
            dataId=typed_data_id(butler.dimensions, data_id),
            findFirst=find_first,
        )
        output.records(
            (
                {
                    "type": ref.datasetType.name,
                    "run": ref.run,
                    "id": ref.id,
                    "data_id": ref.dataId.mapping,
                }
                for ref in results
            ),
            of_what="datasets",
            limit=limit,
        )
