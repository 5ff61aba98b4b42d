# SPDX-License-Identifier: BSD-3-Clause
"""The registry service as a program: ``python -m butler_registry serve``."""

from __future__ import annotations

from pathlib import Path

import click

from butler_api.metrics import ServiceMetrics, served_metrics
from butler_api.process import (
    configure_logs,
    one_line_errors,
    operation_of,
    read_signing_keys,
    serve,
    tracing_of,
)
from butler_api.readiness import Readiness
from butler_api.server import build_server
from butler_model.composites import Composites
from butler_model.grants import TokenSigner

from .application import RegistryApplication
from .config import RegistrySettings
from .metrics import PoolCollector, RepositoryCollector
from .servicers import Gate, registry_services


@click.group()
def main() -> None:
    """What exists, where it belongs and where it is stored."""


@main.command("serve")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file with settings; see the manual.")
@one_line_errors
def serve_command(config: Path | None) -> None:
    """Answer calls until SIGTERM. Settings come from the file and from BUTLER_REGISTRY_* variables."""
    settings = RegistrySettings.load(config)
    configure_logs(settings.log_format)
    with tracing_of("butler-registry"):
        _serve(settings)


@main.command("migrate")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file with settings; see the manual.")
@one_line_errors
def migrate_command(config: Path | None) -> None:
    """Bring the tables of all repositories to what this software works with.

    It may be run at any time, by any number of processes at once: those that come second find the work done. Services
    that run go on.
    """
    settings = RegistrySettings.load(config)
    configure_logs(settings.log_format)
    repositories = _application(settings, pool_size=1)
    try:
        for name in repositories.names():
            done = repositories.migrate(name)
            what = (
                f"{done.before} -> {done.after}" if done.before != done.after else f"{done.after}, as it was"
            )
            click.echo(f"{name}: {what}")
    finally:
        repositories.close()


def _serve(settings: RegistrySettings) -> None:
    limits = settings.limits
    # A transaction keeps one for itself.
    repositories = _application(settings, pool_size=settings.workers + limits.transactions)
    metrics = ServiceMetrics() if settings.metrics_port is not None else None
    if metrics is not None:
        metrics.add(PoolCollector(repositories))
        metrics.add(RepositoryCollector(repositories))
    try:
        server = build_server(
            registry_services(repositories, limits),
            settings.address,
            workers=settings.workers,
            limits=limits,
            transport=settings.transport,
            authentication=settings.authenticating(repositories.callers, Gate(repositories.callers)),
            operation=operation_of(settings, metrics, Readiness(repositories.check)),
        )
        with served_metrics(metrics, settings.metrics_host, settings.metrics_port):
            serve(
                server,
                name="butler_registry",
                grace_seconds=settings.grace_seconds,
                announce=click.echo,
                drain_seconds=settings.drain_seconds,
            )
    finally:
        repositories.close()


def _application(settings: RegistrySettings, pool_size: int) -> RegistryApplication:
    return RegistryApplication(
        settings.database,
        TokenSigner(read_signing_keys(settings.signing_keys)),
        stores=tuple(settings.stores),
        composites=Composites(settings.composites),
        limits=settings.limits,
        datastore_endpoint=settings.datastore_endpoint,
        pool_size=pool_size,
        pooler=settings.database_pooler,
        administrators=settings.authentication.administrators if settings.authentication else (),
    )


if __name__ == "__main__":
    main()
