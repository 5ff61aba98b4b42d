# SPDX-License-Identifier: BSD-3-Clause
"""Figures of a service, for Prometheus. Only the services import this module; the client has no such dependency."""

from __future__ import annotations

__all__ = ["CallMetrics", "ServiceMetrics", "scraped", "served_metrics"]

import logging
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import accumulate
from threading import Lock
from time import perf_counter
from typing import Any

import grpc
from prometheus_client import (
    CollectorRegistry,
    Gauge,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    start_http_server,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from butler_model.errors import ConfigurationError

from .handlers import Streaming, Unary, WrappedHandlers, short_name

_LOGGER = logging.getLogger(__name__)
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper ends of the classes of latency: from a cached look-up to the transfer of a large artifact."""


class ServiceMetrics:
    """The figures of one process; the names are documented in ``docs/operations.md``.

    Attributes
    ----------
    registry
        All figures; collectors of the service's own are registered there too.
    calls
        Those of the calls, and the interceptor that counts them.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.calls = CallMetrics()
        self.add(self.calls)

    def add(self, collector: Collector) -> None:
        """Have a collector asked at each scrape."""
        self.registry.register(collector)

    def watch_waiting(self, waiting: Callable[[], int]) -> None:
        """Show how many calls wait for a worker."""
        gauge = Gauge(
            "butler_calls_waiting", "Calls that wait for a worker thread now.", registry=self.registry
        )
        gauge.set_function(waiting)


class _Method:
    """The figures of one method; a lock is taken twice for each call, which is all that counting costs."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.begun = 0
        self.ended: Counter[str] = Counter()
        self.classes = [0] * (len(_SECONDS) + 1)
        self.seconds = 0.0
        self.received = 0
        self.sent = 0

    def begin(self) -> float:
        """Count a call that begins; return when that was."""
        with self.lock:
            self.begun += 1
        return perf_counter()

    def end(self, begun: float, code: str, received: int, sent: int) -> None:
        """Count a call that has ended."""
        seconds = perf_counter() - begun
        place = bisect_left(_SECONDS, seconds)
        with self.lock:
            self.ended[code] += 1
            self.classes[place] += 1
            self.seconds += seconds
            self.received += received
            self.sent += sent

    def moved(self, received: int, sent: int) -> None:
        """Count bytes of a call that goes on."""
        with self.lock:
            self.received += received
            self.sent += sent


class CallMetrics(WrappedHandlers, Collector):
    """Counts calls, their bytes and their time; within all interceptors that decide the code, so that it sees it.

    It counts by itself, and makes what Prometheus wants of it when it is asked: the counters of its library take a lock
    each, which costs three times as much.
    """

    def __init__(self) -> None:
        super().__init__()
        self._methods: dict[str, _Method] = {}

    def wrap_unary(self, method: str, behaviour: Unary, *, requests: bool) -> Unary:
        """Count around a method with one response."""
        figures = self._figures(method)

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            begun = figures.begin()
            received = sent = 0
            code = ""
            try:
                if requests:
                    request = _counted(figures, request)
                else:
                    received = len(request)
                response = behaviour(request, context)
                sent = len(response)
                code = "OK"
                return response
            finally:
                figures.end(begun, code or _told(context), received, sent)

        return answer

    def wrap_stream(self, method: str, behaviour: Streaming, *, requests: bool) -> Streaming:
        """Count around a method with many responses."""
        figures = self._figures(method)

        def answer(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            begun = figures.begin()
            code = ""
            try:
                if requests:
                    request = _counted(figures, request)
                else:
                    figures.moved(len(request), 0)
                with closing(behaviour(request, context)) as responses:  # type: ignore[type-var] # a generator
                    for response in responses:
                        figures.moved(0, len(response))
                        yield response
                code = "OK"
            except GeneratorExit:
                # The caller went away before the last response.
                code = "CANCELLED"
                raise
            finally:
                figures.end(begun, code or _told(context), 0, 0)

        return answer

    def collect(self) -> Iterable[Metric]:
        """Return the figures of all methods that were called."""
        calls = CounterMetricFamily(
            "butler_calls", "Calls that have ended, by status code.", labels=["method", "code"]
        )
        seconds = HistogramMetricFamily(
            "butler_call_seconds", "Time from the request to the last response.", labels=["method"]
        )
        received = CounterMetricFamily(
            "butler_received_bytes", "Bytes of requests, encoded.", labels=["method"]
        )
        sent = CounterMetricFamily("butler_sent_bytes", "Bytes of responses, encoded.", labels=["method"])
        in_flight = 0
        for method, figures in list(self._methods.items()):
            with figures.lock:
                ended, classes = dict(figures.ended), list(figures.classes)
                total, came, went = figures.seconds, figures.received, figures.sent
                in_flight += figures.begun - sum(ended.values())
            for code, count in ended.items():
                calls.add_metric([method, code], count)
            seconds.add_metric([method], _cumulative(classes), total)
            received.add_metric([method], came)
            sent.add_metric([method], went)
        flying = GaugeMetricFamily(
            "butler_calls_in_flight", "Calls that are being answered now.", value=in_flight
        )
        return [calls, seconds, received, sent, flying]

    def _figures(self, method: str) -> _Method:
        return self._methods.setdefault(short_name(method), _Method())


def _cumulative(classes: list[int]) -> list[tuple[str, float]]:
    ends = [*map(str, _SECONDS), "+Inf"]
    return list(zip(ends, accumulate(classes), strict=True))


def _told(context: Any) -> str:
    """Return the code that gRPC was told by whoever raised an exception."""
    code = context.code()
    return "UNKNOWN" if code is None else str(code.name)


def _counted(figures: _Method, requests: Iterator[bytes]) -> Iterator[bytes]:
    for each in requests:
        figures.moved(len(each), 0)
        yield each


@contextmanager
def served_metrics(registry: CollectorRegistry | None, host: str, port: int | None) -> Iterator[None]:
    """Answer scrapes at ``http://host:port/metrics`` meanwhile; do nothing without figures or port.

    Raises
    ------
    ConfigurationError
        Raised if the address cannot be bound.
    """
    if registry is None or port is None:
        yield
        return
    with scraped(registry, host, port) as bound:
        _LOGGER.info("metrics on http://%s:%d/metrics", host, bound)
        yield


@contextmanager
def scraped(registry: CollectorRegistry, host: str, port: int) -> Iterator[int]:
    """Answer scrapes meanwhile; give the port, which is chosen if 0 was asked for."""
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise ConfigurationError(
            f"Cannot listen on {host}:{port} for metrics ({error.strerror}); choose another metrics_port."
        ) from None
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
