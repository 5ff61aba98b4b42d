# SPDX-License-Identifier: BSD-3-Clause
"""Commands that compare a repository with what its stores hold."""

from __future__ import annotations

__all__ = ["fsck", "verify"]

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import click

from butler.connect import connect
from butler_model.ports import Finding, InspectionProgress

from .arguments import json_option, repository_argument
from .exit_codes import ExitCode
from .output import Output
from .rendering import amount


@click.command()
@repository_argument
@click.option("--checksums", is_flag=True, help="Read every artifact, and compare its checksum.")
@click.option("--repair", is_flag=True, help="Move what nobody knows of to quarantine.")
@json_option
def fsck(repository: str, checksums: bool, repair: bool, output: Output) -> None:
    """Compare what the registry knows with what the stores hold.

    Finds artifacts that are dark (nobody knows of them), lost (a dataset has them, the store has not) or mismatched
    (of another length or, with --checksums, content). Only reports, unless --repair is given: it moves dark ones to
    .quarantine in their store, where an operator can look at them. Exit code 1 if something was found.
    """
    _inspect(repository, output, checksums=checksums, repair=repair)


@click.command()
@repository_argument
@json_option
def verify(repository: str, output: Output) -> None:
    """Read every artifact, and compare it with its record.

    It is fsck with --checksums. Exit code 1 if something was found.
    """
    _inspect(repository, output, checksums=True, repair=False)


def _inspect(repository: str, output: Output, *, checksums: bool, repair: bool) -> None:
    found = 0
    last = InspectionProgress(0, 0, None)

    def findings() -> Iterator[Mapping[str, Any]]:
        nonlocal found, last
        for last in connection.datastore.housekeeping.fsck(name, checksums=checksums, repair=repair):
            report("Inspecting", last.inspected, last.total)
            for finding in last.findings:
                found += 1
                yield _record(finding)

    with closing(connect(repository)) as connection, output.progress() as report:
        name = connection.registry.info.name
        output.records(findings(), of_what="")
    output.notice(
        f"{amount(last.inspected, 'artifact')} inspected, {amount(last.size, 'byte')} read, {amount(found, 'finding')}."
    )
    if found:
        click.get_current_context().exit(ExitCode.FOUND)


def _record(finding: Finding) -> Mapping[str, Any]:
    return {
        "kind": finding.kind.value,
        "store": finding.store,
        "key": finding.key,
        "dataset_id": None if finding.dataset_id is None else str(finding.dataset_id),
        "size": finding.size,
        "recorded_size": finding.recorded_size,
        "repaired": finding.repaired,
        "detail": finding.detail,
    }
