# SPDX-License-Identifier: BSD-3-Clause
"""A service that comes back after a pause is reached by the first call, however long the pause was."""

from __future__ import annotations

import time

from grpc_health.v1 import health_pb2, health_pb2_grpc

from butler_api.channel import Connection
from butler_api.server import build_server

PAUSE_SECONDS = 6.0


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
