# SPDX-License-Identifier: BSD-3-Clause
"""The ways to stores that a datastore service knows."""

from __future__ import annotations

__all__ = ["RemoteDirectAccess"]

from collections.abc import Sequence

from butler_api.channel import Connection
from butler_api.convert.artifacts import receipt_from_proto, url_from_proto
from butler_api.v1 import datastore_service_pb2 as pb
from butler_api.v1.datastore_service_pb2_grpc import DatastoreServiceStub
from butler_model.artifact import ArtifactUrl, SignedReceipt


class RemoteDirectAccess:
    """Implements `butler_model.ports.DirectAccess`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def sign_urls(
        self, grants: Sequence[bytes], sizes: Sequence[int] = (), checksums: Sequence[str] = ()
    ) -> list[ArtifactUrl]:
        request = pb.SignUrlsRequest(grants=grants, sizes=sizes, checksums=checksums)
        response = self._connection.call(self._connection.stub(DatastoreServiceStub).SignUrls, request)
        return [url_from_proto(url) for url in response.urls]

    def finish_writes(self, grants: Sequence[bytes]) -> list[SignedReceipt]:
        request = pb.FinishWritesRequest(grants=grants)
        # Stores that know no checksums read what was uploaded.
        method = self._connection.stub(DatastoreServiceStub).FinishWrites
        response = self._connection.call(method, request, seconds=self._connection.stream_seconds)
        return [receipt_from_proto(receipt) for receipt in response.receipts]
