# SPDX-License-Identifier: BSD-3-Clause
"""The registry service as a program: ``python -m butler_registry serve``."""

from __future__ import annotations

from pathlib import Path

import click

from butler_api.process import configure_logs, one_line_errors, read_signing_keys, serve
from butler_api.server import build_server
from butler_model.composites import Composites
from butler_model.grants import TokenSigner

from .application import RegistryApplication
from .config import RegistrySettings
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
    limits = settings.limits
    repositories = RegistryApplication(
        settings.database,
        TokenSigner(read_signing_keys(settings.signing_keys)),
        stores=tuple(settings.stores),
        composites=Composites(settings.composites),
        limits=limits,
        datastore_endpoint=settings.datastore_endpoint,
        # A transaction keeps one for itself.
        pool_size=settings.workers + limits.transactions,
        administrators=settings.authentication.administrators if settings.authentication else (),
    )
    try:
        services = registry_services(repositories, limits)
        server = build_server(
            services,
            settings.address,
            workers=settings.workers,
            limits=limits,
            transport=settings.transport,
            authentication=settings.authenticating(repositories.callers, Gate(repositories.callers)),
        )
        serve(server, name="butler_registry", grace_seconds=settings.grace_seconds, announce=click.echo)
    finally:
        repositories.close()


if __name__ == "__main__":
    main()
