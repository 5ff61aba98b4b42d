# SPDX-License-Identifier: BSD-3-Clause
"""The registry service as a program: ``python -m butler_registry serve``."""

from __future__ import annotations

from pathlib import Path

import click

from butler_api.process import configure_logs, one_line_errors
from butler_api.processes import run_processes

from .config import RegistrySettings
from .serving import registry_application, serve_registry


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
    run_processes("butler-registry", settings, serve_registry, click.echo)


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
    repositories = registry_application(settings, pool_size=1)
    try:
        for name in repositories.names():
            done = repositories.migrate(name)
            what = (
                f"{done.before} -> {done.after}" if done.before != done.after else f"{done.after}, as it was"
            )
            click.echo(f"{name}: {what}")
    finally:
        repositories.close()


if __name__ == "__main__":
    main()
