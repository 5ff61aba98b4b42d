# SPDX-License-Identifier: BSD-3-Clause
"""Why a query gives nothing, as far as it can be found out by asking for less."""

from __future__ import annotations

__all__ = ["explain"]

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from butler_model.query.spec import QuerySpec, ResultKind

from .collection_summaries import summarise
from .definitions import Snapshot


def explain(snapshot: Snapshot, spec: QuerySpec, has_rows: Callable[[QuerySpec], bool]) -> list[str]:
    """Return reasons why a query has no rows, the most telling first; none if it has some.

    Parameters
    ----------
    has_rows
        Asks whether another query has rows.
    """
    spec = replace(spec, order_by=(), limit=None)
    if has_rows(spec):
        return []
    reasons = [
        *_searches(snapshot, spec),
        *_values(snapshot, {**spec.default_data_id, **spec.data_id}, has_rows),
    ]
    for what, loosened in _loosened(spec):
        if not reasons and has_rows(loosened):
            reasons.append(f"There are rows without {what}.")
    if not reasons and spec.kind is not ResultKind.DATASETS:
        names = spec.dimensions or snapshot.universe[spec.element].required
        stored = [n for n in snapshot.universe.conform(names).required if not snapshot.universe[n].skypix]
        reasons += [f"There are no records of {n} at all." for n in stored if not has_rows(_all_of(n))]
    return reasons


def _searches(snapshot: Snapshot, spec: QuerySpec) -> list[str]:
    searches = [(join.dataset_type, join.collections) for join in spec.joins]
    if spec.kind is ResultKind.DATASETS:
        searches.insert(0, (spec.dataset_type, spec.collections))
    reasons = []
    for dataset_type, collections in searches:
        if not collections:
            reasons.append(f"No collections are searched for {dataset_type!r}.")
            continue
        held = {
            name
            for summary in summarise(snapshot, snapshot.summaries, collections)
            for name in summary.dataset_types
        }
        if dataset_type not in held:
            reasons.append(
                f"There are no datasets of type {dataset_type!r} in {', '.join(collections[:10])}."
            )
    return reasons


def _values(
    snapshot: Snapshot, data_id: Mapping[str, Any], has_rows: Callable[[QuerySpec], bool]
) -> list[str]:
    return [
        f"There is no {name} {value!r}."
        for name, value in data_id.items()
        if snapshot.universe[name].is_governor and not has_rows(replace(_all_of(name), data_id={name: value}))
    ]


def _loosened(spec: QuerySpec) -> list[tuple[str, QuerySpec]]:
    changes: list[tuple[str, QuerySpec]] = []
    if spec.where:
        changes.append((f"the condition {spec.where[:200]}", replace(spec, where="", bind={})))
    for i, join in enumerate(spec.joins):
        rest = (*spec.joins[:i], *spec.joins[i + 1 :])
        changes.append((f"the constraint on datasets {join.dataset_type!r}", replace(spec, joins=rest)))
    if spec.uploads:
        changes.append(("the data IDs that were given", replace(spec, uploads=())))
    for name, value in spec.data_id.items():
        rest_id = {k: v for k, v in spec.data_id.items() if k != name}
        changes.append((f"{name} = {value!r}", replace(spec, data_id=rest_id)))
    return changes


def _all_of(dimension: str) -> QuerySpec:
    return QuerySpec(ResultKind.DATA_IDS, dimensions=(dimension,))
