# SPDX-License-Identifier: BSD-3-Clause
"""Shells complete commands and options."""

from __future__ import annotations

import pytest

from butler.cli.main import main
from tests.support.command_line import butler


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_a_shell_needs_is_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["completion", shell])
    printed = capsys.readouterr().out
    assert not ended.value.code
    # The shell runs the program with this variable, and takes what it prints.
    assert f"_BUTLER_COMPLETE={shell}_complete" in printed
    assert "_butler_completion" in printed


def completed(*words: str) -> list[str]:
    """Return what bash would offer for the last of some words."""
    variables = {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    done = butler(_BUTLER_COMPLETE="bash_complete", **variables)
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_commands_and_options_are_completed() -> None:
    assert completed("butler", "plot") == ["plot-sky"]
    assert "--color-by" in completed("butler", "plot-sky", "repo", "--")
    assert completed("butler", "query-collections", "--chains", "t") == ["tree", "table"]


def test_another_shell_is_refused() -> None:
    done = butler("completion", "tcsh")
    assert done.returncode == 2
    assert "'bash', 'zsh', 'fish'" in done.stderr
