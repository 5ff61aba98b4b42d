# SPDX-License-Identifier: BSD-3-Clause
"""The composition root: which objects a registry is made of, and how they are wired."""

from __future__ import annotations

__all__ = ["RegistryApplication", "RepositoryRegistry"]

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from threading import BoundedSemaphore, Lock
from uuid import UUID

from butler_model.access import check_subject
from butler_model.composites import NOTHING_DISASSEMBLED, Composites
from butler_model.errors import IncompatibleVersionError, RepositoryExistsError
from butler_model.grants import TokenSigner
from butler_model.placement import Placement
from butler_model.repository import Limits, RepositoryInfo, Store, check_repository_name
from butler_model.universe import DimensionUniverse

from .services.access import AccessService
from .services.associations import AssociationService
from .services.backlogs import BacklogService
from .services.begun_puts import BegunPuts
from .services.callers import CallerService
from .services.collections import CollectionService
from .services.dataset_types import DatasetTypeService
from .services.datasets import DatasetService
from .services.definitions import Definitions, SeenDefinitions
from .services.dimension_records import DimensionRecordService
from .services.events import EventService
from .services.grant_office import GrantOffice
from .services.ledger import LedgerService
from .services.ledger_access import LedgerAccess
from .services.page_tokens import PageTokens
from .services.puts import PutService
from .services.queries import QueryService
from .services.removals import RemovalService
from .services.repeats import Repeats
from .services.repository_creation import create_repository, read_attributes
from .services.repository_migration import Migration, check_schema, migrate_repository
from .services.statistics import StatisticsService
from .services.transactions import TransactionService
from .services.trash import TrashService
from .services.trash_guard import TrashGuard
from .services.views import Viewer, Views
from .storage.access_store import AccessStore
from .storage.aging import Aging
from .storage.association_store import AssociationStore
from .storage.attribute_store import AttributeStore
from .storage.backlog import Backlog, BacklogStore
from .storage.calibration_search import CalibrationSearch
from .storage.collection_store import CollectionStore
from .storage.database import Database, PoolUse
from .storage.dataset_counts import DatasetCounts
from .storage.dataset_removal import DatasetRemoval
from .storage.dataset_store import DatasetStore
from .storage.dataset_type_store import DatasetTypeStore
from .storage.dimension_store import DimensionStore
from .storage.dimension_tables import DimensionTables
from .storage.intent_claims import IntentClaims
from .storage.intent_store import IntentStore
from .storage.known_artifacts import KnownArtifactStore
from .storage.outbox_store import OutboxStore
from .storage.pinned_database import PinnedDatabase
from .storage.purge_store import PurgeStore
from .storage.repositories import open_databases
from .storage.request_store import RequestStore
from .storage.schema import StaticTables
from .storage.single_begin import SingleBegin
from .storage.single_commit import SingleCommit
from .storage.statistics import Statistics
from .storage.summary_store import SummaryStore
from .storage.trash_store import TrashStore


class _Stores:
    """What the services of one repository share with those of its transactions: statements, but nothing that was read.

    The statements are made once, so that a transaction is cheap to begin.
    """

    def __init__(self, info: RepositoryInfo, schema: str | None, signer: TokenSigner) -> None:
        self.info = info
        self.schema = schema
        self.static = static = StaticTables.declare(schema)
        self.dimension_tables = DimensionTables(static.metadata, info.universe)
        self.attributes = AttributeStore(static)
        self.collections = CollectionStore(static)
        self.dataset_types = DatasetTypeStore(static, info.universe)
        self.dimensions = DimensionStore(self.dimension_tables)
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
        self.dataset_counts = DatasetCounts(static)
        self.access = AccessStore(static)
        self.grants = GrantOffice(signer, info.name)
        self.placement = Placement(info.stores, info.universe)
        self.tokens = PageTokens(signer)


