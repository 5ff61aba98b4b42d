# SPDX-License-Identifier: BSD-3-Clause
"""The RPCs of `DatastoreService`."""

from __future__ import annotations

__all__ = ["DatastoreServicer"]

from collections.abc import Iterator

import grpc

from butler_api.convert.artifacts import file_to_ingest_from_proto, receipt_to_proto, url_to_proto
from butler_api.convert.chunks import bytes_from_chunk, chunk_to_proto, fill_chunk
from butler_api.long_calls import LongCalls
from butler_api.v1 import datastore_service_pb2 as pb
from butler_api.v1.datastore_service_pb2_grpc import DatastoreServiceServicer
from butler_model.ports import Datastore
from butler_model.repository import Limits

from .upload import header_of, received_chunks

_UPLOADS = LongCalls("uploads", 32, wait_seconds=20.0)
_DOWNLOADS = LongCalls("downloads", 32, wait_seconds=20.0)
"""Each lasts as long as its client likes: slow ones of one caller must not keep others from anything else."""


class DatastoreServicer(DatastoreServiceServicer):
    """Artifacts in stores."""

    def __init__(self, datastore: Datastore, limits: Limits) -> None:
        self._datastore = datastore
        self._limits = limits

    def Write(self, requests: Iterator[pb.WriteRequest], context: grpc.ServicerContext) -> pb.WriteResponse:
        with _UPLOADS.place():
            header = header_of(requests)
            content = received_chunks(requests, self._limits.chunk_bytes, header.offset)
            receipt = self._datastore.write(header.grant, content, offset=header.offset)
            return pb.WriteResponse(receipt=receipt_to_proto(receipt))

    def QueryWrite(
        self, request: pb.QueryWriteRequest, context: grpc.ServicerContext
    ) -> pb.QueryWriteResponse:
        return pb.QueryWriteResponse(persisted_size=self._datastore.query_write(request.grant))

    def WriteBatch(
        self, request: pb.WriteBatchRequest, context: grpc.ServicerContext
    ) -> pb.WriteBatchResponse:
        items = [
            (item.grant, bytes_from_chunk(item.chunk, f"of item {i}")) for i, item in enumerate(request.items)
        ]
        return pb.WriteBatchResponse(receipts=map(receipt_to_proto, self._datastore.write_batch(items)))

    def Read(self, request: pb.ReadRequest, context: grpc.ServicerContext) -> Iterator[pb.ReadResponse]:
        limit = request.limit or None
        with _DOWNLOADS.place():
            pieces = self._datastore.read(request.grant, request.offset, limit, continued=request.continued)
            for piece in pieces:
                response = pb.ReadResponse()
                fill_chunk(response.chunk, piece)
                yield response

    # How grpc is told where to run a method.
    Write.experimental_thread_pool = _UPLOADS.threads  # type: ignore[attr-defined]
    Read.experimental_thread_pool = _DOWNLOADS.threads  # type: ignore[attr-defined]

    def ReadBatch(self, request: pb.ReadBatchRequest, context: grpc.ServicerContext) -> pb.ReadBatchResponse:
        return pb.ReadBatchResponse(chunks=map(chunk_to_proto, self._datastore.read_batch(request.grants)))

    def Exists(self, request: pb.ExistsRequest, context: grpc.ServicerContext) -> pb.ExistsResponse:
        return pb.ExistsResponse(exists=self._datastore.exists(request.grants))

    def Discard(self, request: pb.DiscardRequest, context: grpc.ServicerContext) -> pb.DiscardResponse:
        self._datastore.discard(request.grants)
        return pb.DiscardResponse()

    def GetIngestRoots(
        self, request: pb.GetIngestRootsRequest, context: grpc.ServicerContext
    ) -> pb.GetIngestRootsResponse:
        return pb.GetIngestRootsResponse(
            roots=self._datastore.ingest_roots(), store_roots=self._datastore.store_roots()
        )

    def Adopt(self, request: pb.AdoptRequest, context: grpc.ServicerContext) -> pb.AdoptResponse:
        return pb.AdoptResponse(receipts=map(receipt_to_proto, self._datastore.adopt(request.grants)))

    def Ingest(self, request: pb.IngestRequest, context: grpc.ServicerContext) -> pb.IngestResponse:
        files = [file_to_ingest_from_proto(file) for file in request.files]
        return pb.IngestResponse(receipts=map(receipt_to_proto, self._datastore.ingest(files)))

    def FinishMoves(
        self, request: pb.FinishMovesRequest, context: grpc.ServicerContext
    ) -> pb.FinishMovesResponse:
        self._datastore.finish_moves([(file.read_grant, file.source) for file in request.files])
        return pb.FinishMovesResponse()

    def SignUrls(self, request: pb.SignUrlsRequest, context: grpc.ServicerContext) -> pb.SignUrlsResponse:
        urls = self._datastore.direct_access.sign_urls(request.grants, request.sizes, request.checksums)
        return pb.SignUrlsResponse(urls=map(url_to_proto, urls))

    def FinishWrites(
        self, request: pb.FinishWritesRequest, context: grpc.ServicerContext
    ) -> pb.FinishWritesResponse:
        receipts = self._datastore.direct_access.finish_writes(request.grants)
        return pb.FinishWritesResponse(receipts=map(receipt_to_proto, receipts))
