# SPDX-License-Identifier: BSD-3-Clause
"""What commands print: results on standard output, notices and progress on standard error."""

from __future__ import annotations

__all__ = ["Output"]

import itertools
import json
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

import click

from .exit_codes import ExitCode
from .preferences import Preferences
from .rendering import flattened, json_value, text_value
from .tables import print_fields, print_tables

if TYPE_CHECKING:
    from rich.progress import TaskID

_PATIENCE_SECONDS = 2.0
"""How long something may take before a terminal shows that it goes on."""


class Output:
    """Where one command's results go.

    Parameters
    ----------
    as_json
        Whether each record is printed as a JSON object on a line of its own, in UTF-8 and as soon as it is there,
        instead of as text.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        if as_json and isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # JSON is, whatever the locale says

    def records(
        self,
        records: Iterable[Mapping[str, Any]],
        *,
        of_what: str,
        limit: int | None = None,
        why_none: Callable[[], Sequence[str]] | None = None,
    ) -> None:
        """Print many records.

        Parameters
        ----------
        records
            Fields by name; one that is a mapping itself takes several columns of a table.
        of_what
            What notices call them, in the plural; empty if nothing is to be said of there being none.
        limit
            Print that many at most, and a notice if there are more.
        why_none
            Tells reasons, should there be no record.
        """
        rest = iter(records)
        shown = 0

        def counted() -> Iterator[Mapping[str, Any]]:
            nonlocal shown
            for record in itertools.islice(rest, limit):
                shown += 1
                yield record

        if self.as_json:
            for record in counted():
                _print_json(record)
        else:
            print_tables(counted())
        sys.stdout.flush()
        if not shown and of_what:
            self.notice(" ".join([f"There are no such {of_what}.", *(why_none() if why_none else ())]))
        elif limit is not None and shown == limit and next(rest, None) is not None:
            self.notice(f"Only the first {limit:,} {of_what} are shown; raise --limit to see more.")

    def record(self, record: Mapping[str, Any]) -> None:
        """Print one record: as JSON, or as a line for each field."""
        if self.as_json:
            _print_json(record)
        else:
            fields = flattened(record)
            print_fields(list(fields), list(map(text_value, fields.values())))
        sys.stdout.flush()

    def notice(self, text: str) -> None:
        """Print a remark that is no result."""
        click.echo(text, err=True)

    def confirm(self, question: str) -> None:
        """Go on only if the question is answered with yes; else end the command as Ctrl-C does."""
        try:
            if click.confirm(question, err=True):
                return
            self.notice("Nothing was changed.")
        except click.Abort as error:
            if not isinstance(error.__context__, EOFError):
                raise
            self.notice("\nNobody answers, so nothing was changed; --no-confirm asks nothing.")
        click.get_current_context().exit(ExitCode.INTERRUPTED)

    @contextmanager
    def progress(self) -> Iterator[Callable[[str, int, int | None], None]]:
        """Give a function to report progress to: phase, things done, things in all or `None` if that is not known.

        A terminal shows a bar for each phase, once two seconds have gone by; ``--progress`` at once and anywhere.
        """
        wanted = Preferences.current().progress
        if wanted is False or (wanted is None and not sys.stderr.isatty()):
            yield _ignore
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", markup=False),
            TimeRemainingColumn(elapsed_when_finished=True),
        )
        bars = Progress(*columns, console=Console(stderr=True))
        tasks: dict[str, TaskID] = {}

        def report(phase: str, done: int, total: int | None) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(phase, total=total, rate="")
            bars.update(tasks[phase], completed=done, total=total)
            speed = bars.tasks[tasks[phase]].speed
            if speed:
                bars.update(tasks[phase], rate=f"{speed:,.0f}/s")

        patience = threading.Timer(0.0 if wanted else _PATIENCE_SECONDS, bars.start)
        patience.daemon = True
        patience.start()
        try:
            yield report
        finally:
            patience.cancel()
            patience.join()
            bars.stop()


def _ignore(phase: str, done: int, total: int | None) -> None:
    pass


def _print_json(record: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(json_value(record), ensure_ascii=False, allow_nan=False) + "\n")
