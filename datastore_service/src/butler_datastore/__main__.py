# SPDX-License-Identifier: BSD-3-Clause
"""The datastore service as a program: ``python -m butler_datastore serve``."""

from __future__ import annotations

from pathlib import Path

import click

from butler_api.caller import caller
from butler_api.metrics import ServiceMetrics, served_metrics
from butler_api.process import (
    configure_logs,
    one_line_errors,
    operation_of,
    read_signing_keys,
    serve,
    tracing_of,
)
from butler_api.server import build_server
from butler_model.grants import TokenSigner

from .application import DatastoreApplication
from .metrics import HousekeepingCollector
from .remote_ledger import RemoteLedgers
from .servicers import datastore_services
from .settings import DatastoreSettings


@click.group()
def main() -> None:
    """Artifacts in stores, against grants of the registry service."""


@main.command("serve")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file with settings; see the manual.")
@one_line_errors
def serve_command(config: Path | None) -> None:
    """Answer calls until SIGTERM. Settings come from the file and from BUTLER_DATASTORE_* variables."""
    settings = DatastoreSettings.load(config)
    configure_logs(settings.log_format)
    with tracing_of("butler-datastore"):
        _serve(settings)


def _serve(settings: DatastoreSettings) -> None:
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
            served_metrics(metrics, settings.metrics_host, settings.metrics_port),
            datastore.keeping_house(settings.housekeeping_seconds),
        ):
            serve(
                server,
                name="butler_datastore",
                grace_seconds=settings.grace_seconds,
                announce=click.echo,
                drain_seconds=settings.drain_seconds,
            )
    finally:
        datastore.close()
        if ledgers is not None:
            ledgers.close()


if __name__ == "__main__":
    main()
