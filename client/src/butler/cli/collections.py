# SPDX-License-Identifier: BSD-3-Clause
"""Commands for collections."""

from __future__ import annotations

__all__ = ["collections"]

from contextlib import closing

import click

from butler import Butler, CollectionType
from butler.connect import connect

from .arguments import json_option, repository_argument
from .output import Output


@click.group(no_args_is_help=False)
def collections() -> None:
    """List and register collections."""


@collections.command("list")
@repository_argument
@click.argument("patterns", metavar="[GLOB]...", nargs=-1)
@json_option
def list_collections(repository: str, patterns: tuple[str, ...], output: Output) -> None:
    """List collections, those that match a GLOB if any are given."""
    with closing(connect(repository)) as connection:
        found = connection.registry.collections.find(patterns or ["*"])
    output.records(
        (
            {"name": each.name, "type": each.type.name, "children": each.children, "doc": each.doc}
            for each in found
        ),
        of_what="collections",
    )


@collections.command("register")
@repository_argument
@click.argument("name")
@click.option(
    "--type",
    "type_name",
    type=click.Choice([each.name for each in CollectionType], case_sensitive=False),
    default=CollectionType.RUN.name,
    show_default=True,
    help="What the collection is to hold.",
)
@click.option("--doc", default="", metavar="TEXT", help="A description for people.")
@json_option
def register_collection(repository: str, name: str, type_name: str, doc: str, output: Output) -> None:
    """Register a collection; it may be there already."""
    kind = CollectionType.from_name(type_name)
    with Butler(repository, writeable=True) as butler:
        is_new = butler.registry.registerCollection(name, kind, doc)
    output.record({"name": name, "type": kind.name, "is_new": is_new})
