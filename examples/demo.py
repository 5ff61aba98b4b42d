# SPDX-License-Identifier: BSD-3-Clause
"""The same script twice: with an embedded repository, then through two services on PostgreSQL.

Run it as ``make demo``, or ``make demo EXPORT=file.yaml`` to take the visits of a real survey.
"""

from __future__ import annotations

__all__ = ["main"]

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Never

from rich.console import Console

from tools.servers.postgres import own_postgres_server
from tools.servers.services import own_services

from .journal import Journal
from .put_and_get import CATALOG, put_and_get

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return the exit code."""
    options = _options(arguments)
    console = Console(highlight=False)
    # So that a kill, too, unwinds what follows, which stops the servers and removes the temporary folder.
    signal.signal(signal.SIGTERM, _end)
    began = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory(prefix="butler-demo-") as folder:
            repository = options.keep or Path(folder) / "repository"
            checksum = _embedded(console, repository, options.export)
            if checksum != _through_services(console, Path(folder), options.export):
                raise AssertionError("What was read through the services is not what was read embedded.")
            console.print(f"\nBoth gave back the same values, SHA-256 {checksum[:16]}….")
            console.print(f"It took {time.perf_counter() - began:.0f} s; the servers have ended.\n")
            _what_next(console, options.keep)
    except KeyboardInterrupt:
        console.print("Interrupted; the servers have ended.")
        return _INTERRUPTED
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m examples.demo", description="Put a sky survey in and take it out."
    )
    parser.add_argument(
        "--export", type=Path, metavar="FILE", help="an export of a survey's dimension records"
    )
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="make the embedded repository here and leave it"
    )
    options = parser.parse_args(arguments)
    if options.export is not None and not options.export.is_file():
        parser.error(f"there is no file {str(options.export)!r} to import")
    if options.keep is not None and options.keep.exists():
        parser.error(f"{str(options.keep)!r} exists already; remove it, or name another directory")
    return options


def _embedded(console: Console, repository: Path, export: Path | None) -> str:
    console.rule("1. Embedded: SQLite and files, all in this process")
    return _run(console, str(repository), export)


def _through_services(console: Console, folder: Path, export: Path | None) -> str:
    console.rule("2. The same script through a registry and a datastore service, on PostgreSQL")
    with _servers(console, folder) as address:
        return _run(console, f"grpc://{address}/demo", export)


def _run(console: Console, repository: str, export: Path | None) -> str:
    journal = Journal(repository, console)
    checksum = put_and_get(repository, journal, export)
    journal.show()
    return checksum


@contextmanager
def _servers(console: Console, folder: Path) -> Iterator[str]:
    """Run PostgreSQL and both services; give the address of the registry service."""
    services = folder / "services"
    services.mkdir()
    with ExitStack() as servers:
        with console.status("Starting PostgreSQL and both services …"):
            postgres = servers.enter_context(own_postgres_server())
            address = servers.enter_context(own_services(postgres.create_database(), services))
        yield address


def _what_next(console: Console, kept: Path | None) -> None:
    if kept is None:
        console.print("Next: run it with --keep DIR, and look into the repository that it leaves there.")
        return
    butler = Path(sys.executable).with_name("butler")
    with suppress(ValueError):
        butler = butler.relative_to(Path.cwd())
    console.print(f"The embedded repository is still at {kept}. Next, try:")
    for command in (
        f"collections list {kept}",
        f"query-datasets {kept} {CATALOG} --limit 5",
        f"query-dimension-records {kept} visit --limit 5",
        f"query-data-ids {kept} visit band --limit 5 --json",
        f"serve --data-root {kept}",
    ):
        console.print(f"  {butler} {command}", soft_wrap=True)


def _end(number: int, _: object) -> Never:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
