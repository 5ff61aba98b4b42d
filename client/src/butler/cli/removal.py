# SPDX-License-Identifier: BSD-3-Clause
"""Commands that remove datasets and collections. They say what goes, and ask, before they do."""

from __future__ import annotations

__all__ = ["prune_collection", "prune_datasets", "remove_collections", "remove_runs"]

from collections.abc import Callable
from typing import Any, TypeVar

import click

from butler import Butler, CollectionType
from butler.ingest_files import Progress
from butler.registry.patterns import is_glob
from butler.removal_work import RemovalReport
from butler_model.errors import MissingCollectionError

from .arguments import check_dataset_types, json_option, names, repository_argument
from .output import Output
from .rendering import amount

_Command = TypeVar("_Command", bound=Callable[..., Any])
_Work = Callable[[bool, Progress], RemovalReport]
"""Does it, or with a true argument only counts."""


def _removal_options(command: _Command) -> _Command:
    """Add ``--dry-run``, ``--confirm/--no-confirm`` and ``--json``."""
    command = json_option(command)
    command = click.option(
        "--confirm/--no-confirm", default=True, help="Whether to ask before anything is removed; the default."
    )(command)
    return click.option("--dry-run", is_flag=True, help="Only show what would be removed.")(command)


def _purge_after_option(command: _Command) -> _Command:
    return click.option(
        "--purge-after",
        type=click.IntRange(min=0),
        default=0,
        metavar="SECONDS",
        help="How long the artifacts stay in the trash at least, where they can be restored from.",
    )(command)


@click.command()
@repository_argument
@click.argument("collections", nargs=-1)
@click.option(
    "--datasets",
    multiple=True,
    metavar="GLOBS",
    help="Types of datasets, with commas between, or repeated; all if absent.",
)
@click.option(
    "--find-all",
    is_flag=True,
    help="All datasets that have the same data ID, not only the one in the first of the collections.",
)
@click.option("--where", default="", metavar="EXPRESSION", help="Which data IDs.")
@click.option(
    "--disassociate",
    multiple=True,
    metavar="TAGS",
    help="TAGGED collections to take them out of, with commas between, or repeated.",
)
@click.option("--purge", metavar="RUN", help="Remove those of this RUN for good, with their artifacts.")
@click.option("--unstore", is_flag=True, help="Remove only their artifacts.")
@click.option("--quiet", is_flag=True, help="Ask nothing, and print nothing.")
@_purge_after_option
@_removal_options
def prune_datasets(
    repository: str,
    collections: tuple[str, ...],
    datasets: tuple[str, ...],
    find_all: bool,
    where: str,
    disassociate: tuple[str, ...],
    purge: str | None,
    unstore: bool,
    quiet: bool,
    purge_after: int,
    dry_run: bool,
    confirm: bool,
    output: Output,
) -> None:
    """Remove datasets, their artifacts, or their tags.

    The datasets are those that a search of COLLECTIONS finds.
    """
    tags = names(disassociate)
    _check_pruning(collections, tags, purge, unstore=unstore, silent_dry_run=quiet and dry_run)
    with Butler(repository, writeable=True) as butler:
        if purge is not None and butler.registry.getCollectionType(purge) is not CollectionType.RUN:
            raise click.UsageError(f"--purge: {purge!r} is no RUN.")
        check_dataset_types(butler, datasets)
        found = butler.query_all_datasets(
            names(collections),
            name=names(datasets) or "*",
            find_first=not find_all,
            where=where,
            limit=None,
            explain=False,
        )
        refs = [ref for ref in found if purge is None or ref.run == purge]

        def work(dry_run: bool, progress: Progress) -> RemovalReport:
            return butler.pruneDatasets(
                refs,
                disassociate=bool(tags) or purge is not None,
                unstore=unstore or purge is not None,
                tags=tags,
                purge=purge is not None,
                dry_run=dry_run,
                purge_after=purge_after,
                progress=progress,
            )

        if quiet:
            work(False, lambda phase, done, total: None)
        else:
            _carry_out(work, "Remove these?", dry_run=dry_run, confirm=confirm, output=output)


def _check_pruning(
    collections: tuple[str, ...], tags: list[str], purge: str | None, *, unstore: bool, silent_dry_run: bool
) -> None:
    """Refuse options that contradict each other, or leave nothing to be done."""
    if purge is not None and tags:
        raise click.UsageError("--purge takes datasets out of all collections: leave --disassociate out.")
    if not collections:
        raise click.UsageError("Name the collections to search.")
    if silent_dry_run:
        raise click.UsageError("--quiet prints nothing, and --dry-run does nothing but print: leave one out.")
    if purge is None and not tags and not unstore:
        raise click.UsageError("Nothing is to be done: give --purge RUN, --unstore or --disassociate TAGS.")


