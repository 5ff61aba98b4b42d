# SPDX-License-Identifier: BSD-3-Clause
"""The command that makes a shell complete the others."""

from __future__ import annotations

__all__ = ["completion"]

import click
from click.shell_completion import get_completion_class

_VARIABLE = "_BUTLER_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes a shell complete commands and options.

    For bash: eval "$(butler completion bash)" in ~/.bashrc; zsh and fish likewise in their files.
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(context.find_root().command, {}, "butler", _VARIABLE).source())
