# SPDX-License-Identifier: BSD-3-Clause
"""What the parts of a remote registry share: the connection, the repository, and definitions that were seen."""

from __future__ import annotations

__all__ = ["RepositorySession"]

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from butler_api.channel import Connection
from butler_api.client_security import TLS_SCHEME, split_address
from butler_api.convert.dataset_types import dataset_type_from_proto
from butler_api.convert.repositories import info_from_proto
from butler_api.v1.models_pb2 import DatasetType as DatasetTypeMessage
from butler_api.v1.repository_service_pb2 import GetRepositoryRequest
from butler_api.v1.repository_service_pb2_grpc import RepositoryServiceStub
from butler_model.dataset import DatasetType
from butler_model.repository import RepositoryInfo
from butler_model.universe import DimensionUniverse

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class RepositorySession:
    """One repository at one address. Safe to share between threads, to pickle, and to use after a fork.

    What it keeps may be written by several threads at once. There are no locks, which a fork could leave locked
    for ever: each thread writes a whole value, and one that is lost is asked for again.

    Parameters
    ----------
    info
        What the repository is, if that is known already.
    """

    def __init__(self, connection: Connection, repository: str, info: RepositoryInfo | None = None) -> None:
        self.connection = connection
        self.repository = repository
        self._info = info
        self._revision = 0
        self._types: tuple[int, dict[str, DatasetType]] = (0, {})

    def __reduce__(self) -> tuple[Any, ...]:
        return RepositorySession, (self.connection, self.repository)

    @property
    def info(self) -> RepositoryInfo:
        """What the repository is; the latest revision that any answer told."""
        return replace(self._loaded(), revision=self._revision)

    @property
    def revision(self) -> int:
        """The latest revision that any answer told."""
        return self._revision

    @property
    def universe(self) -> DimensionUniverse:
        """The dimensions of the repository."""
        return self._loaded().universe

    def see(self, revision: int) -> None:
        """Note the revision that an answer told; definitions that were kept at an earlier one are not used again."""
        self._revision = max(self._revision, revision)

    def kept_type(self, name: str) -> DatasetType | None:
        """Return the dataset type of that name if its definition at the latest revision is known."""
        revision, types = self._types
        return types.get(name) if revision == self._revision else None

    def keep_type(self, message: DatasetTypeMessage, revision: int) -> DatasetType:
        """Return the dataset type that an answer brought, and keep it as of that answer's revision."""
        self.see(revision)
        kept_at, types = self._types
        if kept_at != revision:
            types = {}
            self._types = (revision, types)
        found = types.get(message.name)
        if found is None:
            found = types[message.name] = dataset_type_from_proto(self.universe, message)
        return found

    def in_batches(
        self, items: Sequence[_Item], ask: Callable[[Sequence[_Item]], Sequence[_Result]]
    ) -> list[_Result]:
        """Ask about many things, as many at a time as the service accepts; once if there are none.

        Only for questions: what changes something is to happen as a whole or not at all.
        """
        size = self._loaded().limits.batch_items
        return [
            answer
            for start in range(0, max(len(items), 1), size)
            for answer in ask(items[start : start + size])
        ]

    def _loaded(self) -> RepositoryInfo:
        info = self._info
        if info is None:
            stub = self.connection.stub(RepositoryServiceStub)
            request = GetRepositoryRequest(repository=self.repository)
            info = info_from_proto(self.repository, self.connection.call(stub.GetRepository, request))
            info = replace(info, datastore_endpoint=self._complete(info.datastore_endpoint))
            self.see(info.revision)
            self._info = info
        return info

    def _complete(self, endpoint: str) -> str:
        """Return the address of the datastore service: of this host if none is named, encrypted if this one is."""
        address = self.connection.address
        if endpoint.startswith(":"):
            return address.rpartition(":")[0] + endpoint
        _, is_encrypted = split_address(address)
        return f"{TLS_SCHEME}{split_address(endpoint)[0]}" if endpoint and is_encrypted else endpoint
