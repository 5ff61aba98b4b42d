# SPDX-License-Identifier: BSD-3-Clause
"""Asks a service for its health: ``python -m butler_api.probe butler_api.v1.RepositoryService``.

The health checks of containers run it beside the service, with the same environment. It exits with 0 if the service is
serving, and with 1, and a word why, if not.
"""

from __future__ import annotations

__all__ = ["ask", "main"]

import os
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

_SECONDS = 4.0
_VARIABLES = (
    "BUTLER_REGISTRY_HEALTH_ADDRESS",
    "BUTLER_DATASTORE_HEALTH_ADDRESS",
    "BUTLER_REGISTRY_ADDRESS",
    "BUTLER_DATASTORE_ADDRESS",
)
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}


def ask(address: str, service: str) -> str:
    """Return the health of a service as the protocol names it, or the code with which the call failed."""
    with grpc.insecure_channel(address) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service=service), timeout=_SECONDS
            )
        except grpc.RpcError as error:
            return str(error.code().name)
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def main(arguments: list[str]) -> int:
    """Ask, at an address that is given or that the environment gives the service; return the exit code."""
    service, *given = arguments
    found = given or [value for value in map(os.environ.get, _VARIABLES) if value]
    if not found:
        sys.stderr.write(f"no address: give it, or set {_VARIABLES[0]}\n")
        return 1
    host, _, port = found[0].rpartition(":")
    health = ask(f"{_EVERYWHERE.get(host, host)}:{port}", service)
    if health != "SERVING":
        sys.stderr.write(f"{service} at {found[0]}: {health}\n")
    return int(health != "SERVING")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
