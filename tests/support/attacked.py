# SPDX-License-Identifier: BSD-3-Clause
"""Two running services and a client that behaves."""

from __future__ import annotations

__all__ = ["Target"]

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import quantiles

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from butler import Butler
from tests.support.registries import RegistrySetup

CALLS = 200
_SECONDS = 60.0
_LOGGER = logging.getLogger(__name__)


@dataclass(slots=True)
class Target:
    """Two running services.

    Attributes
    ----------
    registry, datastore
        Their addresses, ``host:port``.
    quiet
        Milliseconds that calls of the client that behaves take while nobody attacks.
    """

    registry: str
    datastore: str
    butler: Butler
    setup: RegistrySetup
    quiet: list[float] = field(default_factory=list)

    @contextmanager
    def channel(self, address: str) -> Iterator[grpc.Channel]:
        """Give a channel with a connection of its own."""
        with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            yield channel

    def times(self) -> list[float]:
        """Return how many milliseconds calls take that all have to be answered."""
        found = []
        for _ in range(CALLS):
            begun = time.perf_counter()
            assert self.butler.registry.getCollectionType("run1")
            found.append((time.perf_counter() - begun) * 1000)
        return found

    def check(self, attack: str) -> None:
        """See that the client is answered during an attack, and that both services say they serve."""
        found = self.times()
        for address in (self.registry, self.datastore):
            with self.channel(address) as channel:
                stub = health_pb2_grpc.HealthStub(channel)
                answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=_SECONDS, wait_for_ready=True)
                assert answer.status == health_pb2.HealthCheckResponse.SERVING
        _LOGGER.info("%s: %s ms; quiet: %s ms", attack, _figures(found), _figures(self.quiet))


def _figures(times: list[float]) -> str:
    cuts = quantiles(times, n=100)
    return f"p50 {cuts[49]:.1f}, p99 {cuts[98]:.1f}"
