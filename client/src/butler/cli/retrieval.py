# SPDX-License-Identifier: BSD-3-Clause
"""The command that gets files out of a repository."""

from __future__ import annotations

__all__ = ["retrieve_artifacts"]

from collections import Counter
from collections.abc import Sequence

import click

from butler import Butler
from butler.retrieval import RetrievalTarget

from .arguments import json_option, repository_argument
from .dataset_selection import DatasetSelection, dataset_options
from .output import Output
from .rendering import amount, was


@click.command()
@repository_argument
@click.argument("destination", type=click.Path(file_okay=False))
@dataset_options
@click.option(
    "--preserve-path/--no-preserve-path",
    default=True,
    help="Make the directories that the files are in in their store, which is the default, or none.",
)
@click.option("--overwrite", is_flag=True, help="Replace files that are there with other bytes.")
@click.option("--dry-run", is_flag=True, help="Show what is to be written, and write nothing.")
@json_option
def retrieve_artifacts(
    repository: str,
    destination: str,
    selection: DatasetSelection,
    preserve_path: bool,
    overwrite: bool,
    dry_run: bool,
    output: Output,
) -> None:
    """Write the files of datasets to a directory.

    They are copied byte for byte. One that is in DESTINATION already stays as it is, so a command that was broken off
    can simply be repeated.
    """
    with Butler(repository) as butler:
        refs = selection.find(butler, output)
        with output.progress() as progress:
            plan = butler.plan_retrieval(
                refs, destination, preserve_path=preserve_path, overwrite=overwrite, progress=progress
            )
            if not dry_run:
                plan.write(progress)
    if dry_run:
        _print_counts(plan.targets, output)
    else:
        _print_files(plan.targets, output)


def _print_files(targets: Sequence[RetrievalTarget], output: Output) -> None:
    output.records(
        (
            {
                "type": target.ref.datasetType.name,
                "id": target.ref.id,
                "file": str(target.path),
                "size": target.size,
                "is_new": not target.is_present,
            }
            for target in targets
        ),
        of_what="datasets",
    )
    written = [target.size for target in targets if not target.is_present]
    output.notice(
        f"{amount(len(written), 'file')} ({amount(sum(written), 'byte')}) {was(len(written))} written; "
        f"{len(targets) - len(written):,} {was(len(targets) - len(written))} there."
    )


def _print_counts(targets: Sequence[RetrievalTarget], output: Output) -> None:
    """Print, for each dataset type, how much would be written, and how much is there."""
    files, sizes, present = Counter[str](), Counter[str](), Counter[str]()
    for target in targets:
        name = target.ref.datasetType.name
        files[name] += not target.is_present
        sizes[name] += 0 if target.is_present else target.size
        present[name] += target.is_present
    output.records(
        (
            {"type": name, "files": files[name], "size": sizes[name], "present": present[name]}
            for name in sorted(files)
        ),
        of_what="datasets",
    )
    output.notice(f"{amount(files.total(), 'file')} ({amount(sizes.total(), 'byte')}) would be written.")
