# SPDX-License-Identifier: BSD-3-Clause
"""Services that go, and come back, while a client has nothing to ask."""

from __future__ import annotations

import time
from pathlib import Path

from grpc_health.v1 import health_pb2, health_pb2_grpc

from butler_api.channel import Connection
from butler_api.server import build_server
from tools.servers.services import new_keys, own_datastore

PAUSE_SECONDS = 6.0
STOP_SECONDS = 3.0


def test_a_service_that_was_away_is_reached_at_once() -> None:
    first = build_server({}, "127.0.0.1:0")
    first.start()
    connection = Connection(first.address)
    request = health_pb2.HealthCheckRequest()

    def ask() -> int:
        answer = connection.call(connection.stub(health_pb2_grpc.HealthStub).Check, request, seconds=10)
        return int(answer.status)

    assert ask() == health_pb2.HealthCheckResponse.SERVING
    first.stop(0)
    time.sleep(PAUSE_SECONDS)
    second = build_server({}, first.address)
    second.start()
    try:
        assert ask() == health_pb2.HealthCheckResponse.SERVING
    finally:
        connection.close()
        second.stop(0)


def test_a_service_does_not_wait_for_a_client_that_has_nothing_to_ask(tmp_path: Path) -> None:
    stores = {"main": {"root": f"{tmp_path}/{{repository}}"}}
    with own_datastore(stores, new_keys(tmp_path), tmp_path) as address:
        connection = Connection(address)
        stub = connection.stub(health_pb2_grpc.HealthStub)
        connection.call(stub.Check, health_pb2.HealthCheckRequest(), seconds=10)
        began = time.monotonic()
    assert time.monotonic() - began < STOP_SECONDS
    connection.close()
