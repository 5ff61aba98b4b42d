# SPDX-License-Identifier: BSD-3-Clause
"""Errors about names that do not exist, which name what may have been meant."""

from __future__ import annotations

__all__ = ["no_such_collection", "no_such_dataset_type", "suggestion"]

import difflib
from collections.abc import Collection

from .errors import MissingCollectionError, MissingDatasetTypeError


def suggestion(name: str, known: Collection[str]) -> str:
    """Return a clause that names the known name which is most like another, if any is like it at all."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"; the nearest known one is {near[0]!r}" if near else ""


def no_such_collection(name: str, known: Collection[str]) -> MissingCollectionError:
    """Return the error for a collection that does not exist.

    Parameters
    ----------
    known
        Collections that may have been meant.
    """
    return MissingCollectionError(
        f"There is no collection {name!r}{suggestion(name, known)}. 'butler query-collections' and queryCollections "
        "list those there are; a new one is registered first.",
        collection=name,
    )


def no_such_dataset_type(name: str, known: Collection[str]) -> MissingDatasetTypeError:
    """Return the error for a dataset type that is not registered.

    Parameters
    ----------
    known
        Dataset types that may have been meant.
    """
    return MissingDatasetTypeError(
        f"There is no dataset type {name!r}{suggestion(name, known)}. 'butler query-dataset-types' and "
        "queryDatasetTypes list those there are; a new one is registered first.",
        dataset_type=name,
    )
