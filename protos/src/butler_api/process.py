# SPDX-License-Identifier: BSD-3-Clause
"""A service as a process: its settings, signing keys, logs, and its end by a signal.

Only the services import this module; they depend on pydantic-settings and structlog, the client does not.
"""

from __future__ import annotations

__all__ = [
    "ServiceSettings",
    "configure_logs",
    "one_line_errors",
    "operation_of",
    "read_signing_keys",
    "serve",
    "tracing_of",
]

import functools
import gc
import logging
import signal
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any, Literal, ParamSpec, Self

import grpc
import structlog
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from butler_model.api_token import API_TOKEN_START
from butler_model.errors import ButlerError, ConfigurationError
from butler_model.repository import Limits

from .authentication import AuthenticationInterceptor, Authenticator, CallCheck, TokenCheck
from .calls import CallLog, CallNotes, call_fields
from .metrics import ServiceMetrics
from .operation import Operation
from .readiness import Readiness
from .security import AuthenticationSettings, TlsSettings
from .server import DEFAULT_WORKERS, ServiceServer, Transport
from .tracing import ServerTracing, start_tracing, tracing_is_on

_LOGGER = logging.getLogger(__name__)
_Parameters = ParamSpec("_Parameters")

_LIMITS = Limits()
_LEAST_MESSAGE_BYTES = 4 * 2**20
"""What gRPC itself allows unless it is told; chunks fit into it, and pages of the default length."""
_COLLECT_AFTER = 20_000
"""New objects after which garbage cycles are searched for; by default 700, which is a third of a page of results."""
_LOOK_SECONDS = 0.5
_SWITCH_SECONDS = 0.0005
"""How long a thread may compute while others want to. By default 5 ms, for which a short call waits several times over
while another caller keeps a dozen threads busy."""


