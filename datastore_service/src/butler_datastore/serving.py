# SPDX-License-Identifier: BSD-3-Clause
"""From settings to a datastore that answers calls; a module, since each process of a service imports it."""

from __future__ import annotations

__all__ = ["serve_datastore"]

from butler_api.caller import caller
from butler_api.metrics import ServiceMetrics
from butler_api.process import operation_of, read_signing_keys, serve
from butler_api.processes import ServingProcess
from butler_api.server import build_server
from butler_model.grants import TokenSigner

from .application import DatastoreApplication
from .metrics import HousekeepingCollector
from .remote_ledger import RemoteLedgers
from .servicers import datastore_services
from .settings import DatastoreSettings


def serve_datastore(settings: DatastoreSettings, process: ServingProcess) -> None:
    """Answer calls until SIGTERM, as the only process or as one of several."""
    # Where it is asked who calls, a grant is of use to nobody but whom it was made for.
    bearer = (lambda: caller().name) if settings.authentication else None
    signer = TokenSigner(read_signing_keys(settings.signing_keys), bearer=bearer)
    limits = settings.limits
    ledgers = None
    if settings.registry:
        ledgers = RemoteLedgers(settings.registry, signer, settings.registry_tls.security)
    datastore = DatastoreApplication(
        settings.stores,
        signer,
        limits=limits,
        ingest_roots=settings.ingest_roots,
        ledgers=ledgers,
        guard_seconds=settings.guard_seconds,
    )
    metrics = ServiceMetrics() if settings.metrics_port is not None else None
    if metrics is not None:
        metrics.add(HousekeepingCollector(datastore.housekeeping))
    try:
        server = build_server(
            datastore_services(datastore, limits, ledgers.check_housekeeping if ledgers else None),
            settings.address,
            workers=settings.workers,
            limits=limits,
            transport=settings.transport,
            authentication=settings.authenticating(ledgers),
            operation=operation_of(settings, metrics),
        )
        with (
            process.figures(metrics, settings),
            datastore.keeping_house(settings.housekeeping_seconds if process.is_first else 0),
        ):
            serve(
                server,
                name="butler_datastore",
                grace_seconds=settings.grace_seconds,
                announce=process.announce,
                drain_seconds=settings.drain_seconds,
            )
    finally:
        datastore.close()
        if ledgers is not None:
            ledgers.close()
