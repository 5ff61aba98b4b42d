# SPDX-License-Identifier: BSD-3-Clause
"""The server that both services run in: threads, health, reflection, channelz, limits, a graceful end."""

from __future__ import annotations

__all__ = ["ServiceServer", "Services", "Transport", "build_server"]

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
from grpc_channelz.v1 import channelz
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from butler_model.errors import ConfigurationError
from butler_model.repository import Limits

from .authentication import AuthenticationInterceptor
from .errors import ErrorInterceptor
from .operation import Operation
from .readiness import Readiness
from .tls import ServerCertificates, is_loopback, server_credentials

Services: TypeAlias = Mapping[str, Callable[[grpc.Server], None]]
"""Full name of each service, and what adds its servicer to a server."""

DEFAULT_WORKERS = 16
MAX_WAITING = 1000
"""Calls that may wait for a worker; at a millisecond or two each, the last one waits for a second."""

_DEFAULT_LIMITS = Limits()
_UNWATCHED = Operation()
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_SERVING = health_pb2.HealthCheckResponse.SERVING


@dataclass(frozen=True, slots=True)
class Transport:
    """How a server talks.

    Attributes
    ----------
    certificates
        Those of the service; `None` for a plaintext port, which only this machine can reach.
    machine_address
        A second ``host:port``, where clients have to show a certificate and those of the first address need not.
    allow_plaintext
        Whether a plaintext port may be reached from other machines: what encrypts then has to be in between.
    """

    certificates: ServerCertificates | None = None
    machine_address: str = ""
    allow_plaintext: bool = False


_PLAIN_TRANSPORT = Transport()


class ServiceServer:
    """A server with an address; made by `build_server`.

    Attributes
    ----------
    address
        ``host:port`` that it is bound to, with the port that was chosen if none was asked for.
    machine_address
        The same of the second address; empty if there is none.
    """

    def __init__(
        self,
        server: grpc.Server,
        address: str,
        machine_address: str,
        checks: health.HealthServicer,
        pools: list[ThreadPoolExecutor],
        services: Services,
        operation: Operation,
    ) -> None:
        self.address = address
        self.machine_address = machine_address
        self._server = server
        self._health_server = _health_server(checks, operation.health_address)
        self._health = checks
        self._pools = pools
        self._services = tuple(services)
        self._readiness = operation.readiness

    def start(self) -> None:
        """Begin to answer."""
        if self._readiness is not None:
            self._readiness.start(self._tell)
        if self._health_server is not None:
            self._health_server.start()
        self._server.start()

    def drain(self) -> None:
        """Say that no new calls should come, and go on answering those that do."""
        if self._readiness is not None:
            self._readiness.stop()
        self._health.enter_graceful_shutdown()

    def stop(self, grace: float) -> None:
        """Refuse new calls, give those under way ``grace`` seconds to finish, and return when they have."""
        self.drain()
        self._server.stop(grace).wait()
        if self._health_server is not None:
            self._health_server.stop(None).wait()
        for pool in self._pools:
            pool.shutdown(wait=False)

    def _tell(self, ready: bool) -> None:
        for name in self._services:
            self._health.set(name, _SERVING if ready else _NOT_SERVING)


