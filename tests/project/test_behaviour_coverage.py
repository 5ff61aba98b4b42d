# SPDX-License-Identifier: BSD-3-Clause
"""The page about behaviours says what the tests say, and none of the registry's behaviours lacks a test."""

from __future__ import annotations

from tools.behaviour_coverage import PAGE, rows_of_page, shown_behaviours, written

REGISTRY = {f"D{n}" for n in [*range(7, 15), *range(38, 70), 75, 76, 78, 80]} | {"D61a"}


def test_the_page_has_a_row_for_every_behaviour_of_the_registry() -> None:
    rows = [behaviour for behaviour, _, _ in rows_of_page()]
    assert set(rows) >= REGISTRY
    assert len(rows) == len(set(rows))


def test_every_behaviour_on_the_page_has_a_test() -> None:
    shown = shown_behaviours()
    assert [behaviour for behaviour, _, _ in rows_of_page() if behaviour not in shown] == []


def test_the_page_names_the_tests_that_there_are() -> None:
    page = PAGE.read_text()
    assert written(page, shown_behaviours()) == page, "run make behaviour-coverage"


def test_no_test_speaks_of_a_behaviour_that_the_page_does_not_know() -> None:
    known = {behaviour for behaviour, _, _ in rows_of_page()}
    assert set(shown_behaviours()) <= known
