# SPDX-License-Identifier: BSD-3-Clause
"""The stream of a transaction as others may use it, and what becomes of it when the network breaks."""

from __future__ import annotations

import queue
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from google.rpc import status_pb2
from grpc_status import rpc_status

from butler import Butler
from butler_api.errors import error_from_status
from butler_api.v1 import collection_service_pb2, query_service_pb2
from butler_api.v1 import transaction_service_pb2 as pb
from butler_api.v1.transaction_service_pb2_grpc import TransactionServiceStub
from butler_model.errors import (
    ButlerError,
    InvalidRequestError,
    MissingCollectionError,
    RepositoryNotFoundError,
    TransactionError,
)
from tests.support.butlers import Deployment, deployment
from tests.support.proxy import Proxy, proxy_to
from tests.support.survey import insert_survey, register_types

REGISTER = "/butler_api.v1.CollectionService/RegisterCollection"
GET = "/butler_api.v1.CollectionService/GetCollection"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Deployment]:
    """Give a repository of services in this process."""
    with deployment("grpc-sqlite", tmp_path, None) as made:
        Butler.makeRepo(made.root)
        yield made


@pytest.fixture
def proxy(place: Deployment) -> Iterator[Proxy]:
    """Give a proxy to the registry."""
    with proxy_to(place.root.removeprefix("grpc://").removesuffix("/main")) as made:
        yield made


@dataclass
class Stream:
    """A transaction of a client that knows only the wire contract."""

    stub: TransactionServiceStub
    requests: queue.SimpleQueue[pb.TransactRequest | None] = field(default_factory=queue.SimpleQueue)

    def __post_init__(self) -> None:
        self.responses = self.stub.Transact(iter(self.requests.get, None), timeout=60)

    def send(self, **action: object) -> pb.TransactResponse:
        self.requests.put(pb.TransactRequest(number=7, **action))  # type: ignore[arg-type]
        return next(self.responses)

    def begin(self, repository: str = "main") -> pb.TransactResponse:
        begin = pb.BeginTransaction(repository=repository, transaction_id=uuid.uuid4().bytes)
        return self.send(begin=begin)

    def call(self, method: str, request: bytes) -> pb.TransactResponse:
        return self.send(call=pb.CallInTransaction(method=method, request=request))

    def register(self, name: str, repository: str = "main") -> pb.TransactResponse:
        request = collection_service_pb2.RegisterCollectionRequest(
            repository=repository,
            request_id=uuid.uuid4().bytes,
            collection={"name": name, "type": "COLLECTION_TYPE_RUN"},  # type: ignore[arg-type]
        )
        return self.call(REGISTER, request.SerializeToString())


@pytest.fixture
def stream(place: Deployment) -> Iterator[Stream]:
    with grpc.insecure_channel(place.root.removeprefix("grpc://").removesuffix("/main")) as channel:
        yield Stream(TransactionServiceStub(channel))


def error_of(response: pb.TransactResponse) -> ButlerError | None:
    return error_from_status(status_pb2.Status.FromString(response.status))


def error_of_call(error: grpc.RpcError) -> ButlerError | None:
    status = rpc_status.from_call(error)
    return None if status is None else error_from_status(status)


def runs(place: Deployment) -> set[str]:
    with Butler(place.root) as butler:
        return set(butler.registry.queryCollections())


def test_calls_of_a_transaction_are_the_messages_of_the_other_services(
    place: Deployment, stream: Stream
) -> None:
    assert stream.begin().number == 7
    assert not stream.register("one").status
    answer = stream.call(
        GET,
        collection_service_pb2.GetCollectionRequest(repository="main", name="one").SerializeToString(),
    )
    found = collection_service_pb2.GetCollectionResponse.FromString(answer.response)
    assert found.collection.name == "one"
    assert found.revision == answer.revision
    assert not stream.send(step=pb.TRANSACTION_STEP_COMMIT).status
    assert list(stream.responses) == []
    assert runs(place) == {"one"}


