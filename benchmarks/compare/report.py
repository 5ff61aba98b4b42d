# SPDX-License-Identifier: BSD-3-Clause
"""The table as people read it: in a terminal, in the README, and as a picture."""

from __future__ import annotations

__all__ = ["as_markdown", "as_tables", "plot", "write_into_readme"]

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from .plan import PAIRS
from .rows import RATE, Row

_SHOWN = ("start", "grpc")
_TITLES = {"start": "programs", **{pair.name: pair.title for pair in PAIRS}}
_BEGIN, _END = "<!-- comparison: written by make bench README=1 -->", "<!-- end of the comparison -->"
_HEADINGS = ("N", "Theirs", "Ours", "Unit", "Ratio", "Target", "", "Floor", "Ours / floor")


def as_tables(rows: Sequence[Row]) -> Iterator[Table]:
    """Yield tables for a terminal, one for each pair."""
    for pair, title in _TITLES.items():
        some = [row for row in rows if row.pair == pair]
        if some:
            table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
            table.add_column("Operation", no_wrap=True, min_width=32)
            for heading in _HEADINGS:
                table.add_column(heading, justify="right", no_wrap=True)
            for row in some:
                table.add_row(row.title, *_cells(row))
            yield table


def as_markdown(rows: Sequence[Row]) -> str:
    """Return tables for a page, one for each pair; those of all but `_SHOWN` are folded."""
    lines = []
    for pair, title in _TITLES.items():
        some = [row for row in rows if row.pair == pair]
        if not some:
            continue
        reached = sum(row.is_met for row in some)
        heading = f"{title} ({reached} of {len(some)} met)"
        lines += [f"**{heading}**" if pair in _SHOWN else f"<details><summary>{heading}</summary>", ""]
        lines += ["| operation | N | theirs | ours | ratio | target | | floor |"]
        lines += ["|---|---:|---:|---:|---:|---:|---|---:|"]
        for row in some:
            n, theirs, ours, unit, ratio, target, met, floor, _ = _cells(row)
            note = f" ({row.note[:80]})" if row.note else ""
            cells = (row.title, n, f"{theirs} {unit}", f"{ours} {unit}", ratio, target, met + note, floor)
            lines.append(f"| {' | '.join(cells)} |")
        lines += ["", "" if pair in _SHOWN else "</details>\n"]
    return "\n".join(lines)


def plot(rows: Sequence[Row], file: Path) -> None:
    """Draw the ratios: one bar for each row, and a mark at what is wanted."""
    from matplotlib.figure import Figure

    pairs = [pair for pair in _TITLES if any(row.pair == pair for row in rows)]
    heights = [sum(row.pair == pair and row.ratio is not None for row in rows) + 2 for pair in pairs]
    figure = Figure(figsize=(9, 0.17 * sum(heights)), layout="constrained")
    axes = figure.subplots(len(pairs), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for each, pair in zip(axes, pairs, strict=True):
        some = [row for row in rows if row.pair == pair and row.ratio is not None][::-1]
        places = range(len(some))
        colours = ["#2a7f62" if row.is_met else "#c1442e" for row in some]
        each.barh(places, [row.ratio or 0.0 for row in some], color=colours)
        each.plot([row.target for row in some], places, "k|", markersize=9)
        each.set_yticks(places, [f"{row.title} ({row.n:,})" for row in some], fontsize=6)
        each.set_title(_TITLES[pair], fontsize=9, loc="left")
        each.axvline(1.0, color="black", linewidth=0.8)
        each.set_xscale("log")
        each.margins(y=0.01)
    axes[-1].set_xlabel("times better than theirs; the mark is the target")
    figure.savefig(file, dpi=110)


def write_into_readme(root: Path, rows: Sequence[Row], about: Mapping[str, str]) -> None:
    """Replace what is between the marks in the README, and the plot that is shown there."""
    readme = root / "README.md"
    before, _, rest = readme.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    missed = sum(not row.is_met for row in rows)
    intro = f"{len(rows)} figures, {missed} of which miss their target. " + ", ".join(
        f"{name} {value}" for name, value in about.items()
    )
    picture = "![How many times better than theirs](docs/ratios.png)"
    readme.write_text(f"{before}{_BEGIN}\n{intro}.\n\n{picture}\n\n{as_markdown(rows)}\n{_END}{after}")
    plot(rows, root / "docs" / "ratios.png")


def _cells(row: Row) -> tuple[str, ...]:
    over = f"{row.ours / row.floor:.1f}" if row.ours and row.floor else ""
    return (
        f"{row.n:,}",
        _number(row.theirs),
        _number(row.ours),
        row.unit,
        "" if row.ratio is None else f"{row.ratio:.2f}",
        f"{row.target:g}" + (f", {row.least:,.0f}{RATE}" if row.least else ""),
        "met" if row.is_met else "MISSED",
        _number(row.floor),
        over,
    )


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
