# SPDX-License-Identifier: BSD-3-Clause
"""The contracts of the two services, in domain types.

The services implement them; `butler.remote` implements them over gRPC stubs; `butler.Butler` takes either. Every
mutation carries a ``request_id`` so that it can be repeated when its outcome is unknown.
"""

from __future__ import annotations

__all__ = [
    "ArtifactLedger",
    "Associations",
    "BeginPut",
    "Collections",
    "DatasetEvent",
    "DatasetEventKind",
    "DatasetLookup",
    "DatasetStatistics",
    "DatasetTypes",
    "Datasets",
    "Datastore",
    "DimensionRecords",
    "DirectAccess",
    "Events",
    "Finding",
    "FindingKind",
    "FoundDataset",
    "GuardedLedgers",
    "Housekeeping",
    "InspectionProgress",
    "IntendedPlace",
    "KnownArtifact",
    "Ledgers",
    "Ownership",
    "Placing",
    "PruneDatasets",
    "PutBatch",
    "PutIntent",
    "Puts",
    "Queries",
    "Registry",
    "RegistryTransaction",
    "RemovalSummary",
    "Removals",
    "RemoveRun",
    "Repositories",
    "Statistics",
    "StatisticsKey",
    "Transactions",
    "Trash",
    "TrashPage",
    "WriteGrant",
]

from .datasets import (
    Associations,
    BeginPut,
    DatasetLookup,
    Datasets,
    FoundDataset,
    Placing,
    PutBatch,
    PutIntent,
    Puts,
    WriteGrant,
)
from .definitions import Collections, DatasetTypes, DimensionRecords
from .housekeeping import Finding, FindingKind, Housekeeping, InspectionProgress
from .ledger import ArtifactLedger, GuardedLedgers, IntendedPlace, KnownArtifact, Ledgers, Ownership
from .queries import DatasetEvent, DatasetEventKind, Events, Queries
from .removals import PruneDatasets, Removals, RemovalSummary, RemoveRun, Trash, TrashPage
from .services import Datastore, DirectAccess, Registry, RegistryTransaction, Repositories, Transactions
from .statistics import DatasetStatistics, Statistics, StatisticsKey
