# SPDX-License-Identifier: BSD-3-Clause
"""What README.md shows of the command line is what it prints."""

from __future__ import annotations

from tools.readme_session import PAGE, normalised, refreshed


def test_the_session_in_the_readme_is_what_the_commands_print() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert normalised(refreshed(page)) == normalised(page), "run: python tools/readme_session.py write"
