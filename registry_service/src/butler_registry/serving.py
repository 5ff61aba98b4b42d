# SPDX-License-Identifier: BSD-3-Clause
"""From settings to a registry that answers calls; a module, since each process of a service imports it."""

from __future__ import annotations

__all__ = ["registry_application", "serve_registry"]

from contextlib import closing

from butler_api.metrics import ServiceMetrics
from butler_api.process import operation_of, read_signing_keys, serve
from butler_api.processes import ServingProcess
from butler_api.readiness import Readiness
from butler_api.server import build_server
from butler_model.composites import Composites
from butler_model.grants import TokenSigner

from .application import RegistryApplication
from .config import RegistrySettings
from .metrics import PoolCollector, RepositoryCollector
from .servicers import Gate, registry_services


def serve_registry(settings: RegistrySettings, process: ServingProcess) -> None:
    """Answer calls until SIGTERM, as the only process or as one of several."""
    limits = settings.limits
    # A transaction keeps one for itself.
    repositories = registry_application(settings, pool_size=settings.workers + limits.transactions)
    metrics = ServiceMetrics() if settings.metrics_port is not None else None
    if metrics is not None:
        metrics.add(PoolCollector(repositories))
        if process.is_first:
            metrics.add(RepositoryCollector(repositories))
    with closing(repositories):
        server = build_server(
            registry_services(repositories, limits),
            settings.address,
            workers=settings.workers,
            limits=limits,
            transport=settings.transport,
            authentication=settings.authenticating(repositories.callers, Gate(repositories.callers)),
            operation=operation_of(settings, metrics, Readiness(repositories.check)),
        )
        with process.figures(metrics, settings):
            serve(
                server,
                name="butler_registry",
                grace_seconds=settings.grace_seconds,
                announce=process.announce,
                drain_seconds=settings.drain_seconds,
            )


def registry_application(settings: RegistrySettings, pool_size: int) -> RegistryApplication:
    """Return the repositories of the settings, with so many database connections at most."""
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