class _Shared:
    """What services over one database share, whoever calls them: caches, and how much was written."""

    def __init__(self, stores: _Stores, database: Database) -> None:
        self.definitions = Definitions(
            stores.info.universe,
            stores.attributes,
            stores.collections,
            stores.dataset_types,
            stores.dimensions,
            SummaryStore(stores.static),
        )
        self.statistics = Statistics(database)


class _Services:
    """Services with caches of their own over one database, or over that of a transaction.

    Parameters
    ----------
    intents_database
        Where intents are written, apart from a transaction where the database can do that.
    begun
        Takes note of the puts of a transaction.
    viewer
        Who calls; `None` if everybody may do everything.
    shared
        What has been read already, by services over the same database; `None` to begin without.
    """

    def __init__(
        self,
        stores: _Stores,
        database: Database,
        intents_database: Database,
        begun: BegunPuts | None = None,
        *,
        viewer: Viewer | None = None,
        shared: _Shared | None = None,
    ) -> None:
        limits = stores.info.limits
        self.shared = shared = shared or _Shared(stores, database)
        definitions, statistics, grants = shared.definitions, shared.statistics, stores.grants
        if viewer is not None:
            definitions = SeenDefinitions(definitions, viewer.access, viewer.name)
            grants = grants.for_principal(viewer.name)
        self.definitions: Definitions = definitions
        repeats = Repeats(stores.requests, definitions)
        self.dimension_records = DimensionRecordService(database, definitions, repeats, statistics, limits)
        self.collections = CollectionService(database, definitions, repeats, stores.removal)
        self.associations = AssociationService(
            database, definitions, stores.datasets, stores.associations, repeats, limits
        )
        self.dataset_types = DatasetTypeService(database, definitions, repeats)
        self.datasets = DatasetService(
            database, definitions, stores.datasets, stores.calibrations, grants, limits
        )
        self.puts = PutService(
            database,
            intents_database,
            begun,
            definitions,
            stores.datasets,
            stores.intents,
            stores.single_begin,
            stores.single_commit,
            stores.outbox,
            statistics,
            grants,
            TrashGuard(stores.purges, stores.schema),
            stores.placement,
            limits,
        )
        self.queries = QueryService(
            database, definitions, stores.static, stores.dimension_tables, stores.tokens, limits
        )
        self.statistics = StatisticsService(database, definitions, stores.dataset_counts)
        self._add_removal(stores, database, repeats, statistics)

    def _add_removal(
        self, stores: _Stores, database: Database, repeats: Repeats, statistics: Statistics
    ) -> None:
        """Make the services that remove and restore."""
        limits = stores.info.limits
        self.removals = RemovalService(
            database,
            self.definitions,
            stores.removal,
            stores.trash,
            stores.associations,
            repeats,
            statistics,
            limits,
        )
        self.trash = TrashService(
            database,
            stores.schema,
            self.definitions,
            stores.trash,
            stores.datasets,
            stores.removal,
            stores.outbox,
            repeats,
            stores.tokens,
            limits,
        )


class RepositoryRegistry(_Services):
    """The registry of one repository; implements `butler_model.ports.Registry`.

    Parameters
    ----------
    room
        Has a place for each transaction that may be open.
    administrators
        Subjects that may do everything, where it is asked who calls.
    """

    def __init__(
        self,
        stores: _Stores,
        database: Database,
        room: BoundedSemaphore,
        administrators: Sequence[str] = (),
        *,
        viewer: Viewer | None = None,
        shared: _Shared | None = None,
    ) -> None:
        super().__init__(stores, database, database, viewer=viewer, shared=shared)
        self._info, schema = stores.info, stores.schema
        self._database = database
        self.events = EventService(database, stores.outbox, stores.tokens, self.definitions.access)
        self.backlog = BacklogService(database, BacklogStore(stores.static))
        repeats = Repeats(stores.requests, self.definitions)
        self.access = AccessService(database, repeats, stores.access, stores.info.name, administrators)

        def seen_by(viewer: Viewer) -> RepositoryRegistry:
            return RepositoryRegistry(
                stores, database, room, administrators, viewer=viewer, shared=self.shared
            )

        self.views = Views(seen_by)
        claims = IntentClaims(stores.static)
        self.ledger = LedgerService(
            database,
            schema,
            stores.purges,
            claims,
            KnownArtifactStore(stores.static, claims),
            Aging(stores.static),
        )

        def within(pinned: PinnedDatabase, begun: BegunPuts) -> _Services:
            # SQLite has one writer, and that is the transaction.
            intents_database = database if database.is_postgresql else pinned
            return _Services(stores, pinned, intents_database, begun, viewer=viewer)

        self.transactions = TransactionService(
            database, stores.requests, self.events, stores.info, room, within
        )

    @property
    def info(self) -> RepositoryInfo:
        with self._database.reading() as connection:
            return replace(self._info, revision=self.definitions.snapshot(connection).revision)

    @property
    def revision(self) -> int:
        return self.definitions.observed_revision

    def close(self) -> None:
        """Do nothing: connections belong to the application, which others use too."""


