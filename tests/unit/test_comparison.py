# SPDX-License-Identifier: BSD-3-Clause
"""What the table of the comparison says: ratios, whether targets are met, and whether answers are the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.compare.answers import digest
from benchmarks.compare.plan import PLAN, SIZES
from benchmarks.compare.report import as_markdown, write_into_readme
from benchmarks.compare.rows import MILLISECONDS, RATE, Row, rows_of_turns
from benchmarks.compare.turns import Samples


def row(**changes: object) -> Row:
    values: dict[str, object] = {"pair": "grpc", "operation": "get", "title": "get", "n": 100}
    return Row(**(values | {"unit": MILLISECONDS, "theirs": 8.0, "ours": 2.0} | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(("unit", "ratio"), [(MILLISECONDS, 4.0), (RATE, 0.25)])
def test_a_ratio_says_how_many_times_better_ours_is(unit: str, ratio: float) -> None:
    assert row(unit=unit).ratio == ratio


def test_a_target_is_met_by_what_reaches_it() -> None:
    assert row(target=4.0).is_met
    assert not row(target=4.1).is_met
    assert not row(least=3.0).is_met
    assert not row(note="the answers differ").is_met
    assert not row(theirs=None).is_met


def test_answers_are_the_same_in_any_order() -> None:
    assert digest([1, {"a": 2}]) == digest([{"a": 2}, 1])
    assert digest([1]) != digest([2])


def test_answers_that_differ_are_told() -> None:
    results = {
        ("get", 100, "theirs-postgresql"): Samples([1.0], 100, [[1, "a"]]),
        ("get", 100, "ours-grpc"): Samples([0.2], 100, [[1, "b"]]),
    }
    (found,) = rows_of_turns(results, {("get", 100): 0.001})
    assert (found.ratio, found.floor, found.note) == (5.0, 1.0, "the answers differ")


def test_a_small_run_does_less_of_the_same() -> None:
    small = SIZES["small"]
    for step in PLAN:
        sizes = step.sizes_within(small)
        assert len(sizes) >= 1
        assert max(sizes) <= (small.largest if step.is_bulk else small.calls)


def test_the_readme_keeps_what_is_around_the_table(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    readme = tmp_path / "README.md"
    marks = ("<!-- comparison: written by make bench README=1 -->", "<!-- end of the comparison -->")
    readme.write_text(f"before\n{marks[0]}\nold\n{marks[1]}\nafter\n")
    write_into_readme(tmp_path, [row()], {"date": "today"})
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert as_markdown([row()]) in text
    assert (tmp_path / "docs" / "ratios.png").stat().st_size > 1_000
