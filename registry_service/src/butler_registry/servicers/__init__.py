# SPDX-License-Identifier: BSD-3-Clause
"""The registry's RPCs: each converts, calls one service, converts back."""

from __future__ import annotations

__all__ = ["Gate", "ServedRepositories", "registry_services"]

from functools import partial
from typing import Protocol

from butler_api.server import Services
from butler_api.v1.access_service_pb2_grpc import add_AccessServiceServicer_to_server
from butler_api.v1.association_service_pb2_grpc import add_AssociationServiceServicer_to_server
from butler_api.v1.collection_service_pb2_grpc import add_CollectionServiceServicer_to_server
from butler_api.v1.dataset_service_pb2_grpc import add_DatasetServiceServicer_to_server
from butler_api.v1.dataset_type_service_pb2_grpc import add_DatasetTypeServiceServicer_to_server
from butler_api.v1.dimension_service_pb2_grpc import add_DimensionServiceServicer_to_server
from butler_api.v1.event_service_pb2_grpc import add_EventServiceServicer_to_server
from butler_api.v1.ledger_service_pb2_grpc import add_LedgerServiceServicer_to_server
from butler_api.v1.query_service_pb2_grpc import add_QueryServiceServicer_to_server
from butler_api.v1.removal_service_pb2_grpc import (
    add_RemovalServiceServicer_to_server,
    add_TrashServiceServicer_to_server,
)
from butler_api.v1.repository_service_pb2_grpc import add_RepositoryServiceServicer_to_server
from butler_api.v1.statistics_service_pb2_grpc import add_StatisticsServiceServicer_to_server
from butler_api.v1.transaction_service_pb2_grpc import add_TransactionServiceServicer_to_server
from butler_model.ports import GuardedLedgers, Repositories
from butler_model.repository import Limits
from butler_registry.services.callers import CallerService

from .access import AccessServicer
from .associations import AssociationServicer
from .collections import CollectionServicer
from .dataset_types import DatasetTypeServicer
from .datasets import DatasetServicer
from .dimensions import DimensionServicer
from .events import EventServicer
from .gate import Gate
from .ledger import LedgerServicer
from .opened import OpenedRepositories
from .queries import QueryServicer
from .removals import RemovalServicer, TrashServicer
from .repositories import RepositoryServicer
from .statistics import StatisticsServicer
from .transactions import TransactionServicer


class ServedRepositories(Repositories, Protocol):
    """Repositories, and what datastore services need of them."""

    @property
    def guarded_ledgers(self) -> GuardedLedgers: ...
    @property
    def callers(self) -> CallerService: ...


def registry_services(repositories: ServedRepositories, limits: Limits) -> Services:
    """Return the services of a registry, for `butler_api.server.build_server`."""
    callers = repositories.callers
    opened = OpenedRepositories(repositories, callers)
    added: Services = {
        **_services_of_repositories(opened),
        "AccessService": partial(add_AccessServiceServicer_to_server, AccessServicer(callers)),
        "EventService": partial(add_EventServiceServicer_to_server, EventServicer(opened)),
        "LedgerService": partial(
            add_LedgerServiceServicer_to_server, LedgerServicer(repositories.guarded_ledgers)
        ),
        "RepositoryService": partial(
            add_RepositoryServiceServicer_to_server, RepositoryServicer(opened, repositories, callers, limits)
        ),
        "TransactionService": partial(
            add_TransactionServiceServicer_to_server,
            TransactionServicer(
                opened, lambda within: _services_of_repositories(within).values(), Gate(callers)
            ),
        ),
    }
    return {f"butler_api.v1.{name}": add for name, add in added.items()}


def _services_of_repositories(opened: OpenedRepositories) -> Services:
    """Return the services that a transaction has, too."""
    return {
        "AssociationService": partial(add_AssociationServiceServicer_to_server, AssociationServicer(opened)),
        "CollectionService": partial(add_CollectionServiceServicer_to_server, CollectionServicer(opened)),
        "DatasetService": partial(add_DatasetServiceServicer_to_server, DatasetServicer(opened)),
        "DatasetTypeService": partial(add_DatasetTypeServiceServicer_to_server, DatasetTypeServicer(opened)),
        "DimensionService": partial(add_DimensionServiceServicer_to_server, DimensionServicer(opened)),
        "QueryService": partial(add_QueryServiceServicer_to_server, QueryServicer(opened)),
        "RemovalService": partial(add_RemovalServiceServicer_to_server, RemovalServicer(opened)),
        "TrashService": partial(add_TrashServiceServicer_to_server, TrashServicer(opened)),
        "StatisticsService": partial(add_StatisticsServiceServicer_to_server, StatisticsServicer(opened)),
    }
