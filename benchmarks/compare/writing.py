# SPDX-License-Identifier: BSD-3-Clause
"""Operations that put and remove datasets with their artifacts."""

from __future__ import annotations

__all__ = ["OPERATIONS"]

import time

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

    return call


def put_many(subject: Subject, n: int, round: int) -> Call:
    run = f"put_many/{n}/{round}"
    subject.butler.registry.registerRun(run)
    items = [(subject.payload(i), OTHER, subject.data_id(i)) for i in range(n)]
    return lambda: subject.library.put_many(subject.butler, items, run)


def ingest_direct(subject: Subject, n: int, round: int) -> Call:
    files = subject.to_ingest(n, f"direct/{n}/{round}")
    return lambda: subject.butler.ingest(*files, transfer="direct")


def ingest_copy(subject: Subject, n: int, round: int) -> Call:
    files = subject.to_ingest(n, f"copy/{n}/{round}")
    return lambda: subject.butler.ingest(*files, transfer="copy")


def prune(subject: Subject, n: int, round: int) -> Call:
    refs = subject.stored(n, f"prune/{n}/{round}")

    def call() -> None:
        subject.butler.pruneDatasets(refs, purge=True, unstore=True, disassociate=True)

    return call


def prune_and_return(subject: Subject, n: int, round: int) -> Call:
    refs = subject.stored(n, f"prune_and_return/{n}/{round}")
    return lambda: subject.library.prune_and_return(subject.butler, refs)


def remove_runs(subject: Subject, n: int, round: int) -> Call:
    run = f"remove/{n}/{round}"
    subject.stored(n, run)
    return lambda: subject.butler.removeRuns([run])


def empty_trash(subject: Subject, n: int, round: int) -> Call:
    subject.library.empty_trash(subject.butler)
    subject.library.trash(subject.butler, subject.stored(n, f"trash/{n}/{round}"))
    time.sleep(_DUE_SECONDS)
    return lambda: subject.library.empty_trash(subject.butler)


OPERATIONS: dict[str, Prepare] = {
    each.__name__: each
    for each in (put, put_many, ingest_direct, ingest_copy, prune, prune_and_return, remove_runs, empty_trash)
}
