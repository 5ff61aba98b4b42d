# SPDX-License-Identifier: BSD-3-Clause
"""Whatever somebody does to the services, who behaves is answered, and the services serve.

How long that took is logged (``make attacks``), and not compared: it says little on a machine that is busy.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any

import grpc
import pytest

from butler import Butler
from butler_api.v1 import datastore_service_pb2, event_service_pb2, repository_service_pb2
from butler_api.v1.datastore_service_pb2_grpc import DatastoreServiceStub
from butler_api.v1.event_service_pb2_grpc import EventServiceStub
from butler_api.v1.repository_service_pb2_grpc import RepositoryServiceStub
from tests.support.attacked import Target

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
EMPTY_SETTINGS = bytes(3) + b"\x04" + bytes(5)
READ = "/butler_api.v1.RepositoryService/GetRepository"
HEALTH = "/grpc.health.v1.Health/Check"
MEBIBYTE = 2**20

pytestmark = pytest.mark.timeout(300)


def connected(stack: ExitStack, address: str, number: int, says: bytes) -> None:
    """Open connections that say something and then nothing."""
    host, _, port = address.rpartition(":")
    for _ in range(number):
        connection = stack.enter_context(closing(socket.create_connection((host, int(port)), timeout=10)))
        connection.sendall(says)


def silent_calls(
    stack: ExitStack, target: Target, address: str, method: str, number: int, each: int = 50
) -> None:
    """Begin calls that never bring their request, so many in each connection."""
    silence = threading.Event()
    stack.callback(silence.set)

    def nothing() -> Iterator[bytes]:
        silence.wait(120)
        yield from ()

    for _ in range(number // each):
        channel = stack.enter_context(target.channel(address))
        begin: Any = channel.stream_unary(method)
        for _ in range(each):
            stack.callback(begin.future(nothing(), timeout=120).cancel)


def test_of_500_idle_connections(target: Target) -> None:
    with ExitStack() as stack:
        connected(stack, target.registry, 250, PREFACE + EMPTY_SETTINGS)
        connected(stack, target.datastore, 250, PREFACE + EMPTY_SETTINGS)
        target.check("500 idle connections")


def test_of_200_connections_that_never_finish_their_preface(target: Target) -> None:
    with ExitStack() as stack:
        connected(stack, target.registry, 100, PREFACE[:9])
        connected(stack, target.datastore, 100, PREFACE[:9])
        target.check("200 half-open prefaces")


def test_of_200_calls_that_never_bring_their_request(target: Target) -> None:
    with ExitStack() as stack:
        silent_calls(stack, target, target.registry, READ, 200)
        target.check("200 calls without a request")


def test_of_100_health_checks_that_never_bring_their_request(target: Target) -> None:
    with ExitStack() as stack:
        silent_calls(stack, target, target.registry, HEALTH, 100)
        target.check("100 health checks without a request")


def test_of_100_uploads_that_send_nothing(target: Target) -> None:
    with ExitStack() as stack:
        silent_calls(stack, target, target.datastore, "/butler_api.v1.DatastoreService/Write", 100, each=10)
        target.check("100 uploads that send nothing")
        target.butler.registry.registerRun("silent")
        target.butler.put({"a": 1}, "note", instrument="Cam1", detector=1, run="silent")
        assert target.butler.get("note", instrument="Cam1", detector=1, collections="silent") == {"a": 1}


def test_of_100_uploads_of_a_byte_at_a_time(target: Target) -> None:
    for number in range(10):
        target.butler.registry.registerRun(f"slow{number}")
    intents = [
        intent
        for number in range(10)
        for intent in target.setup.begin(
            "note", f"slow{number}", [{"instrument": "Cam1", "detector": each} for each in (1, 2, 3, 4)]
        )
    ]
    grants = [grant.token for intent in intents for grant in intent.grants]
    done = threading.Event()

    def trickle(grant: bytes) -> Iterator[datastore_service_pb2.WriteRequest]:
        yield datastore_service_pb2.WriteRequest(header=datastore_service_pb2.WriteHeader(grant=grant))
        while not done.wait(10):
            yield datastore_service_pb2.WriteRequest(chunk=datastore_service_pb2.Chunk(content=b"x"))

    with ExitStack() as stack:
        for number in range(100):
            if number % 10 == 0:
                channel = stack.enter_context(target.channel(target.datastore))
            call = DatastoreServiceStub(channel).Write.future(
                trickle(grants[number % len(grants)]), timeout=120
            )
            stack.callback(call.cancel)
        stack.callback(done.set)
        target.check("100 uploads of a byte in ten seconds")
        target.butler.registry.registerRun("fast")
        target.butler.put({"a": 1}, "note", instrument="Cam1", detector=1, run="fast")
        assert target.butler.get("note", instrument="Cam1", detector=1, collections="fast") == {"a": 1}


def test_of_2000_calls_that_are_reset_at_once(target: Target) -> None:
    with target.channel(target.registry) as channel:
        stub = RepositoryServiceStub(channel)
        for _ in range(2000):
            stub.GetRepository.future(repository_service_pb2.GetRepositoryRequest(repository="main")).cancel()
        target.check("2,000 rapid resets")


def test_of_messages_of_64_mebibytes(target: Target) -> None:
    options = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    for address, method in (
        (target.registry, READ),
        (target.datastore, "/butler_api.v1.DatastoreService/Write"),
    ):
        with grpc.insecure_channel(address, options) as channel:
            call: Any = channel.stream_unary(method)
            for _ in range(3):
                with pytest.raises(grpc.RpcError) as caught:
                    call(iter([bytes(64 * MEBIBYTE)]), timeout=120)
                assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]
    target.check("messages of 64 MiB")


def test_of_1000_streams_in_one_connection(target: Target) -> None:
    with ExitStack() as stack:
        channel = stack.enter_context(target.channel(target.registry))
        stub = EventServiceStub(channel)
        for _ in range(1000):
            call = stub.WatchDatasets(event_service_pb2.WatchDatasetsRequest(repository="main"), timeout=120)
            stack.callback(call.cancel)
        target.check("1,000 streams in one connection")


def test_of_clients_that_never_read(target: Target) -> None:
    target.butler.registry.registerRun("large")
    target.butler.put(bytes(32 * MEBIBYTE), "blob", instrument="Cam1", detector=1, run="large")
    found = target.setup.find("blob", {"instrument": "Cam1", "detector": 1}, "large", want_artifacts=True)
    assert found is not None
    grant = found.artifacts[0].grant
    with ExitStack() as stack:
        for _ in range(4):
            channel = stack.enter_context(target.channel(target.datastore))
            for _ in range(15):
                call = DatastoreServiceStub(channel).Read(
                    datastore_service_pb2.ReadRequest(grant=grant), timeout=120
                )
                stack.callback(call.cancel)
        target.check("60 reads of 32 MiB that are not taken")
        target.butler.put({"a": 1}, "note", instrument="Cam1", detector=2, run="large")
        assert target.butler.get("note", instrument="Cam1", detector=2, collections="large") == {"a": 1}


def test_of_200_clients_that_put_at_once(target: Target) -> None:
    def put(number: int) -> None:
        butler = Butler(butler=target.butler, run=f"crowd{number % 50}")
        butler.put({"number": number}, "note", instrument="Cam1", detector=number // 50 + 1)

    for number in range(50):
        target.butler.registry.registerRun(f"crowd{number}")
    with ThreadPoolExecutor(200) as pool:
        puts = [pool.submit(put, number) for number in range(200)]
        target.check("200 clients that put at once")
        for each in puts:
            each.result()
