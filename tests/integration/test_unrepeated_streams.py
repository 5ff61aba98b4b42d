# SPDX-License-Identifier: BSD-3-Clause
"""What gRPC repeats of itself: calls with one request, never those in which the client sends a stream."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from butler_api.channel import Connection
from butler_api.v1 import datastore_service_pb2 as datastore_pb
from butler_api.v1 import transaction_service_pb2 as transaction_pb
from butler_api.v1.datastore_service_pb2_grpc import DatastoreServiceStub
from butler_api.v1.transaction_service_pb2_grpc import TransactionServiceStub
from butler_model.errors import ServiceUnavailableError


class Refusals(grpc.GenericRpcHandler):
    """Takes the first message of every call, and gives up the call; notes which calls came."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def service(self, handler_call_details: Any) -> grpc.RpcMethodHandler[Any, Any]:
        method = handler_call_details.method.rpartition("/")[2]

        def refuse(requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
            self.calls.append(method)
            next(iter(requests))
            context.abort(grpc.StatusCode.UNAVAILABLE, "Going away.")

        def refuse_one(request: bytes, context: grpc.ServicerContext) -> bytes:
            return refuse(iter([request]), context)

        make = grpc.stream_unary_rpc_method_handler
        return grpc.unary_unary_rpc_method_handler(refuse_one) if "Query" in method else make(refuse)


@pytest.fixture
def refusals() -> Iterator[tuple[Refusals, Connection]]:
    handler = Refusals()
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    connection = Connection(f"127.0.0.1:{port}", call_seconds=20)
    yield handler, connection
    connection.close()
    server.stop(0).wait()


def test_a_call_with_one_request_is_repeated(refusals: tuple[Refusals, Connection]) -> None:
    handler, connection = refusals
    with pytest.raises(ServiceUnavailableError):
        connection.call(connection.stub(DatastoreServiceStub).QueryWrite, datastore_pb.QueryWriteRequest())
    assert len(handler.calls) > 1


def test_an_upload_is_not_repeated_since_grpc_would_lose_messages(
    refusals: tuple[Refusals, Connection],
) -> None:
    handler, connection = refusals
    with pytest.raises(ServiceUnavailableError):
        connection.send(connection.stub(DatastoreServiceStub).Write, iter([datastore_pb.WriteRequest()] * 3))
    assert handler.calls == ["Write"]


def test_a_transaction_is_not_repeated_since_grpc_would_lose_messages(
    refusals: tuple[Refusals, Connection],
) -> None:
    handler, connection = refusals
    transact = connection.stub(TransactionServiceStub).Transact
    with pytest.raises(grpc.RpcError):
        list(transact(iter([transaction_pb.TransactRequest()] * 3), timeout=20))
    assert handler.calls == ["Transact"]
