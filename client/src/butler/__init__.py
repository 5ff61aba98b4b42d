# SPDX-License-Identifier: BSD-3-Clause
"""The data butler: put and get scientific datasets by meaning, embedded or through its services.

>>> from butler import Butler
>>> Butler.makeRepo("repository")
>>> butler = Butler("repository", run="first")
"""

from __future__ import annotations

__all__ = [
    "Butler",
    "ButlerConfig",
    "CollectionType",
    "Config",
    "DataCoordinate",
    "DatasetExistence",
    "DatasetRef",
    "DatasetType",
    "DeferredDatasetHandle",
    "DimensionGroup",
    "DimensionRecord",
    "DimensionUniverse",
    "FileDataset",
    "StorageClass",
    "Timespan",
    "errors",
]

import importlib

# Before anything loads grpc: it says how that is to run.
import butler_api as _wire  # noqa: F401

# That of typing, without its import, which takes longer than all else here: the command line cannot be interrupted
# quietly before.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from butler_model.collection import CollectionType
    from butler_model.data_id import DataCoordinate
    from butler_model.dataset import DatasetRef, DatasetType
    from butler_model.records import DimensionRecord
    from butler_model.storage_class import StorageClass
    from butler_model.timespan import Timespan
    from butler_model.universe import DimensionGroup, DimensionUniverse

    from . import errors
    from .butler import Butler
    from .config import ButlerConfig, Config
    from .dataset_existence import DatasetExistence
    from .datasets import DeferredDatasetHandle
    from .ingest import FileDataset

_HOMES = {
    "Butler": "butler.butler",
    "ButlerConfig": "butler.config",
    "CollectionType": "butler_model.collection",
    "Config": "butler.config",
    "DataCoordinate": "butler_model.data_id",
    "DatasetExistence": "butler.dataset_existence",
    "DatasetRef": "butler_model.dataset",
    "DatasetType": "butler_model.dataset",
    "DeferredDatasetHandle": "butler.datasets",
    "DimensionGroup": "butler_model.universe",
    "DimensionRecord": "butler_model.records",
    "DimensionUniverse": "butler_model.universe",
    "FileDataset": "butler.ingest",
    "StorageClass": "butler_model.storage_class",
    "Timespan": "butler_model.timespan",
}


def __getattr__(name: str) -> Any:
    # Imported when first used: the command line answers --help without geometry, arrays and gRPC.
    if name == "errors":
        value: Any = importlib.import_module("butler.errors")
    elif name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
