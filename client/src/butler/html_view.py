# SPDX-License-Identifier: BSD-3-Clause
"""What a notebook shows of a butler: where it is, and what its default collections hold."""

from __future__ import annotations

__all__ = ["butler_as_html"]

import html
from collections.abc import Iterable, Sequence

from butler_model.collection import Collection, CollectionSummary
from butler_model.errors import ButlerError

from .connect import Connection
from .defaults import RegistryDefaults

_COLLECTIONS = 20
_NAMES = 8


def butler_as_html(connection: Connection, defaults: RegistryDefaults, *, writeable: bool) -> str:
    """Return two tables, the second one of the default collections; it costs two calls to the registry.

    Whatever cannot be asked is said to be unknown: showing a butler never fails.
    """
    universe = connection.info.universe
    values = [f"{name}={value}" for name, value in defaults.given.items()]
    facts = {
        "repository": connection.address,
        "dimensions": f"{universe.namespace} {universe.version}",
        "run": defaults.run or "none",
        "writeable": "yes" if writeable else "no",
        "default data ID": ", ".join(values) or "none",
        "collections": "none" if not defaults.collections else f"{len(defaults.collections)}",
    }
    rows = "".join(f"<tr><th>{name}</th><td>{html.escape(text)}</td></tr>" for name, text in facts.items())
    shown = f"<table><caption>Butler</caption>{rows}</table>"
    return shown + _collections(connection, defaults.collections) if defaults.collections else shown


def _collections(connection: Connection, names: Sequence[str]) -> str:
    port = connection.registry.collections
    known: dict[str, tuple[Collection, CollectionSummary]] = {}
    unknown = "not registered yet"
    try:
        found = port.find(names[:_COLLECTIONS])
        summaries = port.summaries([each.name for each in found]) if found else []
        known = {each.name: (each, summary) for each, summary in zip(found, summaries, strict=True)}
    except ButlerError as error:
        unknown = f"unknown: {error.message}"
    rows = [_row(name, known.get(name), unknown) for name in names[:_COLLECTIONS]]
    if len(names) > _COLLECTIONS:
        rows.append(f"<tr><td colspan=4>… and {len(names) - _COLLECTIONS} more</td></tr>")
    head = "".join(f"<th>{title}</th>" for title in ("collection", "type", "dataset types", "values"))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _row(name: str, known: tuple[Collection, CollectionSummary] | None, unknown: str) -> str:
    if known is None:
        cells = [name, unknown, "", ""]
    else:
        collection, summary = known
        values = [f"{governor}: {_few(held)}" for governor, held in summary.governors.items() if held]
        cells = [name, collection.type.name, _few(summary.dataset_types), "; ".join(values)]
    return f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"


def _few(names: Iterable[str]) -> str:
    every = list(names)
    more = f", … {len(every) - _NAMES} more" if len(every) > _NAMES else ""
    return ", ".join(every[:_NAMES]) + more
