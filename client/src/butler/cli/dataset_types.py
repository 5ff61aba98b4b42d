# SPDX-License-Identifier: BSD-3-Clause
"""Commands for dataset types."""

from __future__ import annotations

__all__ = ["register"]

import click

from butler import Butler, DatasetType
from butler.storage_classes import default_storage_classes

from .arguments import json_option, repository_argument
from .output import Output


@click.command("register-dataset-type")
@repository_argument
@click.argument("name")
@click.argument("storage_class")
@click.argument("dimensions", nargs=-1)
@json_option
def register(
    repository: str, name: str, storage_class: str, dimensions: tuple[str, ...], output: Output
) -> None:
    """Register a dataset type.

    Datasets called NAME are Python objects of STORAGE_CLASS (such as DataFrame, NumpyArray, StructuredDataDict), one
    for each combination of values of DIMENSIONS (such as instrument visit detector).
    """
    # The registry takes any name; a slip of the pen would stay in it for ever.
    default_storage_classes().getStorageClass(storage_class)
    with Butler(repository, writeable=True) as butler:
        dataset_type = DatasetType(name, dimensions, storage_class, universe=butler.dimensions)
        is_new = butler.registry.registerDatasetType(dataset_type)
    output.record(
        {
            "dataset_type": dataset_type.name,
            "storage_class": dataset_type.storageClass_name,
            "dimensions": dataset_type.dimensions.names,
            "is_new": is_new,
        }
    )
