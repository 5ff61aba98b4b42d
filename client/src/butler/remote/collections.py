# SPDX-License-Identifier: BSD-3-Clause
"""Collections of a remote registry."""

from __future__ import annotations

__all__ = ["RemoteCollections"]

from collections.abc import Sequence
from uuid import UUID

from butler_api.convert.collections import (
    chain_edit_to_proto,
    collection_from_proto,
    collection_to_proto,
    collection_type_to_proto,
    summary_from_proto,
)
from butler_api.v1 import collection_service_pb2 as pb
from butler_api.v1.collection_service_pb2_grpc import CollectionServiceStub
from butler_model.collection import ChainEdit, Collection, CollectionSummary, CollectionType

from .session import RepositorySession


class RemoteCollections:
    """Implements `butler_model.ports.Collections`."""

    def __init__(self, session: RepositorySession) -> None:
        self._session = session

    def register(self, collection: Collection, *, request_id: UUID) -> bool:
        request = pb.RegisterCollectionRequest(
            repository=self._session.repository,
            request_id=request_id.bytes,
            collection=collection_to_proto(collection),
        )
        connection = self._session.connection
        response = connection.call(connection.stub(CollectionServiceStub).RegisterCollection, request)
        self._session.see(response.revision)
        return response.registered

    def get(self, name: str) -> Collection:
        request = pb.GetCollectionRequest(repository=self._session.repository, name=name)
        connection = self._session.connection
        response = connection.call(connection.stub(CollectionServiceStub).GetCollection, request)
        self._session.see(response.revision)
        return collection_from_proto(response.collection)

    def find(
        self, patterns: Sequence[str], types: frozenset[CollectionType] | None = None
    ) -> list[Collection]:
        if types is not None and not types:
            return []  # on the wire no types mean all
        request = pb.ListCollectionsRequest(
            repository=self._session.repository,
            patterns=patterns,
            types=map(collection_type_to_proto, types or ()),
        )
        connection = self._session.connection
        list_page = connection.stub(CollectionServiceStub).ListCollections
        found: list[Collection] = []
        while True:
            response = connection.call(list_page, request)
            found += map(collection_from_proto, response.collections)
            self._session.see(response.revision)
            if not response.next_page_token:
                return found
            request.page_token = response.next_page_token

    def remove(
        self,
        name: str,
        *,
        request_id: UUID,
        unlink: Sequence[str] = (),
        unlink_all: bool = False,
        validate_only: bool = False,
    ) -> None:
        request = pb.RemoveCollectionRequest(
            repository=self._session.repository,
            request_id=request_id.bytes,
            name=name,
            unlink=unlink,
            unlink_all=unlink_all,
            validate_only=validate_only,
        )
        connection = self._session.connection
        self._session.see(connection.call(self._stub.RemoveCollection, request).revision)

    def set_doc(self, name: str, doc: str, *, request_id: UUID) -> None:
        request = pb.SetCollectionDocRequest(
            repository=self._session.repository, request_id=request_id.bytes, name=name, doc=doc
        )
        connection = self._session.connection
        self._session.see(connection.call(self._stub.SetCollectionDoc, request).revision)

    def edit_chain(
        self, name: str, edit: ChainEdit, children: Sequence[str], *, request_id: UUID, etag: str = ""
    ) -> Collection:
        request = pb.EditChainRequest(
            repository=self._session.repository,
            request_id=request_id.bytes,
            name=name,
            edit=chain_edit_to_proto(edit),
            children=children,
            etag=etag,
        )
        response = self._session.connection.call(self._stub.EditChain, request)
        self._session.see(response.revision)
        return collection_from_proto(response.collection)

    def parents(self, name: str) -> list[str]:
        request = pb.ListParentsRequest(repository=self._session.repository, name=name)
        response = self._session.connection.call(self._stub.ListParents, request)
        self._session.see(response.revision)
        return list(response.parents)

    def summaries(self, names: Sequence[str]) -> list[CollectionSummary]:
        request = pb.GetCollectionSummariesRequest(repository=self._session.repository, names=names)
        response = self._session.connection.call(self._stub.GetCollectionSummaries, request)
        self._session.see(response.revision)
        return list(map(summary_from_proto, response.summaries))

    @property
    def _stub(self) -> CollectionServiceStub:
        return self._session.connection.stub(CollectionServiceStub)
