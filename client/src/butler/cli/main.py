# SPDX-License-Identifier: BSD-3-Clause
"""The program ``butler``: which commands there are, and what becomes of their errors.

A command's module is imported when the command runs; the list of commands needs none of them.
"""

from __future__ import annotations

__all__ = ["COMMANDS", "CommandSummary", "main", "program"]

import atexit
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, NoReturn

import click

from butler_model.config_keys import nearest_known
from butler_model.errors import ButlerError

from .exit_codes import ExitCode, exit_code_of
from .logs import log_level_option, write_logs
from .options_file import with_options_file
from .preferences import Preferences

_PLUGINS = "butler.commands"


@dataclass(frozen=True, slots=True)
class CommandSummary:
    """A command that was not imported yet.

    Attributes
    ----------
    target
        ``module:attribute`` of the click command, the module one of this package.
    summary
        Its line in the list of commands; the first sentence of its help.
    """

    target: str
    summary: str


COMMANDS = {
    "create": CommandSummary("repository:create", "Create an empty repository."),
    "config-dump": CommandSummary(
        "configuration:config_dump", "Show the configuration of a repository, with defaults."
    ),
    "config-validate": CommandSummary(
        "configuration:config_validate", "Check that what is configured fits the dataset types."
    ),
    "import": CommandSummary("repository:import_file", "Import an export file."),
    "export": CommandSummary("moves:export", "Write an export of datasets and collections."),
    "transfer-datasets": CommandSummary(
        "moves:transfer_datasets", "Take datasets from one repository into another."
    ),
    "register-dataset-type": CommandSummary("dataset_types:register", "Register a dataset type."),
    "remove-dataset-type": CommandSummary(
        "dataset_types:remove", "Remove dataset types of which there are no datasets."
    ),
    "collections": CommandSummary("collections:collections", "List and register collections."),
    "collection-chain": CommandSummary(
        "collections:collection_chain", "Define or edit a chain of collections."
    ),
    "associate": CommandSummary("associations:associate", "Add datasets to a TAGGED collection."),
    "certify-calibrations": CommandSummary(
        "associations:certify_calibrations", "Say when calibration datasets are valid."
    ),
    "ingest-files": CommandSummary("ingest:ingest_files", "Make files that exist the artifacts of datasets."),
    "put-file": CommandSummary("files:put_file", "Store what a file holds as a dataset."),
    "get-file": CommandSummary("files:get_file", "Write the stored bytes of a dataset to a file."),
    "retrieve-artifacts": CommandSummary(
        "retrieval:retrieve_artifacts", "Write the files of datasets to a directory."
    ),
    "query-collections": CommandSummary(
        "collections:query_collections", "List collections, chains with their members."
    ),
    "query-dataset-types": CommandSummary("dataset_types:query_dataset_types", "List dataset types."),
    "query-datasets": CommandSummary("queries:query_datasets", "List datasets."),
    "query-data-ids": CommandSummary("queries:query_data_ids", "List data IDs."),
    "query-dimension-records": CommandSummary("queries:query_dimension_records", "List dimension records."),
    "plot-sky": CommandSummary("sky:plot_sky", "Draw the regions of data IDs on the sky."),
    "stats": CommandSummary("statistics:stats", "Count datasets and bytes."),
    "prune-datasets": CommandSummary(
        "removal:prune_datasets", "Remove datasets, their artifacts, or their tags."
    ),
    "prune-collection": CommandSummary(
        "removal:prune_collection", "Remove a collection, and artifacts of datasets in it."
    ),
    "remove-runs": CommandSummary("removal:remove_runs", "Remove RUN collections with all their datasets."),
    "remove-collections": CommandSummary(
        "removal:remove_collections", "Remove collections; datasets stay in their runs."
    ),
    "trash": CommandSummary(
        "trash:trash", "Look at what was removed and is not deleted yet, and restore it."
    ),
    "empty-trash": CommandSummary("trash:empty_trash", "Delete what is in the trash and due, for good."),
    "fsck": CommandSummary("inspection:fsck", "Compare what the registry knows with what the stores hold."),
    "verify": CommandSummary("inspection:verify", "Read every artifact, and compare it with its record."),
    "cache": CommandSummary("cache:cache", "Look at and empty the cache of artifacts on this machine."),
    "access": CommandSummary("access:access", "Say who may do what in a repository."),
    "quota": CommandSummary("quota:quota", "Say how much may be stored below a prefix."),
    "token": CommandSummary("access:token", "Make, list and revoke tokens for programs."),
    "serve": CommandSummary("serve:serve", "Run both services in one process, for development."),
    "ping": CommandSummary("repository:ping", "Measure how fast a repository answers."),
    "completion": CommandSummary(
        "completion:completion", "Print what makes a shell complete commands and options."
    ),
    "version": CommandSummary("repository:version", "Show which versions are installed."),
}
"""Every command of this package, in the order in which a newcomer needs them."""


