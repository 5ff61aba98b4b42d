# SPDX-License-Identifier: BSD-3-Clause
"""What collections hold, exactly."""

from __future__ import annotations

__all__ = ["holdings_of", "summarise"]

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from butler_model.collection import CollectionSummary
from butler_registry.storage.dataset_type_store import DatasetTypeRow
from butler_registry.storage.summary_store import Holding, SummaryStore, governors_of

from .definitions import Snapshot


def summarise(snapshot: Snapshot, store: SummaryStore, names: Sequence[str]) -> list[CollectionSummary]:
    """Return the summary of each collection; of a chain, that of its members together."""
    members = [snapshot.search([name]) for name in names]
    rows = {row.id: row for each in members for row in each}
    connection = snapshot.connection
    candidates = store.candidates(connection, list(rows))
    types = snapshot.dataset_types_by_id(holding.dataset_type_id for holding in candidates)
    # A type that was just removed has no datasets.
    probes = [
        (h, rows[h.collection_id], types[h.dataset_type_id]) for h in candidates if h.dataset_type_id in types
    ]
    held: dict[int, list[Holding]] = defaultdict(list)
    for holding in store.existing(connection, probes):
        held[holding.collection_id].append(holding)
    return [_summary([h for row in each for h in held[row.id]], types) for each in members]


def holdings_of(collection_id: int, row: DatasetTypeRow, data_ids: Iterable[Sequence[Any]]) -> set[Holding]:
    """Return what a collection holds once it has datasets with these data IDs (required values)."""
    required = row.dataset_type.dimensions.required
    positions = [required.index(name) for name in governors_of(row)]
    values = {tuple(data_id[i] for i in positions) for data_id in data_ids}
    return {Holding(collection_id, row.id, governors) for governors in values}


def _summary(holdings: Iterable[Holding], types: dict[int, DatasetTypeRow]) -> CollectionSummary:
    names: set[str] = set()
    governors: dict[str, set[str]] = {}
    for holding in holdings:
        row = types[holding.dataset_type_id]
        names.add(row.dataset_type.name)
        for governor, value in zip(governors_of(row), holding.governors, strict=True):
            governors.setdefault(governor, set()).add(value)
    return CollectionSummary(
        tuple(sorted(names)), {name: tuple(sorted(governors[name])) for name in sorted(governors)}
    )
