# SPDX-License-Identifier: BSD-3-Clause
"""The RPCs of `CollectionService`."""

from __future__ import annotations

__all__ = ["CollectionServicer"]

import grpc

from butler_api.convert.collections import (
    chain_edit_from_proto,
    collection_from_proto,
    collection_to_proto,
    collection_type_from_proto,
    summary_to_proto,
)
from butler_api.convert.values import uuid_from_proto
from butler_api.v1 import collection_service_pb2 as pb
from butler_api.v1.collection_service_pb2_grpc import CollectionServiceServicer

from .listing import page_of_names
from .opened import OpenedRepositories


class CollectionServicer(CollectionServiceServicer):
    """Collections."""

    def __init__(self, repositories: OpenedRepositories) -> None:
        self._repositories = repositories

    def RegisterCollection(
        self, request: pb.RegisterCollectionRequest, context: grpc.ServicerContext
    ) -> pb.RegisterCollectionResponse:
        opened = self._repositories.open(request.repository)
        registered = opened.registry.collections.register(
            collection_from_proto(request.collection),
            request_id=uuid_from_proto(request.request_id, "request_id"),
        )
        return pb.RegisterCollectionResponse(registered=registered, revision=opened.revision)

    def GetCollection(
        self, request: pb.GetCollectionRequest, context: grpc.ServicerContext
    ) -> pb.GetCollectionResponse:
        opened = self._repositories.open(request.repository)
        collection = opened.registry.collections.get(request.name)
        return pb.GetCollectionResponse(collection=collection_to_proto(collection), revision=opened.revision)

    def ListCollections(
        self, request: pb.ListCollectionsRequest, context: grpc.ServicerContext
    ) -> pb.ListCollectionsResponse:
        opened = self._repositories.open(request.repository)
        types = frozenset(map(collection_type_from_proto, request.types)) or None
        found = opened.registry.collections.find(request.patterns, types)
        page, next_token = page_of_names(found, request, opened.limits)
        return pb.ListCollectionsResponse(
            collections=map(collection_to_proto, page), next_page_token=next_token, revision=opened.revision
        )

    def RemoveCollection(
        self, request: pb.RemoveCollectionRequest, context: grpc.ServicerContext
    ) -> pb.RemoveCollectionResponse:
        opened = self._repositories.open(request.repository)
        request_id = uuid_from_proto(request.request_id, "request_id")
        opened.registry.collections.remove(
            request.name,
            request_id=request_id,
            unlink=tuple(request.unlink),
            unlink_all=request.unlink_all,
            validate_only=request.validate_only,
        )
        return pb.RemoveCollectionResponse(revision=opened.revision)

    def SetCollectionDoc(
        self, request: pb.SetCollectionDocRequest, context: grpc.ServicerContext
    ) -> pb.SetCollectionDocResponse:
        opened = self._repositories.open(request.repository)
        request_id = uuid_from_proto(request.request_id, "request_id")
        opened.registry.collections.set_doc(request.name, request.doc, request_id=request_id)
        return pb.SetCollectionDocResponse(revision=opened.revision)

    def EditChain(self, request: pb.EditChainRequest, context: grpc.ServicerContext) -> pb.EditChainResponse:
        opened = self._repositories.open(request.repository)
        collection = opened.registry.collections.edit_chain(
            request.name,
            chain_edit_from_proto(request.edit),
            request.children,
            request_id=uuid_from_proto(request.request_id, "request_id"),
            etag=request.etag,
        )
        return pb.EditChainResponse(collection=collection_to_proto(collection), revision=opened.revision)

    def ListParents(
        self, request: pb.ListParentsRequest, context: grpc.ServicerContext
    ) -> pb.ListParentsResponse:
        opened = self._repositories.open(request.repository)
        parents = opened.registry.collections.parents(request.name)
        return pb.ListParentsResponse(parents=parents, revision=opened.revision)

    def GetCollectionSummaries(
        self, request: pb.GetCollectionSummariesRequest, context: grpc.ServicerContext
    ) -> pb.GetCollectionSummariesResponse:
        opened = self._repositories.open(request.repository)
        summaries = opened.registry.collections.summaries(request.names)
        return pb.GetCollectionSummariesResponse(
            summaries=map(summary_to_proto, summaries), revision=opened.revision
        )