class RegistryApplication:
    """All repositories of a deployment; implements `butler_model.ports.Repositories` and `butler_model.ports.Ledgers`.

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
    pooler
        Whether the database is behind a pooler in transaction mode, such as PgBouncer.
    administrators
        Subjects (``user:NAME``, ``group:NAME``) that may do everything, where it is asked who calls.
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
        pooler: bool = False,
        administrators: Sequence[str] = (),
    ) -> None:
        self._databases = open_databases(database, pool_size, pooler=pooler)
        self._fitting: set[str] = set()
        self._signer = signer
        self._stores = stores
        self._composites = composites
        self._limits = limits
        self._room = BoundedSemaphore(limits.transactions)
        self._datastore_endpoint = datastore_endpoint
        self._administrators = tuple(map(check_subject, administrators))
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

    @property
    def callers(self) -> CallerService:
        """Who may do what in which repository."""
        return CallerService(self, self._administrators)

    def ledger(self, repository: str) -> LedgerService:
        return self.open(repository).ledger

    @property
    def guarded_ledgers(self) -> LedgerAccess:
        """The ledgers, for datastore services."""
        return LedgerAccess(self, self._signer, self.callers)

    def _connect(self, name: str) -> RepositoryRegistry:
        attributes = read_attributes(self._databases, name)
        check_schema(name, attributes)
        stores = tuple(map(Store.from_mapping, json.loads(attributes["stores"])))
        universe = DimensionUniverse(json.loads(attributes["universe"]))
        # A repository that was made before there was a choice stores everything whole.
        composites = Composites.from_json(attributes.get("composites", ""))
        info = RepositoryInfo(
            name, universe, stores, self._limits, self._datastore_endpoint, composites=composites
        )
        database, schema = self._databases.open(name)
        return RepositoryRegistry(
            _Stores(info, schema, self._signer), database, self._room, self._administrators
        )

    def names(self) -> list[str]:
        return self._databases.names()

    def check(self) -> None:
        """Return if the database answers and every repository in it has a schema that this software works with.

        A repository that once had is not looked at again: a migration only adds to what older software needs, so those
        that run go on while the newer ones are started.

        Raises
        ------
        ServiceUnavailableError
            Raised if the database cannot be reached.
        IncompatibleVersionError
            Raised if a repository is to be migrated, or was migrated by newer software.
        """
        for name in self._databases.names():
            if name not in self._fitting:
                check_schema(name, read_attributes(self._databases, name))
                self._fitting.add(name)

    def migrate(self, name: str) -> Migration:
        """Bring the tables of a repository to what this software works with."""
        return migrate_repository(self._databases, name)

    def backlogs(self) -> Mapping[str, Backlog]:
        """Return what waits in each repository that can be opened."""
        backlogs = {}
        for name in self.names():
            with suppress(IncompatibleVersionError):
                backlogs[name] = self.open(name).backlog.read()
        return backlogs

    def pool_use(self) -> Mapping[str, PoolUse]:
        """Return how many database connections there are, by pool."""
        return self._databases.pool_use()

    def close(self) -> None:
        self._databases.close()
        self._open.clear()
