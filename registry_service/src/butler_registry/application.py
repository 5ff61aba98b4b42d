# SPDX-License-Identifier: BSD-3-Clause
"""The composition root: which objects a registry is made of, and how they are wired."""

from __future__ import annotations

__all__ = ["RegistryApplication", "RepositoryRegistry"]

import json
from dataclasses import replace
from threading import Lock
from uuid import UUID

from butler_model.composites import NOTHING_DISASSEMBLED, Composites
from butler_model.errors import IncompatibleVersionError, RepositoryExistsError
from butler_model.grants import TokenSigner
from butler_model.placement import Placement
from butler_model.repository import Limits, RepositoryInfo, Store, check_repository_name
from butler_model.universe import DimensionUniverse

from .services.associations import AssociationService
from .services.collections import CollectionService
from .services.dataset_types import DatasetTypeService
from .services.datasets import DatasetService
from .services.definitions import Definitions
from .services.dimension_records import DimensionRecordService
from .services.events import EventService
from .services.grant_office import GrantOffice
from .services.page_tokens import PageTokens
from .services.puts import PutService
from .services.queries import QueryService
from .services.repository_creation import create_repository, read_attributes
from .services.statistics import StatisticsService
from .storage.association_store import AssociationStore
from .storage.attribute_store import AttributeStore
from .storage.calibration_search import CalibrationSearch
from .storage.collection_store import CollectionStore
from .storage.database import Database
from .storage.dataset_counts import DatasetCounts
from .storage.dataset_store import DatasetStore
from .storage.dataset_type_store import DatasetTypeStore
from .storage.dimension_store import DimensionStore
from .storage.dimension_tables import DimensionTables
from .storage.intent_store import IntentStore
from .storage.outbox_store import OutboxStore
from .storage.repositories import open_databases
from .storage.request_store import RequestStore
from .storage.run_removal import RunRemoval
from .storage.schema import SCHEMA_REVISION, StaticTables
from .storage.single_begin import SingleBegin
from .storage.single_commit import SingleCommit
from .storage.statistics import Statistics
from .storage.summary_store import SummaryStore


class RepositoryRegistry:
    """The registry of one repository; implements `butler_model.ports.Registry`."""

    def __init__(
        self, info: RepositoryInfo, database: Database, schema: str | None, signer: TokenSigner
    ) -> None:
        static = StaticTables.declare(schema)
        dimension_tables = DimensionTables(static.metadata, info.universe)
        datasets = DatasetStore(static)
        grants = GrantOffice(signer, info.name)
        self._info = info
        self._database = database
        self._definitions = definitions = Definitions(
            info.universe,
            AttributeStore(static),
            CollectionStore(static),
            DatasetTypeStore(static, info.universe),
            DimensionStore(dimension_tables),
            SummaryStore(static),
        )
        requests, outbox, statistics = RequestStore(static), OutboxStore(static), Statistics(database)
        self.dimension_records = DimensionRecordService(database, definitions, statistics, info.limits)
        self.collections = CollectionService(database, definitions, requests, RunRemoval(static, outbox))
        self.associations = AssociationService(
            database, definitions, datasets, AssociationStore(static), requests, info.limits
        )
        self.dataset_types = DatasetTypeService(database, definitions)
        self.datasets = DatasetService(
            database, definitions, datasets, CalibrationSearch(datasets), grants, info.limits
        )
        self.puts = PutService(
            database,
            definitions,
            datasets,
            IntentStore(static),
            SingleBegin(static),
            SingleCommit(static),
            outbox,
            statistics,
            grants,
            Placement(info.stores, info.universe),
            info.limits,
        )
        tokens = PageTokens(signer)
        self.queries = QueryService(database, definitions, static, dimension_tables, tokens, info.limits)
        self.events = EventService(database, outbox, tokens)
        self.statistics = StatisticsService(database, definitions, DatasetCounts(static))

    @property
    def info(self) -> RepositoryInfo:
        with self._database.reading() as connection:
            return replace(self._info, revision=self._definitions.snapshot(connection).revision)

    @property
    def revision(self) -> int:
        return self._definitions.observed_revision

    def close(self) -> None:
        """Do nothing: connections belong to the application, which others use too."""


class RegistryApplication:
    """All repositories of a deployment; implements `butler_model.ports.Repositories`.

    Parameters
    ----------
    database
        ``postgresql+psycopg://...``, with a schema per repository, or ``sqlite:///DIRECTORY``, with a file each.
    signer
        Signs grants and page tokens, and checks receipts; shared with the datastore service.
    stores
        Stores of new repositories; an artifact goes to the first that takes it.
    composites
        What new repositories store as separate components, unless they are told otherwise.
    datastore_endpoint
        Where clients find the datastore service.
    pool_size
        Most database connections at once.
    """

    def __init__(
        self,
        database: str,
        signer: TokenSigner,
        *,
        stores: tuple[Store, ...] = (Store("main"),),
        composites: Composites = NOTHING_DISASSEMBLED,
        limits: Limits = Limits(),  # noqa: B008 - an immutable value
        datastore_endpoint: str = "",
        pool_size: int = 10,
    ) -> None:
        self._databases = open_databases(database, pool_size)
        self._signer = signer
        self._stores = stores
        self._composites = composites
        self._limits = limits
        self._datastore_endpoint = datastore_endpoint
        self._open: dict[str, RepositoryRegistry] = {}
        self._lock = Lock()

    def create(
        self,
        name: str,
        universe: DimensionUniverse,
        *,
        composites: Composites | None = None,
        request_id: UUID,
    ) -> RepositoryInfo:
        check_repository_name(name)
        composites = self._composites if composites is None else composites
        try:
            create_repository(self._databases, name, universe, self._stores, composites, request_id)
        except RepositoryExistsError:
            attributes = read_attributes(self._databases, name)
            wanted = {
                "created_by": str(request_id),
                "universe": universe.config_json,
                "composites": composites.config_json,
            }
            if wanted.items() - attributes.items():
                raise
        return self.open(name).info

    def open(self, name: str) -> RepositoryRegistry:
        check_repository_name(name)
        with self._lock:
            registry = self._open.get(name)
            if registry is None:
                registry = self._open[name] = self._connect(name)
            return registry

    def _connect(self, name: str) -> RepositoryRegistry:
        attributes = read_attributes(self._databases, name)
        if attributes.get("schema_revision") != SCHEMA_REVISION:
            raise IncompatibleVersionError(
                f"Repository {name!r} has schema {attributes.get('schema_revision')}, this software works with "
                f"{SCHEMA_REVISION}; migrate the repository, or install the software that fits.",
                repository=name,
            )
        stores = tuple(map(Store.from_mapping, json.loads(attributes["stores"])))
        universe = DimensionUniverse(json.loads(attributes["universe"]))
        # A repository that was made before there was a choice stores everything whole.
        composites = Composites.from_json(attributes.get("composites", ""))
        info = RepositoryInfo(
            name, universe, stores, self._limits, self._datastore_endpoint, composites=composites
        )
        database, schema = self._databases.open(name)
        return RepositoryRegistry(info, database, schema, self._signer)

    def names(self) -> list[str]:
        return self._databases.names()

    def close(self) -> None:
        self._databases.close()
        self._open.clear()
