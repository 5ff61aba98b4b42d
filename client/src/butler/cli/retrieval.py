# SPDX-License-Identifier: BSD-3-Clause
"""The command that gets files out of a repository."""

from __future__ import annotations

__all__ = ["retrieve_artifacts"]

from collections import Counter
from collections.abc import Sequence

import click

from butler import Butler, DatasetRef
from butler.retrieval import RetrievalTarget

from .arguments import json_option, names, repository_argument
from .output import Output


@click.command()
@repository_argument
@click.argument("destination", type=click.Path(file_okay=False))
@click.option(
    "-d",
    "--dataset-type",
    "dataset_types",
    multiple=True,
    metavar="GLOBS",
    help="Names of dataset types, with commas between, or repeated; globs are allowed. All if absent.",
)
@click.option(
    "--collections",
    multiple=True,
    metavar="NAMES",
    help="Where to look, in order, with commas between, or repeated; globs are allowed. All runs if absent.",
)
@click.option(
    "--where",
    default="",
    metavar="EXPRESSION",
    help="Which datasets, as in \"instrument = 'HSC' AND visit IN (1..9)\".",
)
@click.option(
    "--find-first/--find-all",
    default=False,
    help="Of datasets with the same data ID, the one in the first of the collections, or all, which is the default.",
)
@click.option(
    "--preserve-path/--no-preserve-path",
    default=True,
    help="Make the directories that the files are in in their store, which is the default, or none.",
)
@click.option("--overwrite", is_flag=True, help="Replace files that are there with other bytes.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Take N datasets at most.")
@click.option("--dry-run", is_flag=True, help="Show what is to be written, and write nothing.")
@json_option
def retrieve_artifacts(
    repository: str,
    destination: str,
    dataset_types: tuple[str, ...],
    collections: tuple[str, ...],
    where: str,
    find_first: bool,
    preserve_path: bool,
    overwrite: bool,
    limit: int | None,
    dry_run: bool,
    output: Output,
) -> None:
    """Write the files of datasets to a directory.

    They are copied byte for byte. One that is in DESTINATION already stays as it is, so a command that was broken off
    can simply be repeated.
    """
    if find_first and not collections:
        raise click.UsageError("--find-first needs --collections: the order of the search.")
    with Butler(repository) as butler:
        refs: list[DatasetRef] = butler.query_all_datasets(
            names(collections) or ...,
            name=names(dataset_types) or "*",
            find_first=find_first,
            where=where,
            limit=None if limit is None else limit + 1,
            explain=False,
        )
        if limit is not None and len(refs) > limit:
            output.notice(f"Only the first {limit:,} datasets are taken; raise --limit to take more.")
        with output.progress() as progress:
            plan = butler.plan_retrieval(
                refs[:limit], destination, preserve_path=preserve_path, overwrite=overwrite, progress=progress
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
        f"{len(written):,} files ({sum(written):,} bytes) were written; {len(targets) - len(written):,} were there."
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
    output.notice(f"{files.total():,} files ({sizes.total():,} bytes) would be written.")
