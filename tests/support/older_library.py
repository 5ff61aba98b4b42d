# SPDX-License-Identifier: BSD-3-Clause
"""A program for an interpreter that has a release of the older library: repositories there, seen from outside.

``python older_library.py make REPO``, ``import REPO DIRECTORY``, ``export REPO DIRECTORY`` (of everything) and
``describe REPO``, which prints what the repository holds as JSON.
"""

from __future__ import annotations

__all__ = ["main"]

import json
import sys
from collections.abc import Callable
from typing import Any

from lsst.daf.butler import Butler, CollectionType


def make(repository: str) -> None:
    """Make an empty repository."""
    Butler.makeRepo(repository)


def import_export(repository: str, directory: str) -> None:
    """Import an export with its files."""
    butler = Butler.from_config(repository, writeable=True)
    butler.import_(directory=directory, filename="export.yaml", transfer="copy")


def export(repository: str, directory: str) -> None:
    """Export everything."""
    butler = Butler.from_config(repository)
    with butler.export(directory=directory, filename="export.yaml", transfer="copy") as everything:
        for name in butler.registry.queryCollections():
            everything.saveCollection(name)
        everything.saveDatasets(
            butler.registry.queryDatasets(..., collections=..., findFirst=False).expanded()
        )


def describe(repository: str) -> None:
    """Print what there is."""
    butler = Butler.from_config(repository)
    registry = butler.registry
    collections = {
        name: {
            "type": registry.getCollectionType(name).name,
            "doc": registry.getCollectionDocumentation(name) or "",
            "children": list(registry.getCollectionChain(name)) if _is_chain(butler, name) else [],
        }
        for name in registry.queryCollections()
    }
    datasets = {
        str(ref.id): {
            "type": ref.datasetType.name,
            "storage_class": ref.datasetType.storageClass_name,
            "run": ref.run,
            "data_id": dict(ref.dataId.required),
            "content": butler.get(ref),
        }
        for ref in _datasets(butler)
    }
    members = sorted(
        [association.collection, str(association.ref.id), _nsec(association.timespan)]
        for dataset_type in registry.queryDatasetTypes()
        for association in registry.queryDatasetAssociations(
            dataset_type, collections=..., collectionTypes=set(CollectionType) - {CollectionType.CHAINED}
        )
    )
    json.dump({"collections": collections, "datasets": datasets, "members": members}, sys.stdout)


def _datasets(butler: Any) -> list[Any]:
    return list(butler.registry.queryDatasets(..., collections=..., findFirst=False))


def _is_chain(butler: Any, name: str) -> bool:
    return bool(butler.registry.getCollectionType(name) is CollectionType.CHAINED)


def _nsec(timespan: Any) -> list[int] | None:
    return None if timespan is None else list(timespan.nsec)


_COMMANDS: dict[str, Callable[..., None]] = {
    "make": make,
    "import": import_export,
    "export": export,
    "describe": describe,
}


def main(arguments: list[str]) -> None:
    """Run one command."""
    _COMMANDS[arguments[0]](*arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
