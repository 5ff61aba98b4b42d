# SPDX-License-Identifier: BSD-3-Clause
"""The composition root: which objects a registry is made of, and how they are wired."""

from __future__ import annotations

__all__ = ["RegistryApplication"]

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from threading import Lock
from uuid import UUID

from butler_model.access import check_subject
from butler_model.composites import NOTHING_DISASSEMBLED, Composites
from butler_model.errors import IncompatibleVersionError, RepositoryExistsError
from butler_model.grants import TokenSigner
from butler_model.repository import Limits, RepositoryInfo, Store, check_repository_name
from butler_model.universe import DimensionUniverse

from .repository_registry import RegistryStores, RepositoryRegistry
from .services.callers import CallerService
from .services.ledger import LedgerService
from .services.ledger_access import LedgerAccess
from .services.repository_creation import create_repository, read_attributes
from .services.repository_migration import Migration, check_schema, migrate_repository
from .services.transaction_room import TransactionRoom
from .storage.backlog import Backlog
from .storage.database import PoolUse
from .storage.repositories import open_databases


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
        self._room = TransactionRoom(limits)
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
            RegistryStores(info, schema, self._signer), database, self._room, self._administrators
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
