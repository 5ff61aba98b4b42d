# SPDX-License-Identifier: BSD-3-Clause
"""Commands for dataset types."""

from __future__ import annotations

__all__ = ["query_dataset_types", "register", "remove"]

import click

from butler import Butler, DatasetType
from butler.storage_classes import default_storage_classes

from .arguments import check_dataset_types, json_option, names, repository_argument
from .output import Output


@click.command("register-dataset-type")
@repository_argument
@click.argument("name")
@click.argument("storage_class")
@click.argument("dimensions", nargs=-1)
@click.option(
    "--is-calibration", is_flag=True, help="Let its datasets be certified, see certify-calibrations."
)
@json_option
def register(
    repository: str,
    name: str,
    storage_class: str,
    dimensions: tuple[str, ...],
    is_calibration: bool,
    output: Output,
) -> None:
    """Register a dataset type.

    Datasets called NAME are Python objects of STORAGE_CLASS (such as DataFrame, NumpyArray, StructuredDataDict), one
    for each combination of values of DIMENSIONS (such as instrument visit detector).
    """
    # The registry takes any name; a slip of the pen would stay in it for ever.
    default_storage_classes().getStorageClass(storage_class)
    with Butler(repository, writeable=True) as butler:
        dataset_type = DatasetType(
            name, names(dimensions), storage_class, universe=butler.dimensions, isCalibration=is_calibration
        )
        is_new = butler.registry.registerDatasetType(dataset_type)
    output.record(
        {
            "dataset_type": dataset_type.name,
            "storage_class": dataset_type.storageClass_name,
            "dimensions": dataset_type.dimensions.names,
            "is_new": is_new,
        }
    )


@click.command()
@repository_argument
@click.argument("patterns", metavar="[GLOB]...", nargs=-1)
@click.option("--components/--no-components", help="List the components of composites, too.")
@click.option("-v", "--verbose", is_flag=True, help="Changes nothing: all is shown.", expose_value=False)
@json_option
def query_dataset_types(repository: str, patterns: tuple[str, ...], components: bool, output: Output) -> None:
    """List dataset types.

    Those that match a GLOB if any are given.
    """
    with Butler(repository) as butler:
        check_dataset_types(butler, patterns)
        found = butler.registry.queryDatasetTypes(names(patterns) or ..., components=components)
    output.records(
        (
            {
                "name": each.name,
                "dimensions": each.dimensions.names,
                "storage_class": each.storageClass_name,
                "is_calibration": each.isCalibration(),
            }
            for each in found
        ),
        of_what="dataset types",
    )


@click.command("remove-dataset-type")
@repository_argument
@click.argument("patterns", metavar="NAME...", nargs=-1, required=True)
@click.option("--dry-run", is_flag=True, help="Only show which they are.")
@json_option
def remove(repository: str, patterns: tuple[str, ...], dry_run: bool, output: Output) -> None:
    """Remove dataset types of which there are no datasets.

    NAME may be a glob. If there are datasets of one of them, none is removed.
    """
    with Butler(repository, writeable=True) as butler:
        check_dataset_types(butler, patterns)
        wanted = names(patterns)
        found = butler.registry.queryDatasetTypes(wanted)
        if not dry_run:
            butler.registry.removeDatasetType(wanted)
    field = "name" if dry_run else "removed"
    output.records(({field: each.name} for each in found), of_what="dataset types")
