# SPDX-License-Identifier: BSD-3-Clause
"""Commands that take datasets from one repository into another, by way of files or straight."""

from __future__ import annotations

__all__ = ["export", "transfer_datasets"]

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from butler import Butler
from butler.dataset_transfers import TransferSummary

from .arguments import json_option, names, repository_argument
from .dataset_selection import DatasetSelection, dataset_options
from .output import Output
from .rendering import amount, was


@click.command()
@repository_argument
@click.option(
    "--directory",
    required=True,
    type=click.Path(file_okay=False),
    metavar="DIRECTORY",
    help="Where to write to; made if it does not exist.",
)
@click.option(
    "--filename",
    default="export.yaml",
    show_default=True,
    metavar="FILE",
    help="Name of the export file in DIRECTORY.",
)
@click.option(
    "-t",
    "--transfer",
    type=click.Choice(["copy", "link", "hardlink", "symlink", "relsymlink", "direct", "none"]),
    default="copy",
    show_default=True,
    help="How the files of datasets get into DIRECTORY; 'direct' and 'none' leave them where they are.",
)
@dataset_options
@click.option(
    "--dimensions",
    multiple=True,
    metavar="NAMES",
    help="Dimensions of which all records are exported, not only those of the datasets; with commas between, or "
    "repeated; * for all.",
)
@click.option("--dry-run", is_flag=True, help="Show what is to be exported, and write nothing.")
@json_option
def export(
    repository: str,
    directory: str,
    filename: str,
    transfer: str,
    selection: DatasetSelection,
    dimensions: tuple[str, ...],
    dry_run: bool,
    output: Output,
) -> None:
    """Write an export of datasets and collections.

    It holds the datasets with their files, the collections in which they were looked for, with all that is in chains,
    and all that they need. 'butler import' takes it in, and so does the older library.
    """
    with Butler(repository) as butler, output.progress() as progress:
        refs = selection.find(butler, output)
        wanted = butler.registry.queryCollections(selection.searched, flattenChains=True, includeChains=True)
        kinds = [butler.registry.getCollectionType(name).name for name in wanted]
        elements = list(_elements(butler, names(dimensions)))
        if not dry_run:
            way = None if transfer == "none" else transfer
            with butler.export(
                directory=directory, filename=filename, transfer=way, progress=progress
            ) as everything:
                for name in wanted:
                    everything.saveCollection(name)
                for element in elements:
                    everything.saveDimensionData(element, butler.registry.queryDimensionRecords(element))
                everything.saveDatasets(refs)
    output.records(
        (
            *_counted("datasets", (ref.datasetType.name for ref in refs)),
            *_counted("collections", kinds),
            *({"kind": "dimension records", "name": element, "count": "all"} for element in elements),
        ),
        of_what="things to export",
    )
    did = "would be" if dry_run else was(len(refs))
    output.notice(f"{amount(len(refs), 'dataset')} {did} exported to {Path(directory) / filename}.")


def _elements(butler: Butler, wanted: Iterable[str]) -> Iterator[str]:
    """Yield the names of the elements that are asked for; all that have records of their own for ``*``."""
    for name in wanted:
        if name == "*":
            yield from (element.name for element in butler.dimensions if element.has_table)
        else:
            yield butler.dimensions[name].name


def _counted(kind: str, found: Iterable[str]) -> Iterator[dict[str, Any]]:
    for name, count in sorted(Counter(found).items()):
        yield {"kind": kind, "name": name, "count": count}


@click.command()
@click.argument("source", metavar="SOURCE")
@click.argument("target", metavar="DEST")
@click.option(
    "-t",
    "--transfer",
    type=click.Choice(["auto", "copy", "link", "hardlink", "symlink", "relsymlink", "direct"]),
    default="auto",
    show_default=True,
    help="How the files get into DEST: 'auto' links or copies them, 'direct' leaves them where they are.",
)
@dataset_options
@click.option(
    "--register-dataset-types/--no-register-dataset-types",
    default=True,
    help="Register dataset types that DEST does not have, which is the default.",
)
@click.option(
    "--transfer-dimensions/--no-transfer-dimensions",
    default=True,
    help="Take over dimension records that DEST does not have, which is the default.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be taken over, and change nothing.")
@json_option
def transfer_datasets(
    source: str,
    target: str,
    transfer: str,
    selection: DatasetSelection,
    register_dataset_types: bool,
    transfer_dimensions: bool,
    dry_run: bool,
    output: Output,
) -> None:
    """Take datasets from one repository into another.

    They keep their ids, data IDs and runs. What DEST has already stays as it is, so a command that was broken off can
    simply be repeated.
    """
    with Butler(source) as giver, Butler(target, writeable=True) as taker, output.progress() as progress:
        refs = selection.find(giver, output)
        work = taker.plan_transfer(
            giver, transfer=transfer, register_dataset_types=register_dataset_types, dry_run=dry_run
        )
        if transfer_dimensions:
            work.transfer_records(ref.dataId for ref in refs)
        summary = work.transfer(refs, progress)
    _print_summary(summary, output)
    output.notice(
        f"{amount(len(summary.refs), 'dataset')} with {amount(summary.artifacts, 'file')} "
        f"({amount(summary.artifact_bytes, 'byte')}) {'would be' if dry_run else was(len(summary.refs))} taken over."
    )


def _print_summary(summary: TransferSummary, output: Output) -> None:
    output.records(
        (
            {
                "type": name,
                "found": summary.found[name],
                "new": summary.new[name],
                "missing": summary.missing[name],
            }
            for name in sorted(summary.found)
        ),
        of_what="datasets",
    )