def build_server(
    services: Services,
    address: str,
    *,
    workers: int = DEFAULT_WORKERS,
    max_waiting: int = MAX_WAITING,
    limits: Limits = _DEFAULT_LIMITS,
    transport: Transport = _PLAIN_TRANSPORT,
    authentication: AuthenticationInterceptor | None = None,
    operation: Operation = _UNWATCHED,
) -> ServiceServer:
    """Make a server and bind it.

    Parameters
    ----------
    address
        ``host:port``; port 0 takes a free one.
    workers
        Number of calls that are answered at the same time.
    max_waiting
        Calls that may wait for a worker; further ones are refused with `OverloadedError`.
    transport
        How it talks.
    authentication
        Asks who calls; `None` to ask nobody.
    operation
        How it is watched and taken out of service.

    Raises
    ------
    ConfigurationError
        Raised if the address cannot be bound, for example because the port is in use, if a certificate cannot be read,
        or if others could reach a plaintext port.
    """
    pool = _Workers(workers)
    # Health checks and refusals are answered while all workers are busy.
    aside = ThreadPoolExecutor(2, thread_name_prefix="aside")
    server = grpc.server(
        pool,
        interceptors=[
            *operation.outer,
            ErrorInterceptor(lambda: pool.waiting >= max_waiting, aside),
            *([] if authentication is None else [authentication]),
            *operation.inner,
        ],
        options=[
            ("grpc.so_reuseport", 0),
            ("grpc.max_send_message_length", limits.message_bytes),
            ("grpc.max_receive_message_length", limits.message_bytes),
            # A client that vanished without a word is noticed while one of its calls is open.
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            # Clients ask every 30 s whether the connection lives; that is no abuse.
            ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            *operation.options,
        ],
    )
    operation.watch_waiting(lambda: pool.waiting)
    checks = _add_health(server, services, aside, operation.readiness)
    for add in services.values():
        add(server)
    names = (*services, health.SERVICE_NAME, "grpc.channelz.v1.Channelz", reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    channelz.add_channelz_servicer(server)
    bound, machine = _listen(server, address, transport)
    return ServiceServer(server, bound, machine, checks, [pool, aside], services, operation)


class _Workers(ThreadPoolExecutor):
    """A pool of threads that knows how many calls wait for one of them."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers, thread_name_prefix="worker")
        self._count_lock = threading.Lock()
        self.waiting = 0

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a call in a thread."""
        self._count(1)
        return super().submit(self._run, call, *args, **kwargs)

    def _run(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        self._count(-1)
        return call(*args, **kwargs)

    def _count(self, change: int) -> None:
        with self._count_lock:
            self.waiting += change


def _add_health(
    server: grpc.Server, services: Services, aside: ThreadPoolExecutor, readiness: Readiness | None
) -> health.HealthServicer:
    # grpc finds the pool of a method as an attribute of its function: each server needs functions of its own.
    class Checks(health.HealthServicer):  # type: ignore[misc]
        def Check(self, request: Any, context: grpc.ServicerContext) -> Any:
            if request.service in services and readiness is not None and readiness.is_stale:
                return health_pb2.HealthCheckResponse(status=_NOT_SERVING)
            return super().Check(request, context)

        def Watch(
            self, request: Any, context: grpc.ServicerContext, send_response_callback: Any = None
        ) -> Any:
            return super().Watch(request, context, send_response_callback)

    checks = Checks(experimental_non_blocking=True, experimental_thread_pool=aside)
    Checks.Check.experimental_thread_pool = aside  # type: ignore[attr-defined]
    for name in services:
        checks.set(name, _SERVING if readiness is None else _NOT_SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    return checks


def _health_server(checks: health.HealthServicer, address: str) -> grpc.Server | None:
    """Return a server that answers nothing but health, by the threads that do so in the other one."""
    if not address:
        return None
    server = grpc.server(ThreadPoolExecutor(1, thread_name_prefix="health"))
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    _bind(address, server.add_insecure_port)
    return server


def _listen(server: grpc.Server, address: str, transport: Transport) -> tuple[str, str]:
    """Bind the addresses, and return them with the ports that were chosen."""
    certificates, second = transport.certificates, transport.machine_address
    if certificates is None:
        if second:
            raise ConfigurationError(
                "machine_address: machines are known by certificates, so tls is needed, too."
            )
        return _bind(address, lambda place: _add_plaintext(server, place, transport)), ""
    everywhere = bool(certificates.client_ca) and not second
    credentials = server_credentials(certificates, require_client=everywhere)
    bound = _bind(address, lambda place: server.add_secure_port(place, credentials))
    if not second:
        return bound, ""
    mutual = server_credentials(certificates, require_client=True)
    return bound, _bind(second, lambda place: server.add_secure_port(place, mutual))


def _add_plaintext(server: grpc.Server, address: str, transport: Transport) -> int:
    if not transport.allow_plaintext and not is_loopback(address.rpartition(":")[0]):
        raise ConfigurationError(
            f"{address} can be reached from other machines, and nothing there would be encrypted. Name a certificate "
            "and its key in tls, or listen on 127.0.0.1; if something else encrypts, say so by allow_plaintext = true.",
            address=address,
        )
    return server.add_insecure_port(address)


def _bind(address: str, add: Callable[[str], int]) -> str:
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise ConfigurationError(f"{address!r} is no address to listen on; give HOST:PORT.", address=address)
    try:
        bound = add(address)
    except RuntimeError:
        bound = 0
    if not bound:
        raise ConfigurationError(
            f"Cannot listen on {address}: the port is in use, or the host is not this machine; choose another.",
            address=address,
        )
    return f"{host}:{bound}"
