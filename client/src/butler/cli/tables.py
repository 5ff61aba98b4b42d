# SPDX-License-Identifier: BSD-3-Clause
"""Tables whose rows are printed while more arrive."""

from __future__ import annotations

__all__ = ["print_fields", "print_tables"]

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .rendering import flattened, text_value

_CHUNK_ROWS = 1000
"""Rows that are measured before the first is printed; the columns keep these widths."""
_GAP = "  "


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    width: int
    is_number: bool


def print_tables(records: Iterable[Mapping[str, Any]]) -> None:
    """Print records on standard output; a new table begins wherever their fields change.

    On a terminal rich draws the tables; where one is wider than the terminal, each field has a line of its own instead.
    Elsewhere, as in a pipe, each record is one line, however long, with columns two blanks apart.
    """
    print_rows: _PrintRows
    measure: Callable[[str], int]
    if sys.stdout.isatty():
        from rich.cells import cell_len

        print_rows, measure = _draw, cell_len
    else:
        print_rows, measure = _write, len
    tables = itertools.groupby(map(flattened, records), key=tuple)
    for i, (names, table) in enumerate(tables):
        if i:
            sys.stdout.write("\n")
        columns: list[_Column] = []
        for chunk in _chunks(table):
            cells = [[text_value(value) for value in row.values()] for row in chunk]
            is_first = not columns
            columns = columns or _measured(names, chunk, cells, measure)
            print_rows(columns, cells, is_first)


def print_fields(names: Sequence[str], values: Sequence[str]) -> None:
    """Print one record, a line for each field."""
    width = max(map(len, names))
    for name, value in zip(names, values, strict=True):
        sys.stdout.write(f"{name:{width}}{_GAP}{value}".rstrip() + "\n")


_PrintRows = Callable[[Sequence[_Column], Sequence[Sequence[str]], bool], None]
"""Prints some rows of a table, with the header if they are the first."""


def _chunks(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    iterator = iter(rows)
    while chunk := list(itertools.islice(iterator, _CHUNK_ROWS)):
        yield chunk


def _measured(
    names: Sequence[str],
    chunk: Sequence[Mapping[str, Any]],
    cells: Sequence[Sequence[str]],
    measure: Callable[[str], int],
) -> list[_Column]:
    widths = [max(map(measure, column)) for column in zip(names, *cells, strict=True)]
    return [
        _Column(name, width, all(type(row[name]) in (int, float, type(None)) for row in chunk))
        for name, width in zip(names, widths, strict=True)
    ]


def _write(columns: Sequence[_Column], cells: Sequence[Sequence[str]], is_first: bool) -> None:
    header = [[column.name for column in columns]] if is_first else []
    for row in itertools.chain(header, cells):
        padded = (
            text.rjust(column.width) if column.is_number else text.ljust(column.width)
            for text, column in zip(row, columns, strict=True)
        )
        sys.stdout.write(_GAP.join(padded).rstrip() + "\n")


def _draw(columns: Sequence[_Column], cells: Sequence[Sequence[str]], is_first: bool) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=sys.stdout)
    # The box has a blank on either side of each column and no line at the ends.
    if sum(column.width + 3 for column in columns) - 1 > console.width:
        for i, row in enumerate(cells):
            if i or not is_first:
                sys.stdout.write("\n")
            print_fields([column.name for column in columns], row)
        return
    table = Table(box=box.SIMPLE_HEAD, show_header=is_first, show_edge=False)
    for column in columns:
        justify: Literal["left", "right"] = "right" if column.is_number else "left"
        table.add_column(column.name, width=column.width, justify=justify, overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    console.print(table)