def test_a_call_that_fails_says_why_and_the_transaction_goes_on(place: Deployment, stream: Stream) -> None:
    stream.begin()
    stream.register("one")
    wrong = collection_service_pb2.GetCollectionRequest(repository="main", name="two").SerializeToString()
    assert isinstance(error_of(stream.call(GET, wrong)), MissingCollectionError)
    for response in (
        stream.call(GET, b"\xff\xff"),
        stream.call("/butler_api.v1.CollectionService/Nothing", b""),
        stream.call("/butler_api.v1.RepositoryService/GetRepository", b""),
        stream.call(
            "/butler_api.v1.QueryService/StreamQuery",
            query_service_pb2.StreamQueryRequest().SerializeToString(),
        ),
        stream.register("one", repository="other"),
        stream.send(),
        stream.begin(),
    ):
        assert isinstance(error_of(response), InvalidRequestError)
    stream.send(step=pb.TRANSACTION_STEP_COMMIT)
    assert runs(place) == {"one"}


def test_a_stream_begins_with_a_transaction_of_a_repository_that_is_there(stream: Stream) -> None:
    with pytest.raises(grpc.RpcError) as first:
        stream.send(step=pb.TRANSACTION_STEP_SAVEPOINT)
    assert isinstance(error_of_call(first.value), InvalidRequestError)
    other = Stream(stream.stub)
    with pytest.raises(grpc.RpcError) as second:
        other.begin("nowhere")
    assert isinstance(error_of_call(second.value), RepositoryNotFoundError)


@pytest.mark.parametrize("end", ["half-closed", "cancelled"])
def test_a_stream_that_ends_before_the_commit_is_rolled_back_at_once(
    place: Deployment, stream: Stream, end: str
) -> None:
    stream.begin()
    stream.register("one")
    if end == "cancelled":
        stream.responses.cancel()
    else:
        stream.requests.put(None)
    began = time.monotonic()
    # On SQLite it waits for the transaction.
    with Butler(place.root, run="two"):
        assert time.monotonic() - began < 5
    assert runs(place) == {"two"}


def test_a_connection_that_breaks_ends_the_transaction_and_the_next_one_succeeds(
    place: Deployment, proxy: Proxy
) -> None:
    with Butler(f"grpc://{proxy.address}/main", run="run1") as butler:
        insert_survey(butler)
        register_types(butler)

        def put_two() -> None:
            with butler.transaction():
                butler.put({}, "note", instrument="Cam1", detector=1)
                proxy.wait_until_quiet()
                # A transaction has a connection to itself.
                proxy.cut_after(1, newest=True)
                butler.put({}, "note", instrument="Cam1", detector=2)

        with pytest.raises(TransactionError, match="connection broke"):
            put_two()
        assert list(place.artifacts.rglob("*.json")) == []
        assert set(butler.registry.queryDatasets("note", collections="run1")) == set()
        with butler.transaction():
            butler.put({}, "note", instrument="Cam1", detector=1)
        assert len(set(butler.registry.queryDatasets("note", collections="run1"))) == 1


@pytest.mark.parametrize("size", [1, 20, 60, 100])
@pytest.mark.parametrize("up", [False, True], ids=["down", "up"])
def test_a_commit_whose_answer_is_lost_is_asked_about(
    place: Deployment, proxy: Proxy, size: int, up: bool
) -> None:
    with Butler(f"grpc://{proxy.address}/main", run="run1") as butler:
        insert_survey(butler)
        register_types(butler)
        committed = True
        try:
            with butler.transaction():
                butler.put({}, "note", instrument="Cam1", detector=1)
                proxy.wait_until_quiet()
                proxy.cut_after(size, up=up, newest=True)
        except TransactionError:
            committed = False
        assert len(set(butler.registry.queryDatasets("note", collections="run1"))) == committed
        assert len(list(place.artifacts.rglob("*.json"))) == committed
        assert butler.registry.queryDatasets("note", collections="run1").any() == committed
