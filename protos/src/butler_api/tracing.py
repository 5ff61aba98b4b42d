# SPDX-License-Identifier: BSD-3-Clause
"""Traces of calls by OpenTelemetry: one trace goes through client, registry service, datastore service and database.

Nothing of OpenTelemetry is imported unless tracing is on. A process that is configured by the usual variables
(``OTEL_EXPORTER_OTLP_ENDPOINT``, ``OTEL_TRACES_EXPORTER``, ...) is set up by `start_tracing`, which services and the
command call; a program that uses the client as a library sets up its own provider, and that is used.
"""

from __future__ import annotations

__all__ = [
    "ServerTracing",
    "carrying_trace",
    "start_tracing",
    "traced",
    "traced_channel",
    "tracing_is_on",
    "tracing_is_wanted",
]

import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, ParamSpec, TypeVar

import grpc

from butler_model.errors import ConfigurationError

from .handlers import Streaming, Unary, WrappedHandlers

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_NAME = "butler_api"
_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def tracing_is_wanted() -> bool:
    """Return whether the environment asks for traces, in the variables that OpenTelemetry defines."""
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "").strip()
    return exporter != "none" and bool(exporter or any(map(os.environ.get, _ENDPOINTS)))


def start_tracing(service: str) -> Callable[[], None] | None:
    """Set up tracing if the environment asks for it and nobody has; return what sends the last spans off.

    Parameters
    ----------
    service
        The name of the service in the traces, unless ``OTEL_SERVICE_NAME`` says another.

    Raises
    ------
    ConfigurationError
        Raised if traces are asked for and OpenTelemetry is not installed, or the exporter is not known.
    """
    if not tracing_is_wanted() or tracing_is_on():
        return None
    try:
        from opentelemetry import trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        exporter = _exporter()
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"The environment asks for traces (OTEL_...), but OpenTelemetry is not installed here ({error}); "
            "pip install 'butler-api[tracing]'."
        ) from error
    name = os.environ.get("OTEL_SERVICE_NAME") or service
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider.shutdown


def _exporter() -> Any:
    name = os.environ.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    if name == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter(out=sys.stderr, formatter=lambda span: span.to_json(indent=None) + "\n")
    if name == "otlp":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter()
    raise ConfigurationError(f"OTEL_TRACES_EXPORTER={name!r} is not known here; use otlp, console or none.")


def tracing_is_on() -> bool:
    """Return whether this process has a provider of tracers: one that it made, or one of `start_tracing`."""
    trace: Any = sys.modules.get("opentelemetry.trace")
    return trace is not None and not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def traced(name: str) -> Callable[[Callable[_Parameters, _Result]], Callable[_Parameters, _Result]]:
    """Make a span around a function that makes several calls, so that they are one trace.

    Where tracing is off that costs a fraction of a microsecond.
    """

    def decorate(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
        @functools.wraps(function)
        def run(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
            if not tracing_is_on():
                return function(*args, **kwargs)
            tracer = sys.modules["opentelemetry.trace"].get_tracer(_NAME)
            with tracer.start_as_current_span(name):
                return function(*args, **kwargs)

        return run

    return decorate


def carrying_trace(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Return a function for other threads, whose spans belong to the span of this one."""
    if not tracing_is_on():
        return function
    from opentelemetry import context

    here = context.get_current()

    def run(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        token = context.attach(here)
        try:
            return function(*args, **kwargs)
        finally:
            context.detach(token)

    return run


class ServerTracing(WrappedHandlers):
    """Makes a span of each call, a child of the caller's; the first of all interceptors."""

    def __init__(self) -> None:
        super().__init__()
        from opentelemetry import trace
        from opentelemetry.propagate import extract

        self._tracer = trace.get_tracer(_NAME)
        self._kind = trace.SpanKind.SERVER
        self._error = trace.StatusCode.ERROR
        self._extract = extract

    def wrap_unary(self, method: str, behaviour: Unary, *, requests: bool) -> Unary:
        """Make a span around a method with one response."""

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            with self._span(method, context) as span:
                try:
                    return behaviour(request, context)
                except BaseException:
                    self._note_failure(span, context)
                    raise

        return answer

    def wrap_stream(self, method: str, behaviour: Streaming, *, requests: bool) -> Streaming:
        """Make a span around a method with many responses."""

        def answer(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            with self._span(method, context) as span:
                try:
                    with closing(behaviour(request, context)) as responses:  # type: ignore[type-var] # a generator
                        yield from responses
                except BaseException:
                    self._note_failure(span, context)
                    raise

        return answer

    def _span(self, method: str, context: grpc.ServicerContext) -> Any:
        carrier = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        return self._tracer.start_as_current_span(
            method[1:],
            self._extract(carrier),
            self._kind,
            _attributes(method),
            # Errors are answers of the service; their status is noted, their traceback is in the log.
            record_exception=False,
            set_status_on_exception=False,
        )

    def _note_failure(self, span: Any, context: Any) -> None:
        code = context.code() or grpc.StatusCode.CANCELLED
        span.set_attribute("rpc.grpc.status_code", code.value[0])
        span.set_status(self._error, code.name)


def traced_channel(channel: grpc.Channel) -> grpc.Channel:
    """Return a channel whose calls are spans; the channel itself if tracing is off, which then costs nothing."""
    if not tracing_is_on():
        return channel
    return grpc.intercept_channel(channel, _ClientTracing())


class _ClientTracing(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Makes a span of each call, and sends its identity along; the span ends with the call."""

    def __init__(self) -> None:
        from opentelemetry import trace
        from opentelemetry.propagate import inject

        self._tracer = trace.get_tracer(_NAME)
        self._in_context = trace.set_span_in_context
        self._kind = trace.SpanKind.CLIENT
        self._error = trace.StatusCode.ERROR
        self._inject = inject

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return self._call(continuation, client_call_details, request)

    def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return self._call(continuation, client_call_details, request)

    def intercept_stream_unary(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        return self._call(continuation, client_call_details, request_iterator)

    def intercept_stream_stream(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        return self._call(continuation, client_call_details, request_iterator)

    def _call(self, continuation: Any, details: Any, request: Any) -> Any:
        method = details.method
        span = self._tracer.start_span(method[1:], None, self._kind, _attributes(method))
        carrier: dict[str, str] = {}
        self._inject(carrier, self._in_context(span))
        metadata = [*(details.metadata or ()), *carrier.items()]
        call = continuation(_Details(details, metadata), request)
        call.add_done_callback(lambda done: self._end(span, done))
        return call

    def _end(self, span: Any, call: Any) -> None:
        code = call.code()
        if code is not None and code is not grpc.StatusCode.OK:
            span.set_attribute("rpc.grpc.status_code", code.value[0])
            span.set_status(self._error, code.name)
        span.end()


class _Details(grpc.ClientCallDetails):
    """The details of a call, with other metadata."""

    def __init__(self, details: Any, metadata: list[tuple[str, str]]) -> None:
        self.method = details.method
        self.timeout = details.timeout
        self.metadata = tuple(metadata)
        self.credentials = details.credentials
        self.wait_for_ready = getattr(details, "wait_for_ready", None)
        self.compression = getattr(details, "compression", None)


def _attributes(method: str) -> dict[str, str]:
    service, _, name = method[1:].partition("/")
    return {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name}
