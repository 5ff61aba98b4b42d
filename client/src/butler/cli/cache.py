# SPDX-License-Identifier: BSD-3-Clause
"""Commands for the cache of artifacts on this machine."""

from __future__ import annotations

__all__ = ["cache"]

import click

from butler.cache import cache_use, clear_cache
from butler.cache_settings import CacheSettings

from .arguments import json_option
from .output import Output


@click.group(no_args_is_help=False)
def cache() -> None:
    """Look at and empty the cache of artifacts on this machine.

    Large artifacts that were read from a service are kept there. BUTLER_CACHE_DIR says where. BUTLER_CACHE_EXPIRATION
    says how many: files=N, size=BYTES (such as size=10GB), age=SECONDS since they were last used, or disabled.
    """


@cache.command()
@json_option
def status(output: Output) -> None:
    """Show where the cache is, and how much is in it."""
    settings = CacheSettings.from_environment()
    used = cache_use(settings.directory)
    output.record(
        {
            "directory": str(settings.directory),
            "expiration": "disabled" if settings.expiration is None else str(settings.expiration),
            "files": used.files,
            "size": used.size,
        }
    )


@cache.command()
@json_option
def clear(output: Output) -> None:
    """Remove all artifacts from the cache."""
    settings = CacheSettings.from_environment()
    removed = clear_cache(settings.directory)
    output.record({"directory": str(settings.directory), "files": removed.files, "size": removed.size})
