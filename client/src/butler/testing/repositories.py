# SPDX-License-Identifier: BSD-3-Clause
"""Small repositories for tests."""

from __future__ import annotations

__all__ = ["addDatasetType", "makeTestCollection", "makeTestRepo"]

import os
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from butler import Butler, DatasetType, DimensionUniverse

from .data_ids import addDataIdValue


def makeTestRepo(
    root: str | os.PathLike[str], dataIds: Mapping[str, Iterable[str | int]] | None = None, **options: Any
) -> Butler:
    """Make a repository with some data IDs; return a butler that may write, without a run.

    Parameters
    ----------
    root
        A directory, or ``grpc://host:port/repository``.
    dataIds
        For each dimension its values: ``{"instrument": ["Cam"], "detector": [1, 2], "visit": [101]}``. Those of
        dimensions that depend on others belong to the first of these; whatever else they need is made up.
    **options
        What else `Butler.makeRepo` takes.

    Raises
    ------
    RepositoryExistsError
        Raised if there is a repository already.
    DimensionNameError, DimensionValueError
        Raised for a dimension or a value that cannot be.
    """
    Butler.makeRepo(root, **options)
    butler = Butler(root, writeable=True)
    try:
        for dimension in sorted(butler.dimensions.sorted(dataIds or {}), key=_turn(butler.dimensions)):
            for value in (dataIds or {})[dimension]:
                addDataIdValue(butler, dimension, value)
    except BaseException:
        butler.close()
        raise
    return butler


def makeTestCollection(repo: Butler, uniqueId: str | None = None) -> Butler:
    """Return a butler of the same repository that writes to a run of its own, and reads from it only.

    Parameters
    ----------
    uniqueId
        What the run is named after, such as the name of a test; something random if absent.
    """
    return repo.clone(run=f"test/{uniqueId or uuid.uuid4().hex}", writeable=True)


def addDatasetType(butler: Butler, name: str, dimensions: Iterable[str], storageClass: str) -> DatasetType:
    """Register a dataset type and return it; it may be there already.

    Raises
    ------
    ConflictingDefinitionError
        Raised if there is one of that name and another definition.
    """
    dataset_type = DatasetType(name, list(dimensions), storageClass, universe=butler.dimensions)
    butler.registry.registerDatasetType(dataset_type)
    return dataset_type


def _turn(universe: DimensionUniverse) -> Callable[[str], int]:
    """Return what puts a dimension after those that its records may need, also where these are views of others."""

    def turn(dimension: str) -> int:
        element = universe[dimension]
        return 0 if element.is_governor else 1 if element.view_of is not None else 2

    return turn
