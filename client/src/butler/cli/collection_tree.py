# SPDX-License-Identifier: BSD-3-Clause
"""Collections as a tree: chains, and beneath them their members."""

from __future__ import annotations

__all__ = ["print_tree"]

import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from butler.collections import CollectionInfo
from butler_model.collection import CollectionType

from .rendering import text_value

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

_WIDE_ENOUGH = 10_000
"""Columns of what is no terminal: nothing is broken into lines there."""


def print_tree(collections: Iterable[CollectionInfo], known: Iterable[CollectionInfo]) -> None:
    """Print collections on standard output, by name, and beneath each chain its members in the order of a search.

    What is a member of another one of them stands beneath that only, and what is beneath a chain is printed once.

    Parameters
    ----------
    known
        All that may be members.
    """
    from rich.console import Console
    from rich.tree import Tree

    by_name = {collection.name: collection for collection in known}
    roots = {collection.name: collection for collection in collections}
    members = {child for collection in roots.values() for child in collection.children}
    width = None if sys.stdout.isatty() else _WIDE_ENOUGH
    console = Console(file=sys.stdout, width=width, highlight=False)
    printed: set[str] = set()
    for name in sorted(roots.keys() - members):
        tree = Tree(_label(roots[name]), guide_style="dim")
        _grow(tree, roots[name], by_name, printed)
        console.print(tree)


def _grow(
    tree: Tree, collection: CollectionInfo, known: Mapping[str, CollectionInfo], printed: set[str]
) -> None:
    if collection.children and collection.name in printed:
        tree.add("…")
        return
    printed.add(collection.name)
    for name in collection.children:
        child = known[name]
        _grow(tree.add(_label(child)), child, known, printed)


def _label(collection: CollectionInfo) -> Text:
    from rich.text import Text

    is_chain = collection.type is CollectionType.CHAINED
    label = Text(text_value(collection.name), style="bold" if is_chain else "")
    label.append(f"  {collection.type.name}", style="cyan not bold")
    if collection.doc:
        label.append(f"  {text_value(collection.doc.strip().splitlines()[0])}", style="dim not bold")
    return label
