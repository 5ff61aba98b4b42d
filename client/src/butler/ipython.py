# SPDX-License-Identifier: BSD-3-Clause
"""Names of dataset types and collections on Tab, in IPython and notebooks: ``%load_ext butler.ipython``.

Within the quotes of ``butler.get("``, ``butler.put(x, "``, ``collections="`` or ``run="`` the names that a repository
has are offered. Nothing of the line is run for that: a butler is found by its name, or the names that lead to it.
"""

from __future__ import annotations

__all__ = ["CompletedName", "load_ipython_extension", "name_to_complete", "unload_ipython_extension"]

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from butler_model.errors import ButlerError

from .butler import Butler
from .collections import ButlerCollections
from .registry import ButlerRegistry

_CALL = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\.([A-Za-z_]\w*)\(")
_KEYWORD = re.compile(r"([A-Za-z_]\w*)\s*=\s*[\[(]?\s*(?:(?:'[^']*'|\"[^\"]*\")\s*,\s*)*$")
_COLLECTION_ARGUMENTS = frozenset({"collections", "run", "runs"})
_IDENTIFIER = "butler"
_OPENING, _CLOSING = "([{", ")]}"

_TYPE, _COLLECTION = "dataset type", "collection"
_BUTLERS = ("get", "getDeferred", "getURI", "getURIs", "datasetExists", "exists", "find_dataset")
_DEFINITIONS = ("get_dataset_type", "getDatasetType", "findDataset", "queryDatasets", "removeDatasetType")
_COLLECTIONS = ("get_info", "remove", "getCollectionChain", "getCollectionSummary", "getCollectionType")
_MEMBERS = ("associate", "disassociate", "removeCollection")
_CHAINS = ("setCollectionChain", "extend_chain", "prepend_chain", "remove_from_chain", "redefine_chain")
_POSITIONS: Mapping[str, tuple[str | None, ...]] = {
    **dict.fromkeys((*_BUTLERS, *_DEFINITIONS), (_TYPE,)),
    **dict.fromkeys((*_COLLECTIONS, *_MEMBERS), (_COLLECTION,)),
    **dict.fromkeys(_CHAINS, (_COLLECTION, _COLLECTION)),
    "certify": (_COLLECTION,),
    "decertify": (_COLLECTION, _TYPE),
    "put": (None, _TYPE),
    "query_datasets": (_TYPE, _COLLECTION),
}
"""Which positional arguments of methods are names of what."""


@dataclass(frozen=True, slots=True)
class CompletedName:
    """A name that is being typed.

    Attributes
    ----------
    path
        The names that lead to the object whose method is called: ``butler.registry`` as a tuple.
    keyword
        Name of the argument, `None` if it is a positional one.
    position
        How many arguments are before it.
    begun
        What is typed of it.
    """

    path: tuple[str, ...]
    method: str
    keyword: str | None
    position: int
    begun: str


def name_to_complete(text: str) -> CompletedName | None:
    """Return what the end of a text is typing, if that is a string in a call of a method; `None` if it is not."""
    for call in reversed(list(_CALL.finditer(text))):
        scanned = _open_string(text[call.end() :])
        if scanned is not None:
            before, position, begun = scanned
            keyword = _KEYWORD.search(before)
            name = None if keyword is None else keyword[1]
            return CompletedName(tuple(call[1].split(".")), call[2], name, position, begun)
    return None


def _open_string(arguments: str) -> tuple[str, int, str] | None:
    """Return what is before the string in which arguments end, how many commas that has, and the string so far."""
    depth = position = start = 0
    quote = ""
    for index, character in enumerate(arguments):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote, start = character, index
        elif character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth -= 1
            if depth < 0:
                return None  # the call has ended
        elif character == "," and not depth:
            position += 1
    return (arguments[:start], position, arguments[start + 1 :]) if quote else None


def _names(typed: CompletedName, namespace: Mapping[str, Any]) -> list[str]:
    """Return the names in a repository that begin as the one that is typed."""
    found: Any = namespace.get(typed.path[0])
    for name in typed.path[1:]:
        found = getattr(found, name, None) if isinstance(found, Butler) else None
    kinds: tuple[str | None, ...] = _POSITIONS.get(typed.method, ())
    if typed.keyword is not None:
        kind = _COLLECTION if typed.keyword in _COLLECTION_ARGUMENTS else None
    else:
        kind = kinds[typed.position] if typed.position < len(kinds) else None
    if kind is None or not isinstance(found, Butler | ButlerRegistry | ButlerCollections):
        return []
    pattern = f"{typed.begun}*"
    try:
        if isinstance(found, ButlerCollections):
            return found.query(pattern)
        registry = found.registry if isinstance(found, Butler) else found
        if kind == _COLLECTION:
            return registry.queryCollections(pattern)
        return [each.name for each in registry.queryDatasetTypes(pattern)]
    except ButlerError:
        return []  # a service that does not answer is no reason to disturb who types


def load_ipython_extension(shell: Any) -> None:
    """Begin to offer names."""
    from IPython.core.completer import SimpleCompletion, context_matcher

    @context_matcher(identifier=_IDENTIFIER)  # type: ignore[untyped-decorator]
    def matcher(context: Any) -> dict[str, Any]:
        typed = name_to_complete(context.text_until_cursor)
        names = [] if typed is None else _names(typed, shell.user_ns)
        # IPython replaces its token, which may be less than the name so far.
        kept = 0 if typed is None else max(0, len(typed.begun) - len(context.token))
        completions = [SimpleCompletion(text=name[kept:], type="str") for name in names]
        return {"completions": completions, "suppress": bool(names)}

    unload_ipython_extension(shell)
    shell.Completer.custom_matchers.append(matcher)


def unload_ipython_extension(shell: Any) -> None:
    """Stop it."""
    matchers = shell.Completer.custom_matchers
    matchers[:] = [each for each in matchers if getattr(each, "matcher_identifier", "") != _IDENTIFIER]
