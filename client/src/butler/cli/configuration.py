# SPDX-License-Identifier: BSD-3-Clause
"""Commands for configurations."""

from __future__ import annotations

__all__ = ["config_dump", "config_validate"]

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from butler.config import ButlerConfig, Config
from butler.config.locations import without_secrets
from butler.connect import connect, located
from butler.validation import configuration_problems

from .arguments import json_option, names, repository_argument
from .exit_codes import ExitCode
from .output import Output


@click.command("config-dump")
@repository_argument
@click.option(
    "-s", "--subset", metavar="KEY", help="Show one part: a name, or several as in .registry.database."
)
@click.option(
    "-p",
    "--searchpath",
    "search_paths",
    multiple=True,
    type=click.Path(exists=True, file_okay=False),
    metavar="DIRECTORY",
    help="Where to look for defaults first; may be repeated.",
)
@click.option(
    "--file",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write it to a file.",
)
@json_option
def config_dump(
    repository: str, subset: str | None, search_paths: tuple[str, ...], target: Path | None, output: Output
) -> None:
    """Show the configuration of a repository, with defaults.

    Passwords in it are not shown, and what stands for something else (<butlerRoot>, ${NAME}) stays.
    """
    config = ButlerConfig(located(repository), search_paths)
    part: Any = config if subset is None else config[subset]
    part = without_secrets(part.toDict() if isinstance(part, Config) else part)
    content = part if isinstance(part, dict) else {subset: part}
    text = json.dumps(content, ensure_ascii=False) + "\n" if output.as_json else Config(content).dump()
    if target is None:
        click.echo(text, nl=False)
    else:
        target.write_text(text or "", encoding="utf-8")


@click.command("config-validate")
@repository_argument
@click.option("-q", "--quiet", is_flag=True, help="Say nothing; the exit code tells.")
@click.option(
    "-d",
    "--dataset-type",
    "dataset_types",
    multiple=True,
    metavar="NAMES",
    help="Check these dataset types only; with commas between, or repeated.",
)
@click.option(
    "-i", "--ignore", multiple=True, metavar="NAMES", help="Dataset types and keys that are not checked."
)
@json_option
def config_validate(
    repository: str, quiet: bool, dataset_types: tuple[str, ...], ignore: tuple[str, ...], output: Output
) -> None:
    """Check that what is configured fits the dataset types.

    Prints one line for each problem, and ends with exit code 1 if there is one.
    """
    with closing(connect(repository)) as connection:
        problems = configuration_problems(connection, names(dataset_types) or None, names(ignore))
    if not quiet:
        for problem in problems:
            output.record({"problem": problem})
        output.notice(
            f"Problems of {repository!r}: {len(problems)}." if problems else "No problems were found."
        )
    if problems:
        click.get_current_context().exit(ExitCode.FOUND)
