# SPDX-License-Identifier: BSD-3-Clause
"""The command that makes datasets of files that exist."""

from __future__ import annotations

__all__ = ["ingest_files"]

import csv
from collections.abc import Iterator
from pathlib import Path

import click

from butler import Butler, DatasetRef, FileDataset
from butler_model.errors import InvalidRequestError
from butler_model.universe import DimensionUniverse

from .arguments import data_id_option, json_option, repository_argument, typed_data_id
from .output import Output


@click.command()
@repository_argument
@click.argument("dataset_type")
@click.argument("run")
@click.argument("table", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@data_id_option
@click.option(
    "--formatter", metavar="LABEL", help="What reads the files; found by the dataset type if absent."
)
@click.option(
    "--prefix",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIRECTORY",
    help="What the paths in TABLE are relative to; the working directory if absent.",
)
@click.option(
    "-t",
    "--transfer",
    type=click.Choice(["auto", "copy", "move", "link", "hardlink", "symlink", "relsymlink", "direct"]),
    default="auto",
    show_default=True,
    help="How the files get into the repository; 'direct' leaves them where they are.",
)
@json_option
def ingest_files(
    repository: str,
    dataset_type: str,
    run: str,
    table: Path,
    data_id: tuple[tuple[str, str], ...],
    formatter: str | None,
    prefix: Path | None,
    transfer: str,
    output: Output,
) -> None:
    """Make files that exist the artifacts of datasets.

    TABLE is a text file with commas or blanks between its columns: the first column is the path of a file, the others
    have the names of the keys of a data ID. A path in several rows is one file of several datasets. RUN is registered
    if it does not exist. Files whose datasets are there already are left out, so a command that was broken off can
    simply be repeated.
    """
    with Butler(repository, writeable=True) as butler, output.progress() as progress:
        kind = butler.registry.getDatasetType(dataset_type)
        refs: dict[Path, list[DatasetRef]] = {}
        for path, values in _rows(table, dict(data_id), butler.dimensions):
            expanded = butler.registry.expandDataId(values, dimensions=kind.dimensions)
            refs.setdefault((prefix or Path()) / path, []).append(DatasetRef(kind, expanded))
        if not refs:
            raise InvalidRequestError(
                f"{str(table)!r} names no files: its first line names the columns, and there is no other one."
            )
        files = [FileDataset(path.absolute(), of_file, formatter) for path, of_file in refs.items()]
        butler.registry.registerRun(run)
        butler.ingest(*files, transfer=transfer, run=run, skip_existing=True, progress=progress)
    output.record(
        {"type": kind.name, "run": run, "files": len(files), "datasets": sum(map(len, refs.values()))}
    )


def _rows(
    table: Path, fixed: dict[str, str], universe: DimensionUniverse
) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the path and the data ID of each row; lines that begin with # are remarks, as those of ECSV."""
    with table.open(encoding="utf-8", newline="") as text:
        lines = [line for line in text if line.strip() and not line.startswith("#")]
    if not lines:
        raise InvalidRequestError(f"{str(table)!r} is empty; its first line names the columns.")
    comma = "," in lines[0]
    rows = csv.reader(lines, delimiter="," if comma else " ", skipinitialspace=True)
    _, *keys = (name.strip() for name in next(rows) if name)
    for number, row in enumerate(rows, start=1):
        cells = [cell.strip() for cell in row] if comma else [cell for cell in row if cell]
        if len(cells) != 1 + len(keys):
            raise InvalidRequestError(
                f"{str(table)!r}: row {number} has {len(cells)} columns, the first line names {1 + len(keys)}."
            )
        yield cells[0], typed_data_id(universe, {**fixed, **dict(zip(keys, cells[1:], strict=True))}.items())
