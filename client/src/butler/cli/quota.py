# SPDX-License-Identifier: BSD-3-Clause
"""Commands for how much may be stored."""

from __future__ import annotations

__all__ = ["quota"]

import re

import click

from butler_model.quota import Quota, QuotaUse

from .access import access_of
from .arguments import json_option, repository_argument
from .output import Output

_SIZE = re.compile(r"(\d{1,19})\s*([kMGTP]?)B?")
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}


class _Size(click.ParamType[int]):
    """A number of bytes."""

    name = "size"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number for ``200GB``."""
        found = _SIZE.fullmatch(str(value))
        if found is None:
            self.fail(
                f"{value!r} is no size; write bytes, or a number with kB, MB, GB, TB or PB.", param, ctx
            )
        return int(found[1]) * _UNITS[found[2]]


@click.group(no_args_is_help=False)
def quota() -> None:
    """Say how much may be stored below a prefix."""


@quota.command("list")
@repository_argument
@json_option
def list_quotas(repository: str, output: Output) -> None:
    """List quotas, and how much is stored at each of their places."""
    with access_of(repository) as remote:
        output.records(map(_shown, remote.quotas()), of_what="quotas")


@quota.command("set")
@repository_argument
@click.argument("prefix")
@click.argument("size", type=_Size())
@json_option
def set_quota(repository: str, prefix: str, size: int, output: Output) -> None:
    """Let no more than SIZE be stored below a PREFIX.

    PREFIX is a run, PREFIX/** for it and all below it, or ** for all; a part * stands for any one part of a name, and
    each has so much. SIZE is in bytes, or has a unit: 200GB.
    """
    with access_of(repository) as remote:
        remote.set_quota(Quota(prefix, size))
    output.record({"set": True, "prefix": prefix, "bytes": size})


@quota.command("remove")
@repository_argument
@click.argument("prefix")
@json_option
def remove_quota(repository: str, prefix: str, output: Output) -> None:
    """Let as much be stored below a PREFIX as anybody likes."""
    with access_of(repository) as remote:
        remote.remove_quota(prefix)
    output.record({"removed": True, "prefix": prefix})


def _shown(use: QuotaUse) -> dict[str, object]:
    return {"prefix": use.quota.prefix, "place": use.place, "bytes": use.quota.size, "used": use.used}
