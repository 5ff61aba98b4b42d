# SPDX-License-Identifier: BSD-3-Clause
"""How one repository is wired: stores, services over them, and what the services share."""

from __future__ import annotations

__all__ = ["RegistryStores", "RepositoryRegistry"]

from collections.abc import Sequence
from dataclasses import replace

from butler_model.grants import TokenSigner
from butler_model.placement import Placement
from butler_model.repository import RepositoryInfo

from .services.access import AccessService
from .services.associations import AssociationService
from .services.backlogs import BacklogService
from .services.begun_puts import BegunPuts
from .services.collections import CollectionService
from .services.dataset_types import DatasetTypeService
from .services.datasets import DatasetService
from .services.definitions import Definitions, SeenDefinitions
from .services.dimension_records import DimensionRecordService
from .services.events import EventService
from .services.grant_office import GrantOffice
from .services.ledger import LedgerService
from .services.page_tokens import PageTokens
from .services.puts import PutService
from .services.queries import QueryService
from .services.quota_guard import QuotaGuard
from .services.quotas import QuotaService
from .services.removals import RemovalService
from .services.repeats import Repeats
from .services.statistics import StatisticsService
from .services.transaction_room import TransactionRoom
from .services.transactions import TransactionService
from .services.trash import TrashService
from .services.trash_guard import TrashGuard
from .services.views import Viewer, Views
from .storage.database import Database
from .storage.pinned_database import PinnedDatabase
from .storage.statistics import Statistics
from .storage.summary_store import SummaryStore
from .storage.table_stores import table_stores


class RegistryStores:
    """What the services of one repository share with those of its transactions: statements, but nothing that was read.

    The statements are made once, so that a transaction is cheap to begin.
    """

    def __init__(self, info: RepositoryInfo, schema: str | None, signer: TokenSigner) -> None:
        self.info = info
        self.schema = schema
        self.of_tables = table_stores(schema, info.universe)
        self.grants = GrantOffice(signer, info.name)
        self.placement = Placement(info.stores, info.universe)
        self.tokens = PageTokens(signer)


class _Shared:
    """What services over one database share, whoever calls them: caches, and how much was written."""

    def __init__(self, stores: RegistryStores, database: Database) -> None:
        tables = stores.of_tables
        self.definitions = Definitions(
            stores.info.universe,
            tables.attributes,
            tables.collections,
            tables.dataset_types,
            tables.dimensions,
            SummaryStore(tables.static),
        )
        self.statistics = Statistics(database)
        self.quotas = QuotaGuard(tables.attributes, tables.stored_bytes)


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
        stores: RegistryStores,
        database: Database,
        intents_database: Database,
        begun: BegunPuts | None = None,
        *,
        viewer: Viewer | None = None,
        shared: _Shared | None = None,
    ) -> None:
        limits, tables = stores.info.limits, stores.of_tables
        self.shared = shared = shared or _Shared(stores, database)
        definitions, statistics, grants = shared.definitions, shared.statistics, stores.grants
        if viewer is not None:
            definitions = SeenDefinitions(definitions, viewer.access, viewer.name)
            grants = grants.for_principal(viewer.name)
        self.definitions: Definitions = definitions
        repeats = Repeats(tables.requests, definitions)
        self.dimension_records = DimensionRecordService(database, definitions, repeats, statistics, limits)
        self.collections = CollectionService(database, definitions, repeats, tables.removal)
        self.associations = AssociationService(
            database, definitions, tables.datasets, tables.associations, repeats, limits
        )
        self.dataset_types = DatasetTypeService(database, definitions, repeats)
        self.datasets = DatasetService(
            database, definitions, tables.datasets, tables.calibrations, grants, limits
        )
        self.puts = PutService(
            database,
            intents_database,
            begun,
            definitions,
            tables.datasets,
            tables.intents,
            tables.single_begin,
            tables.single_commit,
            tables.outbox,
            statistics,
            grants,
            TrashGuard(tables.purges, tables.claims, stores.schema),
            shared.quotas,
            stores.placement,
            limits,
        )
        self.queries = QueryService(
            database, definitions, tables.static, tables.dimension_tables, stores.tokens, limits
        )
        self.statistics = StatisticsService(database, definitions, tables.dataset_counts)
        self._add_removal(stores, database, repeats, statistics)

    def _add_removal(
        self, stores: RegistryStores, database: Database, repeats: Repeats, statistics: Statistics
    ) -> None:
        """Make the services that remove and restore."""
        limits, tables = stores.info.limits, stores.of_tables
        self.removals = RemovalService(
            database,
            self.definitions,
            tables.removal,
            tables.trash,
            tables.associations,
            repeats,
            statistics,
            limits,
        )
        self.trash = TrashService(
            database,
            stores.schema,
            self.definitions,
            tables.trash,
            tables.datasets,
            tables.removal,
            tables.outbox,
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
        stores: RegistryStores,
        database: Database,
        room: TransactionRoom,
        administrators: Sequence[str] = (),
        *,
        viewer: Viewer | None = None,
        shared: _Shared | None = None,
    ) -> None:
        super().__init__(stores, database, database, viewer=viewer, shared=shared)
        self._info, schema, tables = stores.info, stores.schema, stores.of_tables
        self._database = database
        self.events = EventService(database, tables.outbox, stores.tokens, self.definitions.access)
        self.backlog = BacklogService(database, tables.backlog)
        repeats = Repeats(tables.requests, self.definitions)
        self.access = AccessService(database, repeats, tables.access, stores.info.name, administrators)
        self.quotas = QuotaService(
            database, self.definitions, repeats, tables.attributes, tables.stored_bytes, self.shared.quotas
        )

        self.views = Views(
            lambda viewer: RepositoryRegistry(
                stores, database, room, administrators, viewer=viewer, shared=self.shared
            )
        )
        self.ledger = LedgerService(
            database, schema, tables.purges, tables.claims, tables.known_artifacts, tables.aging
        )

        def within(pinned: PinnedDatabase, begun: BegunPuts) -> _Services:
            # SQLite has one writer, and that is the transaction.
            intents_database = database if database.is_postgresql else pinned
            return _Services(stores, pinned, intents_database, begun, viewer=viewer)

        self.transactions = TransactionService(
            database,
            tables.requests,
            self.events,
            stores.info,
            room,
            viewer.name if viewer else "",
            within,
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
