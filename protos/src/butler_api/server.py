# SPDX-License-Identifier: BSD-3-Clause
"""The server that both services run in: threads, health, reflection, channelz, limits, a graceful end."""

from __future__ import annotations

__all__ = ["ServiceServer", "Services", "Transport", "build_server"]

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
from grpc_channelz.v1 import channelz
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from butler_model.errors import ConfigurationError
from butler_model.repository import Limits

from .admission import Admission, Lane, StallWatch
from .authentication import AuthenticationInterceptor
from .errors import ErrorInterceptor
from .looking import LookInterceptor
from .operation import Operation
from .readiness import Readiness
from .shared_ports import port_in_use, split_address
from .tls import ServerCertificates, is_loopback, server_credentials
from .validation import ValidationInterceptor

Services: TypeAlias = Mapping[str, Callable[[grpc.Server], None]]
"""Full name of each service, and what adds its servicer to a server."""

DEFAULT_WORKERS = 16
MAX_WAITING = 1000
"""Calls that may wait for a worker; at a millisecond or two each, the last one waits for a second."""
MAX_STREAMS = 100
"""Calls that are open at once in one connection."""
_HEALTH_THREADS = 8
_LOOKING_THREADS = 4

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
    shares_ports
        Whether other processes listen at the same ports; see `butler_api.processes`.
    """

    certificates: ServerCertificates | None = None
    machine_address: str = ""
    allow_plaintext: bool = False
    shares_ports: bool = False


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
        health_server: grpc.Server | None,
        watch: StallWatch,
        pools: list[ThreadPoolExecutor],
        services: Services,
        readiness: Readiness | None,
    ) -> None:
        self.address = address
        self.machine_address = machine_address
        self._server = server
        self._health_server = health_server
        self._health = checks
        self._watch = watch
        self._pools = pools
        self._services = tuple(services)
        self._readiness = readiness

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
        self._watch.stop()
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
        Calls that may wait for a worker; further ones are refused with `OverloadedError`. So is what one caller
        has open beyond a share of three quarters; see `butler_api.admission`.
    limits
        What is published of it. How much one caller may have is a part of it.
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
    admission = Admission(workers, max_waiting, authentication.arrival if authentication else None, limits)
    # Health checks and refusals are answered while all workers are busy.
    health_lane = Lane("health", _HEALTH_THREADS, _HEALTH_THREADS // 2)
    looking = Lane("looking", _LOOKING_THREADS, _LOOKING_THREADS // 2)
    refusing = ThreadPoolExecutor(2, thread_name_prefix="refusing")
    look = LookInterceptor(health_lane, looking, admission.watch)
    server = grpc.server(
        admission.lane,
        interceptors=[
            look,
            *operation.outer,
            ErrorInterceptor(admission, refusing),
            *([] if authentication is None else [authentication]),
            *operation.inner,
            ValidationInterceptor(),
        ],
        options=[*_sharing(transport), *_options(limits), *operation.options],
    )
    operation.watch_waiting(lambda: admission.waiting)
    checks = _add_health(server, services, operation.readiness)
    for add in services.values():
        add(server)
    names = (*services, health.SERVICE_NAME, "grpc.channelz.v1.Channelz", reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    channelz.add_channelz_servicer(server)
    bound, machine = _listen(server, address, transport)
    pools = [admission.lane, health_lane, looking, refusing]
    health_server = _health_server(checks, operation.health_address, look, transport)
    return ServiceServer(
        server, bound, machine, checks, health_server, admission.watch, pools, services, operation.readiness
    )


def _sharing(transport: Transport) -> list[tuple[str, int]]:
    # If it were not said, any two services of one user could have the same port, and not know.
    return [("grpc.so_reuseport", int(transport.shares_ports))]


def _options(limits: Limits) -> list[tuple[str, int]]:
    """Return the arguments of the channel that every server has."""
    return [
        ("grpc.max_send_message_length", limits.message_bytes),
        ("grpc.max_receive_message_length", limits.message_bytes),
        # A client that vanished without a word is noticed while one of its calls is open.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # Clients ask every 30 s whether the connection lives; that is no abuse.
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        # Who connects has to say something soon; who has nothing to say is asked to come back.
        ("grpc.server_handshake_timeout_ms", 10_000),
        ("grpc.max_connection_idle_ms", 300_000),
        # Further calls of one connection wait in the client.
        ("grpc.max_concurrent_streams", MAX_STREAMS),
    ]


def _add_health(
    server: grpc.Server, services: Services, readiness: Readiness | None
) -> health.HealthServicer:
    class Checks(health.HealthServicer):  # type: ignore[misc]
        def Check(self, request: Any, context: grpc.ServicerContext) -> Any:
            if request.service in services and readiness is not None and readiness.is_stale:
                return health_pb2.HealthCheckResponse(status=_NOT_SERVING)
            return super().Check(request, context)

    # Whoever watches needs no thread between changes.
    checks = Checks(experimental_non_blocking=True)
    for name in services:
        checks.set(name, _SERVING if readiness is None else _NOT_SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    return checks


def _health_server(
    checks: health.HealthServicer, address: str, look: LookInterceptor, transport: Transport
) -> grpc.Server | None:
    """Return a server that answers nothing but health, by the threads that do so in the other one."""
    if not address:
        return None
    pool = ThreadPoolExecutor(1, thread_name_prefix="health")
    server = grpc.server(pool, interceptors=[look], options=_sharing(transport))
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
        _check_plaintext(address, transport)
        return _bind(address, server.add_insecure_port), ""
    everywhere = bool(certificates.client_ca) and not second
    credentials = server_credentials(certificates, require_client=everywhere)
    bound = _bind(address, lambda place: server.add_secure_port(place, credentials))
    if not second:
        return bound, ""
    mutual = server_credentials(certificates, require_client=True)
    return bound, _bind(second, lambda place: server.add_secure_port(place, mutual))


def _check_plaintext(address: str, transport: Transport) -> None:
    host, _ = split_address(address)
    if not transport.allow_plaintext and not is_loopback(host):
        raise ConfigurationError(
            f"{address} can be reached from other machines, and nothing there would be encrypted. Name a certificate "
            "and its key in tls, or listen on 127.0.0.1; if something else encrypts, say so by allow_plaintext = true.",
            address=address,
        )


def _bind(address: str, add: Callable[[str], int]) -> str:
    host, _ = split_address(address)
    try:
        bound = add(address)
    except RuntimeError:
        bound = 0
    if not bound:
        raise port_in_use(address)
    return f"{host}:{bound}"
