# SPDX-License-Identifier: BSD-3-Clause
"""The stores over the tables of a repository, and the statements that they are made of."""

from __future__ import annotations

__all__ = ["TableStores", "table_stores"]

from functools import lru_cache

from butler_model.universe import DimensionUniverse

from .access_store import AccessStore
from .aging import Aging
from .association_store import AssociationStore
from .attribute_store import AttributeStore
from .backlog import BacklogStore
from .calibration_search import CalibrationSearch
from .collection_store import CollectionStore
from .dataset_counts import DatasetCounts
from .dataset_removal import DatasetRemoval
from .dataset_store import DatasetStore
from .dataset_type_store import DatasetTypeStore
from .dimension_store import DimensionStore
from .intent_claims import IntentClaims
from .intent_store import IntentStore
from .known_artifacts import KnownArtifactStore
from .outbox_store import OutboxStore
from .purge_store import PurgeStore
from .repository_tables import KEPT_TABLES, RepositoryTables, repository_tables
from .request_store import RequestStore
from .single_begin import SingleBegin
from .single_commit import SingleCommit
from .stored_bytes import StoredBytes
from .trash_store import TrashStore


class TableStores:
    """Stores that have statements, and nothing of any one repository: not its database, nor what was read from it."""

    def __init__(self, tables: RepositoryTables) -> None:
        self.static = static = tables.static
        self.dimension_tables = tables.dimensions
        self.attributes = AttributeStore(static)
        self.collections = CollectionStore(static)
        self.dataset_types = DatasetTypeStore(static, tables.tags, tables.dimensions.universe)
        self.dimensions = DimensionStore(tables.dimensions)
        self.datasets = DatasetStore(static)
        self.associations = AssociationStore(static)
        self.calibrations = CalibrationSearch(self.datasets)
        self.intents = IntentStore(static)
        self.single_begin = SingleBegin(static)
        self.single_commit = SingleCommit(static)
        self.outbox = OutboxStore(static)
        self.requests = RequestStore(static)
        self.removal = DatasetRemoval(static, self.outbox)
        self.trash = TrashStore(static)
        self.purges = PurgeStore(static)
        self.claims = IntentClaims(static)
        self.known_artifacts = KnownArtifactStore(static, self.claims)
        self.aging = Aging(static)
        self.backlog = BacklogStore(static)
        self.dataset_counts = DatasetCounts(static)
        self.access = AccessStore(static)
        self.stored_bytes = StoredBytes(static)


@lru_cache(KEPT_TABLES)
def table_stores(schema: str | None, universe: DimensionUniverse) -> TableStores:
    """Return the stores over the tables of a schema and a universe; all repositories that have both share them.

    To declare tables and make statements is most of what it takes to open a repository. Each repository of PostgreSQL
    has a schema and none of SQLite has, so whoever shares statements has the same kind of database.
    """
    return TableStores(repository_tables(schema, universe))
