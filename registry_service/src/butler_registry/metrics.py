# SPDX-License-Identifier: BSD-3-Clause
"""The registry's figures beside those of its calls: database connections, and what waits in each repository."""

from __future__ import annotations

__all__ = ["PoolCollector", "RepositoryCollector"]

import logging
import threading
import time
from collections.abc import Iterable, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from butler_model.errors import ButlerError

from .application import RegistryApplication
from .storage.backlog import Backlog

_LOGGER = logging.getLogger(__name__)
_KEPT_SECONDS = 15.0


class PoolCollector(Collector):
    """Shows how many database connections there are, and may be."""

    def __init__(self, application: RegistryApplication) -> None:
        self._application = application

    def collect(self) -> Iterable[Metric]:
        """Ask the pools; that needs no database."""
        connections = GaugeMetricFamily(
            "butler_database_connections",
            "Connections of this process to its database.",
            labels=["pool", "state"],
        )
        most = GaugeMetricFamily(
            "butler_database_connections_limit", "The most connections that there may be.", labels=["pool"]
        )
        for name, use in self._application.pool_use().items():
            connections.add_metric([name, "in_use"], use.in_use)
            connections.add_metric([name, "idle"], use.idle)
            most.add_metric([name], use.limit)
        return [connections, most]


class RepositoryCollector(Collector):
    """Shows what waits in each repository; all replicas show the same, since they ask the same database.

    The database is asked by at most one scrape in 15 seconds. If it does not answer, there are no figures, and
    ``butler_backlog_known`` is 0: an old figure would look like a good one.
    """

    def __init__(self, application: RegistryApplication) -> None:
        self._application = application
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._read: Mapping[str, Backlog] | None = None

    def describe(self) -> Iterable[Metric]:
        """Name no figures in advance: at the registration nothing is to be asked."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Ask the database, or show what it said a few seconds ago."""
        with self._lock:
            if time.monotonic() - self._read_at > _KEPT_SECONDS:
                self._read = self._ask()
                self._read_at = time.monotonic()
            found = self._read
        known = GaugeMetricFamily(
            "butler_backlog_known", "Whether the database could be asked what waits.", value=found is not None
        )
        return [known, *_families(found or {})]

    def _ask(self) -> Mapping[str, Backlog] | None:
        try:
            return self._application.backlogs()
        except ButlerError as error:
            _LOGGER.warning("no figures of the repositories: %s", error.message)
            return None


def _families(backlogs: Mapping[str, Backlog]) -> Iterable[Metric]:
    intents = GaugeMetricFamily(
        "butler_put_intents", "Puts that were begun and not finished.", labels=["repository"]
    )
    expired = GaugeMetricFamily(
        "butler_put_intents_expired", "Those of them whose lease has ended.", labels=["repository"]
    )
    expired_age = GaugeMetricFamily(
        "butler_put_intents_expired_age_seconds",
        "Since when the first lease has ended.",
        labels=["repository"],
    )
    trash = GaugeMetricFamily("butler_trash_artifacts", "Artifacts in the trash.", labels=["repository"])
    failed = GaugeMetricFamily(
        "butler_trash_failed_artifacts", "Those of them whose latest deletion failed.", labels=["repository"]
    )
    age = GaugeMetricFamily(
        "butler_trash_age_seconds", "Age of the oldest artifact in the trash.", labels=["repository"]
    )
    for name, backlog in backlogs.items():
        intents.add_metric([name], backlog.intents)
        expired.add_metric([name], backlog.expired_intents)
        expired_age.add_metric([name], backlog.oldest_expired_seconds)
        trash.add_metric([name], backlog.trash)
        failed.add_metric([name], backlog.failed_trash)
        age.add_metric([name], backlog.oldest_trash_seconds)
    return [intents, expired, expired_age, trash, failed, age]
