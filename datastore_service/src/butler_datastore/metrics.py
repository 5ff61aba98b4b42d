# SPDX-License-Identifier: BSD-3-Clause
"""The datastore's figures beside those of its calls: deletions, inspections, stores that are left alone."""

from __future__ import annotations

__all__ = ["HousekeepingCollector"]

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .services.housekeeping import HousekeepingService


class HousekeepingCollector(Collector):
    """Shows what the housekeeping of this process has done; other replicas have figures of their own."""

    def __init__(self, housekeeping: HousekeepingService) -> None:
        self._housekeeping = housekeeping

    def collect(self) -> Iterable[Metric]:
        """Read counts in memory; neither a store nor the registry is asked."""
        totals = self._housekeeping.totals
        purged = CounterMetricFamily(
            "butler_purged_artifacts",
            "Artifacts of the trash that were tried, by outcome: deleted, kept (it has another owner), failed.",
            labels=["repository", "outcome"],
        )
        for (repository, outcome), count in totals.purged.items():
            purged.add_metric([repository, outcome], count)
        reaped = CounterMetricFamily(
            "butler_reaped_intents",
            "Puts that did not come to their end, cleared away.",
            labels=["repository"],
        )
        for repository, count in totals.reaped.items():
            reaped.add_metric([repository], count)
        resting = GaugeMetricFamily(
            "butler_store_resting",
            "Whether nothing is deleted from a store for a while because nothing could be.",
            labels=["repository", "store"],
        )
        for (repository, store), rests in self._housekeeping.health.states.items():
            resting.add_metric([repository, store], rests)
        return [purged, reaped, resting, *self._inspections()]

    def _inspections(self) -> Iterable[Metric]:
        findings = GaugeMetricFamily(
            "butler_fsck_findings",
            "What the latest inspection by this process found: dark, lost or mismatched artifacts.",
            labels=["repository", "kind"],
        )
        finished = GaugeMetricFamily(
            "butler_fsck_finished_timestamp_seconds", "When that inspection ended.", labels=["repository"]
        )
        for repository, inspected in self._housekeeping.totals.inspected.items():
            finished.add_metric([repository], inspected.finished)
            for kind, count in inspected.findings.items():
                findings.add_metric([repository, kind.value], count)
        return [findings, finished]