class _CommandList(click.Group):
    """The commands of this package and, after them, those of plug-ins.

    A plug-in is an entry point of the group ``butler.commands`` that names a click command. It cannot take the place
    of a command of this package.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *sorted(name for name in _plugins() if name not in COMMANDS)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            module, _, attribute = COMMANDS[cmd_name].target.partition(":")
            command = getattr(importlib.import_module(f"butler.cli.{module}"), attribute)
        else:
            plugin = _plugins().get(cmd_name)
            if plugin is None:
                return None
            command = _loaded(plugin)
        return with_options_file(command) if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if not error.message.startswith("No such command"):
                raise
            nearest = nearest_known(args[0], self.list_commands(ctx))
            raise click.UsageError(f"There is no command {args[0]!r}; {nearest}.", ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        plugins = _plugins()
        rows = [
            (name, COMMANDS[name].summary if name in COMMANDS else f"From {_origin(plugins[name])}.")
            for name in self.list_commands(ctx)
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:
        # Errors end here and not in click: it would add a blank line to Ctrl-C, and exit with 1.
        try:
            super().invoke(ctx)
            sys.stdout.flush()
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            _discard_output()
            click.echo("Interrupted.", err=True)
            ctx.exit(ExitCode.INTERRUPTED)
        except BrokenPipeError:
            _discard_output()
            ctx.exit(ExitCode.BROKEN_PIPE)
        except Exception as error:  # noqa: BLE001 - the end of the program
            if ctx.params["debug"]:
                traceback.print_exc()
            click.echo(_line(error), err=True)
            ctx.exit(exit_code_of(error))


def _discard_output() -> None:
    # What is left in the buffer would be written when the interpreter ends, and wait or fail there.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _plugins() -> dict[str, EntryPoint]:
    return {entry_point.name: entry_point for entry_point in entry_points(group=_PLUGINS)}


def _origin(plugin: EntryPoint) -> str:
    return plugin.value if plugin.dist is None else plugin.dist.name


def _loaded(plugin: EntryPoint) -> object:
    try:
        return plugin.load()
    except Exception as error:
        raise click.ClickException(
            f"The plug-in {plugin.name!r} of {_origin(plugin)} cannot be loaded: {error!r}; mend or uninstall it."
        ) from error


def _line(error: Exception) -> str:
    if isinstance(error, ButlerError):
        # A mark below a place in the line before marks nothing in a line of its own.
        text = "\n".join(line for line in error.message.splitlines() if line.strip() != "^")
    elif isinstance(error, OSError) and error.strerror:
        place = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
        text = f"{place}{error.strerror}"
    else:
        text = f"{type(error).__name__}: {error} (an error of the program; --debug before the command shows where)"
    return f"Error: {' '.join(text.split())}"


def _usage_line(error: click.ClickException) -> str:
    text = " ".join(error.format_message().split())
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f" Try '{context.command_path} --help'." if context is not None else ""
    return f"Error: {text}{hint}"


@click.group(
    cls=_CommandList,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="REPO is the label or the directory of a repository, the path of its butler.yaml, or "
    "grpc://HOST:PORT/REPOSITORY (grpcs:// to encrypt). "
    "With --json a command prints one JSON object per line; times are TAI. Exit codes: 1 something found, 2 malformed "
    "command line, 3 not found, 4 conflict, 5 invalid input, 6 unavailable, 7 damaged data, 8 forbidden, 70 error of "
    "the program, 130 interrupted.",
)
@click.option(
    "--debug", is_flag=True, envvar="BUTLER_DEBUG", help="Show where an error came from.", show_envvar=True
)
@click.version_option(
    package_name="butler-grpc-client",
    message="butler %(version)s",
    help="Show the version and exit; 'butler version' shows those of all parts.",
)
@log_level_option
@click.option(
    "--progress/--no-progress",
    default=None,
    help="Show how far something is: at once, or never; on a terminal after two seconds if neither is given.",
)
@click.pass_context
def program(
    context: click.Context,
    debug: bool,
    log_levels: tuple[tuple[str, str], ...],
    long_log: bool,
    progress: bool | None,
) -> None:
    """Put and get scientific datasets by meaning."""
    write_logs(log_levels, long=long_log)
    context.obj = Preferences(progress)
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the program; `ExitCode` says with which codes it ends.

    Parameters
    ----------
    arguments
        Those of the process if absent.
    """
    # What gRPC's core writes by itself stands beside our one line, and says the same in its own words.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    _trace_if_asked()
    try:
        code = program.main(arguments, prog_name="butler", standalone_mode=False)
    except click.Abort:
        click.echo("Interrupted.", err=True)
        code = ExitCode.INTERRUPTED
    except click.ClickException as error:
        click.echo(_usage_line(error), err=True)
        code = ExitCode.USAGE
    sys.exit(code or ExitCode.SUCCESS)


def _trace_if_asked() -> None:
    """Trace if the environment asks for it; what is needed for that is not imported otherwise."""
    if not any(name.startswith("OTEL_") for name in os.environ):
        return
    from butler_api.tracing import start_tracing

    finish = start_tracing("butler")
    if finish is not None:
        atexit.register(finish)
