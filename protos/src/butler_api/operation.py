# SPDX-License-Identifier: BSD-3-Clause
"""How a server is watched and taken out of service; one value, so that `build_server` has one parameter for it."""

from __future__ import annotations

__all__ = ["Operation"]

from collections.abc import Callable
from dataclasses import dataclass, field

import grpc

from .readiness import Readiness


@dataclass(frozen=True, slots=True)
class Operation:
    """What surrounds the calls of a server; by default nothing.

    Attributes
    ----------
    outer
        Interceptors around all others: they see bytes, and the status that the caller is told.
    inner
        Interceptors within all others: they see messages.
    readiness
        Tells whether the named services are serving; without it they always are.
    connection_age_seconds
        How old a connection becomes before its client is asked to make a new one, so that new replicas get their share;
        0 for any age. A tenth is added or taken at random.
    connection_age_grace_seconds
        How long calls on such a connection may still take; 0 for as long as they need.
    health_address
        A second ``host:port`` where nothing but health is answered, in plaintext, since the probes of Kubernetes speak
        no TLS; empty for none.
    watch_waiting
        Is given a function that tells how many calls wait for a worker.
    """

    outer: tuple[grpc.ServerInterceptor, ...] = ()
    inner: tuple[grpc.ServerInterceptor, ...] = ()
    readiness: Readiness | None = None
    connection_age_seconds: float = 0.0
    connection_age_grace_seconds: float = 0.0
    health_address: str = ""
    watch_waiting: Callable[[Callable[[], int]], None] = field(default=lambda waiting: None)

    @property
    def options(self) -> list[tuple[str, int]]:
        """Arguments of the channel for the ages."""
        ages = {
            "grpc.max_connection_age_ms": self.connection_age_seconds,
            "grpc.max_connection_age_grace_ms": self.connection_age_grace_seconds,
        }
        return [(name, round(seconds * 1000)) for name, seconds in ages.items() if seconds]
