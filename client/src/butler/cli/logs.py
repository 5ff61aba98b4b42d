# SPDX-License-Identifier: BSD-3-Clause
"""What of the log is written to standard error, by ``--log-level``."""

from __future__ import annotations

__all__ = ["LEVELS", "log_level_option", "write_logs"]

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])

LEVELS = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG")
_SHORT = "%(name)s %(levelname)s: %(message)s"
_LONG = "%(levelname)s %(asctime)s %(name)s (%(filename)s:%(lineno)d) - %(message)s"


def _levels(ctx: click.Context, param: click.Parameter, texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return pairs of a component, empty for all, and its level."""
    pairs = []
    for text in texts:
        component, _, level = text.rpartition("=")
        if level.upper() not in LEVELS:
            raise click.BadParameter(
                f"{text!r} is not LEVEL or COMPONENT=LEVEL with a level of {', '.join(LEVELS)}.", ctx, param
            )
        pairs.append((component, level.upper()))
    return tuple(pairs)


def log_level_option(command: _Command) -> _Command:
    """Add ``--log-level`` and ``--long-log``, for `write_logs`."""
    command = click.option(
        "--long-log", is_flag=True, help="Write time and place with each line of the log."
    )(command)
    return click.option(
        "--log-level",
        "log_levels",
        multiple=True,
        metavar="LEVEL|COMPONENT=LEVEL",
        callback=_levels,
        help=f"From which level on to write the log ({', '.join(LEVELS)}), of all or of one component, such as "
        "butler.cache=DEBUG; may be repeated.",
    )(command)


def write_logs(levels: Sequence[tuple[str, str]], *, long: bool) -> None:
    """Write what is logged to standard error; what no level was given for, from warnings on."""
    if not levels and not long:
        return
    import logging

    logging.basicConfig(format=_LONG if long else _SHORT)
    for component, level in levels:
        logging.getLogger(component or None).setLevel(level)
