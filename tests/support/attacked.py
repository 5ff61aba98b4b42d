# SPDX-License-Identifier: BSD-3-Clause
"""Two running services and a client that behaves."""

from __future__ import annotations

__all__ = ["Target"]

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import quantiles

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from butler import Butler
from tests.support.behaved import Behaved
from tests.support.registries import RegistrySetup

CALLS = int(os.environ.get("BUTLER_ATTACKED_CALLS", "100"))
"""Made before each attack, and during it. A p99 takes thousands: of 300 calls it is the third worst."""
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
        Milliseconds that each get of the client that behaves took right before, while nobody attacked.
    """

    registry: str
    datastore: str
    butler: Butler
    setup: RegistrySetup
    behaved: Behaved
    quiet: list[float] = field(default_factory=list)

    @contextmanager
    def channel(self, address: str) -> Iterator[grpc.Channel]:
        """Give a channel with a connection of its own."""
        with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            yield channel

    def times(self) -> list[float]:
        """Return how many milliseconds calls take that all have to be answered."""
        return self.behaved.times(CALLS)

    def check(self, attack: str) -> None:
        """See that the client is answered during an attack, and that both services say they serve."""
        found = self.times()
        for address in (self.registry, self.datastore):
            with self.channel(address) as channel:
                stub = health_pb2_grpc.HealthStub(channel)
                answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=_SECONDS, wait_for_ready=True)
                assert answer.status == health_pb2.HealthCheckResponse.SERVING
        slower = _percentile(found, 99) / _percentile(self.quiet, 99)
        _LOGGER.info(
            "%s: %s ms; quiet: %s ms; p99 x %.1f", attack, _figures(found), _figures(self.quiet), slower
        )


def _figures(times: list[float]) -> str:
    return f"p50 {_percentile(times, 50):.1f}, p99 {_percentile(times, 99):.1f}"


def _percentile(times: list[float], percent: int) -> float:
    return quantiles(times, n=100)[percent - 1]
