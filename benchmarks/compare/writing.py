# SPDX-License-Identifier: BSD-3-Clause
"""Operations that put and remove datasets with their artifacts."""

from __future__ import annotations

__all__ = ["OPERATIONS"]

import time
from typing import Any

from .call import Call, Prepare
from .survey import OTHER, Subject

_DUE_SECONDS = 1.2
"""A little more than what `Library.trash` leaves artifacts in the trash for."""


def put(subject: Subject, n: int, round: int) -> Call:
    run, butler = f"put/{n}/{round}", subject.butler
    butler.registry.registerRun(run)
    items = [(subject.payload(i), each) for i, each in enumerate(subject.scattered(n, round))]

    def call() -> list[object]:
        return [butler.put(content, OTHER, data_id, run=run) for content, data_id in items]

    return Call(call)


def put_many(subject: Subject, n: int, round: int) -> Call:
    run = f"put_many/{n}/{round}"
    subject.butler.registry.registerRun(run)
    items = [(subject.payload(i), OTHER, subject.data_id(i)) for i in range(n)]
    return Call(lambda: subject.library.put_many(subject.butler, items, run), lambda: _contents(subject, run))


def ingest_direct(subject: Subject, n: int, round: int) -> Call:
    run = f"direct/{n}/{round}"
    files = subject.to_ingest(n, run)
    return Call(lambda: subject.butler.ingest(*files, transfer="direct"), lambda: _contents(subject, run))


def ingest_copy(subject: Subject, n: int, round: int) -> Call:
    run = f"copy/{n}/{round}"
    files = subject.to_ingest(n, run)
    return Call(lambda: subject.butler.ingest(*files, transfer="copy"), lambda: _contents(subject, run))


def prune(subject: Subject, n: int, round: int) -> Call:
    run = f"prune/{n}/{round}"
    refs = subject.stored(n, run)
    return Call(
        lambda: subject.butler.pruneDatasets(refs, purge=True, unstore=True), lambda: subject.refs(OTHER, run)
    )


def prune_and_return(subject: Subject, n: int, round: int) -> Call:
    run = f"prune_and_return/{n}/{round}"
    refs = subject.stored(n, run)
    return Call(
        lambda: subject.library.prune_and_return(subject.butler, refs), lambda: subject.refs(OTHER, run)
    )


def remove_runs(subject: Subject, n: int, round: int) -> Call:
    run = f"remove/{n}/{round}"
    subject.stored(n, run)
    return Call(
        lambda: subject.butler.removeRuns([run]), lambda: sorted(subject.butler.collections.query("remove/*"))
    )


def empty_trash(subject: Subject, n: int, round: int) -> Call:
    subject.library.empty_trash(subject.butler)
    subject.library.trash(subject.butler, subject.stored(n, f"trash/{n}/{round}"))
    time.sleep(_DUE_SECONDS)
    return Call(lambda: subject.library.empty_trash(subject.butler), lambda: None)


def _contents(subject: Subject, run: str) -> list[Any]:
    refs = subject.refs(OTHER, run)
    return [*refs, *(subject.library.get_by_ref(subject.butler, ref) for ref in refs[:20])]


OPERATIONS: dict[str, Prepare] = {
    each.__name__: each
    for each in (put, put_many, ingest_direct, ingest_copy, prune, prune_and_return, remove_runs, empty_trash)
}
