# SPDX-License-Identifier: BSD-3-Clause
"""Commands for the trash of a repository."""

from __future__ import annotations

__all__ = ["empty_trash", "trash"]

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import click

from butler import Butler
from butler_model.trash import TrashState

from .arguments import json_option, limit_option, names, repository_argument
from .output import Output
from .rendering import amount

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _selection_options(command: _Command) -> _Command:
    """Add ``--trash-id`` and ``--dataset-id``, which may be repeated."""
    command = click.option(
        "--dataset-id",
        "dataset_ids",
        type=click.UUID,
        multiple=True,
        help="Of which dataset; may be repeated.",
    )(command)
    return click.option(
        "--trash-id",
        "trash_ids",
        type=click.UUID,
        multiple=True,
        help="What one removal trashed, by the id that it told; may be repeated.",
    )(command)


@click.group(no_args_is_help=False)
def trash() -> None:
    """Look at what was removed and is not deleted yet, and restore it."""


@trash.command("list")
@repository_argument
@_selection_options
@click.option(
    "--state",
    "states",
    type=click.Choice([state.value for state in TrashState]),
    multiple=True,
    help="How far its deletion is; may be repeated.",
)
@limit_option
@json_option
def list_trash(
    repository: str,
    trash_ids: tuple[UUID, ...],
    dataset_ids: tuple[UUID, ...],
    states: tuple[str, ...],
    limit: int | None,
    output: Output,
) -> None:
    """List what is in the trash."""
    with Butler(repository) as butler:
        found = butler.trash.entries(trash_ids=trash_ids, datasets=dataset_ids, states=states)
        output.records(
            (
                {
                    "dataset_id": each.record.dataset_id,
                    "component": each.record.layout.component,
                    "type": each.dataset_type,
                    "run": each.run,
                    "purged": each.purged,
                    "store": each.record.store,
                    "key": each.record.key,
                    "size": each.record.size,
                    "state": each.state.value,
                    "trashed": _utc(each.trashed_nsec),
                    "due": _utc(each.due_nsec),
                    "attempts": each.attempts,
                    "last_error": each.last_error,
                    "trash_id": each.trash_id,
                }
                for each in found
            ),
            of_what="artifacts in the trash",
            limit=limit,
        )


@trash.command()
@repository_argument
@_selection_options
@json_option
def undelete(
    repository: str, trash_ids: tuple[UUID, ...], dataset_ids: tuple[UUID, ...], output: Output
) -> None:
    """Restore datasets whose deletion was not begun."""
    if not trash_ids and not dataset_ids:
        raise click.UsageError("Say what is to be restored: give --trash-id or --dataset-id.")
    with Butler(repository, writeable=True) as butler:
        restored = butler.trash.undelete(trash_ids=trash_ids, datasets=dataset_ids)
    output.record({"artifacts": restored})


@click.command()
@repository_argument
@_selection_options
@click.option("--store", "stores", multiple=True, metavar="NAMES", help="Only what is in these stores.")
@click.option("--dry-run", is_flag=True, help="Only count what is due.")
@click.option("--confirm/--no-confirm", default=True, help="Whether to ask first; the default.")
@json_option
def empty_trash(
    repository: str,
    trash_ids: tuple[UUID, ...],
    dataset_ids: tuple[UUID, ...],
    stores: tuple[str, ...],
    dry_run: bool,
    confirm: bool,
    output: Output,
) -> None:
    """Delete what is in the trash and due, for good."""
    with Butler(repository, writeable=True) as butler:

        def empty(progress: Any = None, *, dry_run: bool = False) -> Any:
            return butler.trash.empty(
                trash_ids=trash_ids,
                datasets=dataset_ids,
                stores=names(stores),
                dry_run=dry_run,
                progress=progress,
            )

        if dry_run or confirm:
            due = empty(dry_run=True).remaining
            if dry_run:
                output.record({"due": due})
                return
            if not due:
                _say_nothing_is_due(butler, output)
                return
            output.confirm(f"Delete {amount(due, 'artifact')} for good?")
        with output.progress() as progress:
            done = empty(progress)
        if not (done.deleted or done.kept or done.failed):
            _say_nothing_is_due(butler, output)
            return
    output.record({"deleted": done.deleted, "kept": done.kept, "failed": done.failed, "size": done.size})
    if done.failed:
        output.notice(
            f"What failed stays in the trash and is tried again; the latest error: {done.last_error}"
        )


def _say_nothing_is_due(butler: Butler, output: Output) -> None:
    if output.as_json:
        output.record({"deleted": 0, "kept": 0, "failed": 0, "size": 0})
    elif next(iter(butler.trash.entries()), None) is None:
        output.notice("The trash is empty.")
    else:
        output.notice("Nothing of that in the trash is due; see 'butler trash list'.")


def _utc(nsec: int) -> str:
    return datetime.fromtimestamp(nsec / 1e9, UTC).isoformat(timespec="seconds")