@click.command()
@repository_argument
@click.argument("collection")
@click.option("--purge", is_flag=True, help="Remove a RUN with its datasets; needs --unstore.")
@click.option("--unstore", is_flag=True, help="Remove the artifacts of datasets that are found in it.")
@click.option(
    "--unlink",
    multiple=True,
    metavar="CHAINS",
    help="Chains to take it out of first, with commas between, or repeated.",
)
@_purge_after_option
@_removal_options
def prune_collection(
    repository: str,
    collection: str,
    purge: bool,
    unstore: bool,
    unlink: tuple[str, ...],
    purge_after: int,
    dry_run: bool,
    confirm: bool,
    output: Output,
) -> None:
    """Remove a collection, and artifacts of datasets in it."""
    if purge and not unstore:
        raise click.UsageError("--purge needs --unstore: the artifacts of the datasets go, too.")
    with Butler(repository, writeable=True) as butler:
        kind = butler.registry.getCollectionType(collection)
        if (kind is CollectionType.RUN) is not purge:
            raise click.UsageError(
                f"{collection!r} is {kind.name}; --purge is for RUN collections, and needed there."
            )

        def work(dry_run: bool, progress: Progress) -> RemovalReport:
            return butler.pruneCollection(
                collection,
                purge,
                unstore,
                names(unlink),
                dry_run=dry_run,
                purge_after=purge_after,
                progress=progress,
            )

        _carry_out(work, f"Remove {kind.name} {collection}?", dry_run=dry_run, confirm=confirm, output=output)


@click.command()
@repository_argument
@click.argument("runs", nargs=-1, required=True)
@click.option("--keep-files", is_flag=True, help="Leave the artifacts where they are, and forget them.")
@click.option("--unlink", is_flag=True, help="Take the runs out of all chains first.")
@_purge_after_option
@_removal_options
def remove_runs(
    repository: str,
    runs: tuple[str, ...],
    keep_files: bool,
    unlink: bool,
    purge_after: int,
    dry_run: bool,
    confirm: bool,
    output: Output,
) -> None:
    """Remove RUN collections with all their datasets.

    RUNS are names, or globs that match some.
    """
    with Butler(repository, writeable=True) as butler:
        removed = _matching(butler, runs, "RUN", {CollectionType.RUN})

        def work(dry_run: bool, progress: Progress) -> RemovalReport:
            return butler.removeRuns(
                removed,
                not keep_files,
                unlink_from_chains=unlink,
                dry_run=dry_run,
                purge_after=purge_after,
                progress=progress,
            )

        question = f"Remove {', '.join(removed)} with these datasets?"
        _carry_out(work, question, dry_run=dry_run, confirm=confirm, output=output)


@click.command()
@repository_argument
@click.argument("collections", nargs=-1, required=True)
@click.option("--unlink", is_flag=True, help="Take the collections out of all chains first.")
@_removal_options
def remove_collections(
    repository: str,
    collections: tuple[str, ...],
    unlink: bool,
    dry_run: bool,
    confirm: bool,
    output: Output,
) -> None:
    """Remove collections; datasets stay in their runs.

    COLLECTIONS are names, or globs, which match all but RUN collections. A RUN is removed with its datasets, of which
    none may be stored; see remove-runs.
    """
    with Butler(repository, writeable=True) as butler:
        removed = _matching(butler, collections, "collection", set(CollectionType) - {CollectionType.RUN})
        butler.collections.remove(removed, unlink_from_chains=unlink, dry_run=True)
        infos = [butler.collections.get_info(name, include_parents=True) for name in removed]
        if not dry_run:
            if confirm:
                output.confirm(f"Remove {', '.join(removed)}?")
            butler.collections.remove(removed, unlink_from_chains=unlink)
        output.records(
            (
                {"name": each.name, "type": each.type.name, "chains": sorted(each.parents or ())}
                for each in infos
            ),
            of_what="collections",
        )


def _matching(butler: Butler, texts: tuple[str, ...], what: str, types: set[CollectionType]) -> list[str]:
    """Return names as they are, and in the place of each glob the collections of some types that it matches."""
    found: dict[str, None] = {}
    for name in names(texts):
        matching = butler.collections.query(name, collection_types=types) if is_glob(name) else [name]
        if not matching:
            raise MissingCollectionError(
                f"No {what} matches {name!r}; 'butler query-collections' lists those there are.",
                collection=name,
            )
        found.update(dict.fromkeys(matching))
    return list(found)


def _carry_out(work: _Work, question: str, *, dry_run: bool, confirm: bool, output: Output) -> None:
    if dry_run or confirm:
        with output.progress() as progress:
            planned = work(True, progress)
        if dry_run:
            _show(planned, output)
            return
        counts = ", ".join(f"{number:,} {name}" for name, number in planned.datasets.items())
        output.notice(
            f"Datasets: {counts or 'none'}; {amount(planned.artifacts, 'artifact')} with "
            f"{amount(planned.size, 'byte')}."
        )
        output.confirm(question)
    with output.progress() as progress:
        report = work(False, progress)
    _show(report, output)
    if report.problem:
        output.notice(f"What is not deleted yet is in the trash: {report.problem}")


def _show(report: RemovalReport, output: Output) -> None:
    emptied = report.emptied
    output.record(
        {
            "dry_run": report.dry_run,
            "datasets": sum(report.datasets.values()),
            "by_type": report.datasets,
            "artifacts": report.artifacts,
            "size": report.size,
            "deleted": 0 if emptied is None else emptied.deleted,
            "trash_ids": [str(trash_id) for trash_id in report.trash_ids],
        }
    )
