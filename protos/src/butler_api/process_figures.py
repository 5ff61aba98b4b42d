# SPDX-License-Identifier: BSD-3-Clause
"""The figures of several processes in one answer, each sample with the number of its process."""

from __future__ import annotations

__all__ = ["ProcessFigures"]

import logging
from collections import Counter
from collections.abc import Iterable
from http.client import HTTPConnection, HTTPException

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

_LOGGER = logging.getLogger(__name__)
_LOOPBACK = "127.0.0.1"
_SECONDS = 2.0


class ProcessFigures(Collector):
    """Asks the processes when it is asked; ``butler_processes`` tells how many answered.

    Attributes
    ----------
    ports
        Where each process shows its figures, by number; kept by whoever starts and ends them.
    restarts
        How often each was started again.
    registry
        Shows all this.
    """

    def __init__(self) -> None:
        self.ports: dict[int, int] = {}
        self.restarts: Counter[int] = Counter()
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """Name no figures in advance: the processes know them."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Ask each process, and put its number into the labels."""
        families: dict[str, Metric] = {}
        answered = 0
        for number, port in sorted(self.ports.copy().items()):
            try:
                text = _scrape(port)
            except (OSError, HTTPException) as error:
                _LOGGER.warning("process %d shows no figures: %r", number, error)
                continue
            answered += 1
            for found in text_string_to_metric_families(text):
                family = families.setdefault(found.name, Metric(found.name, found.documentation, found.type))
                for sample in found.samples:
                    family.add_sample(sample.name, {**sample.labels, "process": str(number)}, sample.value)
        alive = GaugeMetricFamily(
            "butler_processes", "Processes that serve at this address and answered now.", value=answered
        )
        restarts = CounterMetricFamily(
            "butler_process_restarts", "Processes that ended and were started again.", labels=["process"]
        )
        for number, count in sorted(self.restarts.copy().items()):
            restarts.add_metric([str(number)], count)
        return [alive, restarts, *families.values()]


def _scrape(port: int) -> str:
    # Not by what goes through proxies.
    connection = HTTPConnection(_LOOPBACK, port, timeout=_SECONDS)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    finally:
        connection.close()
