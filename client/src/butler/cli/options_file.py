# SPDX-License-Identifier: BSD-3-Clause
"""Options of commands that stand in a file."""

from __future__ import annotations

__all__ = ["with_options_file"]

from pathlib import Path
from typing import Any

import click

from butler_model.misspellings import suggestion

_NAME = "options_file"


def with_options_file(command: click.Command) -> click.Command:
    """Give a command, or all in a group of commands, the option ``--options-file``."""
    if isinstance(command, click.Group):
        for member in command.commands.values():
            with_options_file(member)
    elif all(parameter.name != _NAME for parameter in command.params):
        option = click.Option(
            ["-@", "--options-file", _NAME],
            type=click.Path(exists=True, dir_okay=False),
            metavar="FILE",
            is_eager=True,
            expose_value=False,
            callback=_take,
            help="YAML file with options of commands, as in 'export: {transfer: link}'. What is typed is preferred.",
        )
        command.params.append(option)
    return command


def _take(ctx: click.Context, param: click.Parameter, file: str | None) -> str | None:
    """Take the values of options from the part of a file that has the name of the command."""
    if file is None:
        return None
    from butler.config import Config

    name = ctx.command_path.partition(" ")[2]
    content = Config(file).toDict()
    part = content.get(name)
    if not isinstance(part, dict):
        near = suggestion(name, [str(key) for key in content])
        raise click.BadParameter(f"{file!r} has no part {name!r} with options by name{near}.", ctx, param)
    options = {
        text.lstrip("-"): option
        for option in ctx.command.params
        if isinstance(option, click.Option) and option.expose_value
        for text in (*option.opts, *option.secondary_opts)
    }
    values: dict[str, Any] = {}
    for key, value in part.items():
        text = str(key).lstrip("-")
        option = options.get(text)
        if option is None or option.name is None:
            near = suggestion(text, list(options))
            raise click.BadParameter(f"{file!r}: {name!r} has no option {text!r}{near}.", ctx, param)
        if text in (opt.lstrip("-") for opt in option.secondary_opts):
            value = not value
        values[option.name] = [value] if option.multiple and not isinstance(value, list) else value
    ctx.default_map = values
    return str(Path(file))
