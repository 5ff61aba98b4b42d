# SPDX-License-Identifier: BSD-3-Clause
"""The registry of one repository, and all repositories, behind a registry service."""

from __future__ import annotations

__all__ = ["RemoteRegistry", "RemoteRepositories"]

from uuid import UUID

from butler_api.channel import CALL_SECONDS, Connection
from butler_api.v1.repository_service_pb2 import CreateRepositoryRequest, ListRepositoriesRequest
from butler_api.v1.repository_service_pb2_grpc import RepositoryServiceStub
from butler_model.composites import Composites
from butler_model.repository import RepositoryInfo
from butler_model.universe import DimensionUniverse

from .associations import RemoteAssociations
from .collections import RemoteCollections
from .datasets import RemoteDatasets, RemotePuts
from .definitions import RemoteDatasetTypes, RemoteDimensionRecords
from .events import RemoteEvents
from .queries import RemoteQueries
from .session import RepositorySession
from .statistics import RemoteStatistics


class RemoteRegistry:
    """Implements `butler_model.ports.Registry`. May be shared between threads, pickled, and used after a fork.

    Nothing is sent before the first use; `info` raises `RepositoryNotFoundError` if there is no such repository.

    Parameters
    ----------
    address
        ``host:port`` of the registry service.
    repository
        Name of the repository.
    call_seconds
        Deadline of each call.
    """

    def __init__(self, address: str, repository: str, *, call_seconds: float = CALL_SECONDS) -> None:
        self._session = session = RepositorySession(
            Connection(address, call_seconds=call_seconds), repository
        )
        self.dimension_records = RemoteDimensionRecords(session)
        self.collections = RemoteCollections(session)
        self.associations = RemoteAssociations(session)
        self.dataset_types = RemoteDatasetTypes(session)
        self.datasets = RemoteDatasets(session)
        self.puts = RemotePuts(session)
        self.queries = RemoteQueries(session)
        self.events = RemoteEvents(session)
        self.statistics = RemoteStatistics(session)

    @property
    def info(self) -> RepositoryInfo:
        """What the repository is; ``datastore_endpoint`` is complete, with a host."""
        return self._session.info

    @property
    def revision(self) -> int:
        """The latest revision that any answer told."""
        return self._session.revision

    def close(self) -> None:
        """Give back the connection; the next use takes a new one."""
        self._session.connection.close()


class RemoteRepositories:
    """Implements `butler_model.ports.Repositories`. May be shared between threads and pickled.

    Parameters
    ----------
    address
        ``host:port`` of the registry service.
    call_seconds
        Deadline of each call.
    """

    def __init__(self, address: str, *, call_seconds: float = CALL_SECONDS) -> None:
        self._connection = Connection(address, call_seconds=call_seconds)

    def create(
        self,
        name: str,
        universe: DimensionUniverse,
        *,
        composites: Composites | None = None,
        request_id: UUID,
    ) -> RepositoryInfo:
        request = CreateRepositoryRequest(
            request_id=request_id.bytes,
            repository=name,
            universe_json=universe.config_json,
            composites_json="" if composites is None else composites.config_json,
        )
        self._connection.call(self._connection.stub(RepositoryServiceStub).CreateRepository, request)
        return self.open(name).info

    def open(self, name: str) -> RemoteRegistry:
        registry = RemoteRegistry(self._connection.address, name, call_seconds=self._connection.call_seconds)
        try:
            registry.info  # noqa: B018 - raises if there is no such repository
        except BaseException:
            registry.close()
            raise
        return registry

    def names(self) -> list[str]:
        stub = self._connection.stub(RepositoryServiceStub)
        return list(self._connection.call(stub.ListRepositories, ListRepositoriesRequest()).repositories)

    def close(self) -> None:
        """Give back the connection; registries that were opened keep theirs."""
        self._connection.close()