class ServiceSettings(BaseSettings):
    """What both services can be told, in a TOML file or, winning over it, in environment variables.

    Attributes
    ----------
    address
        ``host:port`` to listen on; port 0 takes a free one.
    signing_keys
        File of the keys that sign grants and receipts: one of at least 64 hexadecimal digits per line. The first
        signs, all verify. Registry and datastore service have the same file.
    workers
        Number of calls that are answered at the same time, by each process.
    processes
        Number of processes that answer calls at the address; see `butler_api.processes`. One uses about one processor.
    caller_calls
        Those of one caller; three quarters of ``workers`` if not given, and never more.
    calls_per_second, bytes_per_second
        How many calls one caller may make on average, and how many bytes of requests and responses it may move; 0 for
        any number. A caller is who was recognised, else a connection. Each process counts by itself.
    message_bytes
        Largest message in either direction; small artifacts of up to half of it travel together. Registry and
        datastore service have the same.
    grace_seconds
        How long calls under way may take to finish when the service is asked to stop.
    log_format
        ``text`` for people, ``json`` for collectors.
    log_calls
        Whether each call gets a line in the log when it has ended.
    health_address
        A second ``host:port`` where health is answered in plaintext, and nothing else; for probes that speak no TLS.
    metrics_port, metrics_host
        Where Prometheus may ask for figures, at ``/metrics``; port 0 takes a free one, and without a port nobody may.
        There is neither encryption nor any check of who asks, so it is this machine only unless a host is given.
    drain_seconds
        How long the service goes on taking calls when it is asked to stop, after it has told health checks that it no
        longer serves; as long as balancers need to notice. Then those under way have ``grace_seconds``.
    connection_age_seconds, connection_age_grace_seconds
        How old a connection becomes before its client is asked to make a new one, and how long calls on it may take
        then; 0 for any time. Without an age, replicas that are added get no calls of the clients that are connected.
    tls
        Certificates; without them the service speaks plaintext, on a loopback address only.
    machine_address
        A second ``host:port``, where clients show a certificate of ``tls.client_ca``; then others need none.
    allow_plaintext
        Whether other machines may reach a plaintext port, since something else encrypts.
    authentication
        Who may call; without it everybody who reaches the service.
    """

    model_config = SettingsConfigDict(extra="forbid")

    address: str
    signing_keys: Path
    workers: int = Field(DEFAULT_WORKERS, ge=1, le=1000)
    processes: int = Field(1, ge=1, le=64)
    caller_calls: int | None = Field(None, ge=1, le=1000)
    calls_per_second: int = Field(0, ge=0, le=1_000_000)
    bytes_per_second: int = Field(0, ge=0)
    message_bytes: int = Field(_LIMITS.message_bytes, ge=_LEAST_MESSAGE_BYTES, le=_LIMITS.message_bytes)
    grace_seconds: float = Field(20.0, ge=0)
    log_format: Literal["text", "json"] = "text"
    log_calls: bool = False
    health_address: str = ""
    metrics_port: int | None = Field(None, ge=0, le=65_535)
    metrics_host: str = "127.0.0.1"
    drain_seconds: float = Field(0.0, ge=0, le=600)
    connection_age_seconds: float = Field(0.0, ge=0)
    connection_age_grace_seconds: float = Field(0.0, ge=0)
    tls: TlsSettings | None = None
    machine_address: str = ""
    allow_plaintext: bool = False
    authentication: AuthenticationSettings | None = None

    @property
    def limits(self) -> Limits:
        """What is published of it."""
        share = max(self.workers * 3 // 4, 1)
        return Limits(
            calls=self.workers,
            caller_calls=min(self.caller_calls or share, share),
            calls_per_second=self.calls_per_second,
            bytes_per_second=self.bytes_per_second,
            message_bytes=self.message_bytes,
            batch_bytes=min(_LIMITS.batch_bytes, self.message_bytes // 2),
        )

    @property
    def transport(self) -> Transport:
        """How the server talks."""
        files = self.tls.files if self.tls else None
        return Transport(files, self.machine_address, self.allow_plaintext, self.processes > 1)

    def authenticating(
        self, api_tokens: TokenCheck | None = None, allow: CallCheck | None = None
    ) -> AuthenticationInterceptor | None:
        """Return what asks who calls; `None` if nobody is to be asked.

        Parameters
        ----------
        api_tokens
            What knows the tokens that a registry service made.
        allow
            What decides about each call.
        """
        settings = self.authentication
        if settings is None:
            return None
        checks: dict[str, TokenCheck] = {}
        if settings.api_tokens and api_tokens is not None:
            checks[API_TOKEN_START] = api_tokens
        if settings.issuers:
            checks[""] = settings.bearer_tokens()
        authenticator = Authenticator(
            checks, certificate_groups=settings.certificate_groups, anonymous=settings.anonymous
        )
        return AuthenticationInterceptor(authenticator, allow)

    @classmethod
    def load(cls, file: Path | None) -> Self:
        """Read the settings; `ConfigurationError` says which one is missing or wrong, and where it can be given."""
        try:
            return cls(**(_read_toml(file) if file else {}))
        except ValidationError as error:
            prefix = cls.model_config.get("env_prefix", "")
            faults = "; ".join(
                f"{'.'.join(map(str, each['loc']))}: {each['msg']}"
                for each in error.errors(include_url=False)
            )
            raise ConfigurationError(
                f"The settings are wrong: {faults}. Give them in {file or 'a file named with --config'}, or as "
                f"environment variables {prefix}ADDRESS and so on."
            ) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file."""
        return env_settings, init_settings


def read_signing_keys(file: Path) -> list[bytes]:
    """Return the keys of a file, the one that signs first.

    Raises
    ------
    ConfigurationError
        Raised if the file cannot be read, has no keys, or a line is not hexadecimal.
    """
    try:
        lines = file.read_text(encoding="ascii").split()
        keys = [bytes.fromhex(line) for line in lines]
    except OSError as error:
        raise ConfigurationError(
            f"The signing keys cannot be read from {str(file)!r} ({error.strerror}); make the file with: "
            f"python -c 'import secrets; print(secrets.token_hex(32))' > {file}",
            signing_keys=str(file),
        ) from None
    except ValueError:
        # What is in the file must not get into a log.
        raise ConfigurationError(
            f"{str(file)!r} holds something else than hexadecimal keys, one per line.", signing_keys=str(file)
        ) from None
    if not keys:
        raise ConfigurationError(f"{str(file)!r} holds no signing key.", signing_keys=str(file))
    return keys


def configure_logs(log_format: Literal["text", "json"]) -> None:
    """Write what is logged by anything in this process to standard error."""
    shared: list[Any] = [
        _add_call,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if log_format == "json":
        render += [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
    else:
        render.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()))
    handler = logging.StreamHandler()
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=render))
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    # How the tables of a new repository are made interests nobody who starts a service.
    logging.getLogger("alembic").setLevel(logging.WARNING)


def _add_call(_: object, __: str, line: dict[str, Any]) -> dict[str, Any]:
    """Add to a line of the log which call it belongs to, and which trace, if there is one."""
    for name, value in call_fields().items():
        line.setdefault(name, value)
    if tracing_is_on():
        span = sys.modules["opentelemetry.trace"].get_current_span().get_span_context()
        if span.is_valid:
            line.setdefault("trace_id", f"{span.trace_id:032x}")
    return line


def operation_of(
    settings: ServiceSettings, metrics: ServiceMetrics | None, readiness: Readiness | None = None
) -> Operation:
    """Return how a server is watched and taken out of service: what its settings ask for, and nothing else."""
    outer: list[grpc.ServerInterceptor] = [CallLog()] if settings.log_calls else []
    if tracing_is_on():
        outer.append(ServerTracing())
    if metrics is not None:
        outer.append(metrics.calls)
    return Operation(
        outer=tuple(outer),
        inner=(CallNotes(),),
        readiness=readiness,
        connection_age_seconds=settings.connection_age_seconds,
        connection_age_grace_seconds=settings.connection_age_grace_seconds,
        health_address=settings.health_address,
        watch_waiting=metrics.watch_waiting if metrics is not None else lambda waiting: None,
    )


@contextmanager
def tracing_of(service: str) -> Iterator[None]:
    """Trace meanwhile if the environment asks for it; see `butler_api.tracing`."""
    finish = start_tracing(service)
    try:
        yield
    finally:
        if finish is not None:
            finish()


def one_line_errors(command: Callable[_Parameters, None]) -> Callable[_Parameters, None]:
    """Make a command end with one line and exit code 1 where an error of the catalogue ends it."""

    @functools.wraps(command)
    def run(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except ButlerError as error:
            sys.exit(f"error: {error.message}")

    return run


def serve(
    server: ServiceServer,
    *,
    name: str,
    grace_seconds: float,
    announce: Callable[[str], None],
    drain_seconds: float = 0.0,
) -> None:
    """Answer calls until SIGTERM or SIGINT, then tell health checks, wait, and let those under way finish.

    A second signal ends the waiting.

    Parameters
    ----------
    announce
        Is given one line with the address as soon as the service answers.
    """
    # Not an event: a handler that sets it while this thread looks at it would wait for this thread for ever.
    signals: SimpleQueue[int] = SimpleQueue()

    def stop(number: int, _: FrameType | None) -> None:
        signals.put(number)

    # What was imported and opened stays: no search for garbage cycles needs to look at it.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)
    sys.setswitchinterval(_SWITCH_SECONDS)
    previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.start()
        announce(f"{name} listening on {server.address}")
        if server.machine_address:
            announce(f"{name} listening for machines on {server.machine_address}")
        _LOGGER.info("%s listening on %s", name, server.address)
        # Not one wait without an end: a signal that comes just before it is noticed by Python after it only.
        while not _comes(signals, _LOOK_SECONDS):
            pass
        _LOGGER.info(
            "%s is stopping after %g s; calls under way then have %g s to finish",
            name,
            drain_seconds,
            grace_seconds,
        )
        server.drain()
        _comes(signals, drain_seconds)
    finally:
        server.stop(grace_seconds)
        for number, handler in previous.items():
            signal.signal(number, handler)


def _comes(signals: SimpleQueue[int], seconds: float) -> bool:
    """Return whether a signal comes within some time."""
    try:
        signals.get(timeout=seconds)
    except Empty:
        return False
    return True


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"The settings cannot be read from {str(file)!r}: {error.strerror}."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{str(file)!r} is not TOML: {error}.") from None
