# SPDX-License-Identifier: BSD-3-Clause
"""Commands for a repository as a whole."""

from __future__ import annotations

__all__ = ["create", "import_file", "ping", "version"]

import platform
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path

import click

from butler import Config
from butler.connect import connect
from butler.loading import ImportCount, ImportSummary, import_export
from butler.repository_making import NewRepository, make_repository
from butler_model.errors import GrantError
from butler_model.ports import Datastore

from .arguments import json_option, names, repository_argument
from .output import Output
from .rendering import amount, was

_DISTRIBUTIONS = ("butler-grpc-client", "butler-api", "butler-model", "butler-registry", "butler-datastore")
_PINGS = 10
_TRANSFERS = ("copy", "auto", "move", "link", "hardlink", "symlink", "relsymlink", "direct", "none")


@click.command()
@repository_argument
@click.option(
    "--seed-config",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="YAML or JSON file with what butler.yaml is to say other than the defaults, and composites.",
)
@click.option(
    "--dimension-config",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="YAML or JSON file that defines the dimensions; the newest universe that is shipped if absent.",
)
@click.option("--standalone", is_flag=True, help="Write every default into butler.yaml.")
@click.option(
    "--override", is_flag=True, help="Let the seed config and the defaults put things outside of REPO."
)
@click.option(
    "-f", "--outfile", type=click.Path(), metavar="FILE", help="Write the configuration there, not to REPO."
)
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace the configuration file if there is one. A registry is never replaced.",
)
@click.option(
    "--database",
    metavar="URL",
    help="postgresql://USER@HOST/NAME to keep the registry there; a SQLite file in REPO if absent.",
)
@click.option(
    "--stores",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="YAML or JSON file with the stores by name, such as 'main: {root: <butlerRoot>/data}'; one in REPO if absent.",
)
@click.option(
    "--composites",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="YAML or JSON file that says which composites are stored in parts, such as 'disassembled: {Exposure: true}'; "
    "none if absent.",
)
@json_option
def create(
    repository: str,
    seed_config: str | None,
    dimension_config: str | None,
    standalone: bool,
    override: bool,
    outfile: str | None,
    overwrite: bool,
    database: str | None,
    stores: str | None,
    composites: str | None,
    output: Output,
) -> None:
    """Create an empty repository.

    REPO is a directory, or grpc://HOST:PORT/REPOSITORY to have a service create it.
    """
    new = NewRepository(
        repository,
        seed_config,
        dimension_config,
        standalone=standalone,
        force_root=not override,
        outfile=outfile,
        overwrite=overwrite,
        database=database,
        stores=None if stores is None else Config(stores).toDict(),
        composites=None if composites is None else Config(composites).toDict(),
    )
    make_repository(new)
    # It is not opened for that: to open one takes a while.
    universe = new.universe()
    output.record({"repository": repository, "universe": f"{universe.namespace} {universe.version}"})


@click.command()
@repository_argument
@click.argument("place", metavar="FILE|DIRECTORY", type=click.Path(exists=True))
@click.option(
    "--export-file",
    metavar="FILE",
    help="The export file, if a DIRECTORY is given: a path, or a name in DIRECTORY.  [default: export.yaml]",
)
@click.option(
    "--directory",
    type=click.Path(exists=True, file_okay=False),
    metavar="DIRECTORY",
    help="What the paths in FILE are relative to; the directory of FILE if absent.",
)
@click.option(
    "-t",
    "--transfer",
    type=click.Choice(_TRANSFERS),
    default="copy",
    show_default=True,
    help="How the files of datasets get into the repository; 'none', if they are in its store already.",
)
@click.option(
    "--without-datastore", is_flag=True, help="Leave the files out: register the datasets, and nothing else."
)
@click.option(
    "-s",
    "--skip-dimensions",
    multiple=True,
    metavar="NAMES",
    help="Dimensions whose records are left out; with commas between, or repeated.",
)
@click.option("--reuse-ids", is_flag=True, help="Changes nothing: ids are kept.", expose_value=False)
@json_option
def import_file(
    repository: str,
    place: str,
    export_file: str | None,
    directory: str | None,
    transfer: str,
    skip_dimensions: tuple[str, ...],
    without_datastore: bool,
    output: Output,
) -> None:
    """Import an export file.

    What the repository has already stays as it is, so an import that was broken off can simply be repeated.
    """
    began = time.monotonic()
    file, relative_to = _to_import(Path(place), export_file)
    with closing(connect(repository)) as connection, output.progress() as progress:
        summary = import_export(
            connection,
            file,
            directory=directory or relative_to,
            transfer=None if transfer == "none" else transfer,
            skip_dimensions=set(names(skip_dimensions)),
            without_datastore=without_datastore,
            progress=progress,
        )
    output.records(
        (
            {"kind": kind, "name": name, "found": count.found, "new": count.new}
            for kind, name, count in _counts(summary)
        ),
        of_what="things to import",
    )
    output.notice(
        f"Imported in {time.monotonic() - began:.1f} s; {amount(summary.artifacts, 'file')} "
        f"({amount(summary.artifact_bytes, 'byte')}) {was(summary.artifacts)} taken."
    )


def _to_import(place: Path, export_file: str | None) -> tuple[Path, Path]:
    """Return an export file, and the directory that its paths are relative to."""
    if not place.is_dir():
        if export_file is not None:
            raise click.UsageError(f"{place} is a file already; --export-file is for a directory.")
        return place, place.parent
    named = Path(export_file or "export.yaml")
    file = named if export_file is not None and named.exists() else place / named
    if not file.is_file():
        raise click.UsageError(f"There is no export file {file}; name it with --export-file.")
    return file, place


def _counts(summary: ImportSummary) -> Iterator[tuple[str, str, ImportCount]]:
    for element, count in summary.dimension_records.items():
        yield "dimension records", element, count
    for type_name, count in summary.collections.items():
        yield "collections", type_name, count
    yield "dataset types", "", summary.dataset_types
    for dataset_type, count in summary.datasets.items():
        yield "datasets", dataset_type, count
    for collection, members in summary.associations.items():
        yield "associations", collection, ImportCount(members, members)


@click.command()
@repository_argument
@json_option
def ping(repository: str, output: Output) -> None:
    """Measure how fast a repository answers.

    The times are medians of ten calls, in milliseconds, without opening the repository.
    """
    began = time.monotonic()
    with closing(connect(repository)) as connection:
        opened = time.monotonic() - began
        universe = connection.info.universe
        output.record(
            {
                "repository": connection.info.name,
                "universe": f"{universe.namespace} {universe.version}",
                "open_ms": round(opened * 1e3, 2),
                "registry_ms": _median_ms(lambda: connection.registry.collections.find([])),
                "datastore_ms": _median_ms(lambda: _ask_nothing(connection.datastore)),
            }
        )


def _ask_nothing(datastore: Datastore) -> None:
    # An empty question would not leave this process; nothing can be asked without a grant but by being refused.
    with suppress(GrantError):
        datastore.exists([b""])


def _median_ms(call: Callable[[], object]) -> float:
    durations = []
    for _ in range(_PINGS):
        began = time.perf_counter()
        call()
        durations.append(time.perf_counter() - began)
    return round(sorted(durations)[_PINGS // 2] * 1e3, 2)


@click.command()
@json_option
def version(output: Output) -> None:
    """Show which versions are installed."""
    output.record({**{name: _version(name) for name in _DISTRIBUTIONS}, "python": platform.python_version()})


def _version(distribution: str) -> str:
    try:
        return installed_version(distribution)
    except PackageNotFoundError:
        return "not installed"
