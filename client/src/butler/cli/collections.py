# SPDX-License-Identifier: BSD-3-Clause
"""Commands for collections."""

from __future__ import annotations

__all__ = ["collection_chain", "collections", "query_collections"]

import click

from butler import Butler, CollectionType

from .arguments import json_option, names, repository_argument
from .collection_tree import print_tree
from .output import Output

_TYPE_NAMES = click.Choice([each.name for each in CollectionType], case_sensitive=False)


@click.group(no_args_is_help=False)
def collections() -> None:
    """List and register collections."""


@collections.command("list")
@repository_argument
@click.argument("patterns", metavar="[GLOB]...", nargs=-1)
@click.option("--tree", "as_tree", is_flag=True, help="Print chains with their members beneath them.")
@json_option
def list_collections(repository: str, patterns: tuple[str, ...], as_tree: bool, output: Output) -> None:
    """List collections, those that match a GLOB if any are given."""
    _list(repository, patterns, (), "TREE" if as_tree else "TABLE", output)


@click.command()
@repository_argument
@click.argument("patterns", metavar="[GLOB]...", nargs=-1)
@click.option(
    "--collection-type",
    "type_names",
    type=_TYPE_NAMES,
    multiple=True,
    help="Only collections of this type; may be repeated.",
)
@click.option(
    "--chains",
    type=click.Choice(["TREE", "TABLE", "FLATTEN"], case_sensitive=False),
    default="TREE",
    show_default=True,
    help="Print chains with their members beneath them, as rows of a table, or their members in their place.",
)
@json_option
def query_collections(
    repository: str, patterns: tuple[str, ...], type_names: tuple[str, ...], chains: str, output: Output
) -> None:
    """List collections, chains with their members.

    Those that match a GLOB if any are given. With --json each is an object on a line, never a tree.
    """
    _list(repository, patterns, type_names, chains, output)


def _list(
    repository: str, patterns: tuple[str, ...], type_names: tuple[str, ...], chains: str, output: Output
) -> None:
    types = frozenset(map(CollectionType.from_name, type_names)) or None
    wanted = names(patterns) or ...
    with Butler(repository) as butler:
        if chains == "FLATTEN":
            found = butler.collections.query_info(
                wanted, collection_types=types, flatten_chains=True, include_chains=False
            )
        else:
            found = butler.collections.query_info(wanted, collection_types=types)
        is_tree = chains == "TREE" and not output.as_json and bool(found)
        known = butler.collections.query_info() if is_tree and any(each.children for each in found) else found
    if is_tree:
        print_tree(found, known)
        return
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
    type=_TYPE_NAMES,
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


@click.command()
@repository_argument
@click.argument("parent")
@click.argument("children", nargs=-1)
@click.option(
    "--mode",
    type=click.Choice(["redefine", "extend", "prepend", "remove"]),
    default="redefine",
    show_default=True,
    help="Whether CHILDREN become all its members, are added at the end or in front, or are taken out.",
)
@click.option("--flatten", is_flag=True, help="Take the members of chains among CHILDREN instead of them.")
@click.option("--doc", default="", metavar="TEXT", help="A description for people, if the chain is new.")
@json_option
def collection_chain(
    repository: str,
    parent: str,
    children: tuple[str, ...],
    mode: str,
    flatten: bool,
    doc: str,
    output: Output,
) -> None:
    """Define or edit a chain of collections.

    It is registered if it does not exist, but for --mode remove. Edits of several people at once do not lose one
    another.
    """
    members = names(children)
    if not members:
        raise click.UsageError(
            f"Name the collections: --mode {mode} needs CHILDREN. To empty a chain, take its members out with --mode "
            "remove; 'butler collections register --type CHAINED' makes one without any."
        )
    with Butler(repository, writeable=True) as butler:
        chains = butler.collections
        for name in members if mode != "remove" or flatten else ():
            chains.get_info(name)  # before the chain is registered
        if flatten:
            # One by one: several at once come in the order of their names, and not in that of the search.
            members = [leaf for name in members for leaf in chains.query(name, flatten_chains=True)]
        if mode != "remove":
            chains.register(parent, CollectionType.CHAINED, doc)
        edits = {
            "redefine": chains.redefine_chain,
            "extend": chains.extend_chain,
            "prepend": chains.prepend_chain,
            "remove": chains.remove_from_chain,
        }
        edits[mode](parent, members)
        output.record({"name": parent, "children": chains.get_info(parent).children})
