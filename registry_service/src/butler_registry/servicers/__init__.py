# SPDX-License-Identifier: BSD-3-Clause
"""The registry's RPCs: each converts, calls one service, converts back."""

from __future__ import annotations

__all__ = ["registry_services"]

from functools import partial

from butler_api.server import Services
from butler_api.v1.association_service_pb2_grpc import add_AssociationServiceServicer_to_server
from butler_api.v1.collection_service_pb2_grpc import add_CollectionServiceServicer_to_server
from butler_api.v1.dataset_service_pb2_grpc import add_DatasetServiceServicer_to_server
from butler_api.v1.dataset_type_service_pb2_grpc import add_DatasetTypeServiceServicer_to_server
from butler_api.v1.dimension_service_pb2_grpc import add_DimensionServiceServicer_to_server
from butler_api.v1.event_service_pb2_grpc import add_EventServiceServicer_to_server
from butler_api.v1.query_service_pb2_grpc import add_QueryServiceServicer_to_server
from butler_api.v1.repository_service_pb2_grpc import add_RepositoryServiceServicer_to_server
from butler_api.v1.statistics_service_pb2_grpc import add_StatisticsServiceServicer_to_server
from butler_model.ports import Repositories
from butler_model.repository import Limits

from .associations import AssociationServicer
from .collections import CollectionServicer
from .dataset_types import DatasetTypeServicer
from .datasets import DatasetServicer
from .dimensions import DimensionServicer
from .events import EventServicer
from .opened import OpenedRepositories
from .queries import QueryServicer
from .repositories import RepositoryServicer
from .statistics import StatisticsServicer


def registry_services(repositories: Repositories, limits: Limits) -> Services:
    """Return the services of a registry, for `butler_api.server.build_server`."""
    opened = OpenedRepositories(repositories)
    added = {
        "AssociationService": partial(add_AssociationServiceServicer_to_server, AssociationServicer(opened)),
        "CollectionService": partial(add_CollectionServiceServicer_to_server, CollectionServicer(opened)),
        "DatasetService": partial(add_DatasetServiceServicer_to_server, DatasetServicer(opened)),
        "DatasetTypeService": partial(add_DatasetTypeServiceServicer_to_server, DatasetTypeServicer(opened)),
        "DimensionService": partial(add_DimensionServiceServicer_to_server, DimensionServicer(opened)),
        "EventService": partial(add_EventServiceServicer_to_server, EventServicer(opened)),
        "QueryService": partial(add_QueryServiceServicer_to_server, QueryServicer(opened)),
        "RepositoryService": partial(
            add_RepositoryServiceServicer_to_server, RepositoryServicer(repositories, limits)
        ),
        "StatisticsService": partial(add_StatisticsServiceServicer_to_server, StatisticsServicer(opened)),
    }
    return {f"butler_api.v1.{name}": add for name, add in added.items()}
