# SPDX-License-Identifier: BSD-3-Clause
"""The RPCs of `RepositoryService`."""

from __future__ import annotations

__all__ = ["RepositoryServicer"]

from importlib.metadata import version

import grpc

from butler_api.caller import caller
from butler_api.convert.repositories import (
    composites_from_json,
    info_to_proto,
    limits_to_proto,
    universe_from_json,
)
from butler_api.convert.values import uuid_from_proto
from butler_api.v1 import repository_service_pb2 as pb
from butler_api.v1.repository_service_pb2_grpc import RepositoryServiceServicer
from butler_model.ports import Repositories
from butler_model.repository import Limits
from butler_registry.services.callers import CallerService

from .opened import OpenedRepositories


class RepositoryServicer(RepositoryServiceServicer):
    """Repositories of the deployment."""

    def __init__(
        self,
        opened: OpenedRepositories,
        repositories: Repositories,
        callers: CallerService,
        limits: Limits,
    ) -> None:
        self._opened = opened
        self._repositories = repositories
        self._callers = callers
        # Looked up in a file, which takes as long as a call.
        self._capabilities = pb.GetCapabilitiesResponse(
            version=version("butler-registry"), limits=limits_to_proto(limits)
        )

    def CreateRepository(
        self, request: pb.CreateRepositoryRequest, context: grpc.ServicerContext
    ) -> pb.CreateRepositoryResponse:
        info = self._repositories.create(
            request.repository,
            universe_from_json(request.universe_json),
            composites=composites_from_json(request.composites_json) if request.composites_json else None,
            request_id=uuid_from_proto(request.request_id, "request_id"),
        )
        self._callers.give_to(request.repository, caller())
        return pb.CreateRepositoryResponse(revision=info.revision)

    def GetRepository(
        self, request: pb.GetRepositoryRequest, context: grpc.ServicerContext
    ) -> pb.GetRepositoryResponse:
        return info_to_proto(self._opened.open(request.repository).registry.info)

    def ListRepositories(
        self, request: pb.ListRepositoriesRequest, context: grpc.ServicerContext
    ) -> pb.ListRepositoriesResponse:
        return pb.ListRepositoriesResponse(repositories=self._callers.names_for(caller()))

    def GetCapabilities(
        self, request: pb.GetCapabilitiesRequest, context: grpc.ServicerContext
    ) -> pb.GetCapabilitiesResponse:
        return self._capabilities
