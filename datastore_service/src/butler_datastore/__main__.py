# SPDX-License-Identifier: BSD-3-Clause
"""The datastore service as a program: ``python -m butler_datastore serve``."""

from __future__ import annotations

from pathlib import Path

import click

from butler_api.process import configure_logs, one_line_errors
from butler_api.processes import run_processes

from .serving import serve_datastore
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
    run_processes("butler-datastore", settings, serve_datastore, click.echo)


if __name__ == "__main__":
    main()
