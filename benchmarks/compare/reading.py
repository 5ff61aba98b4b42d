# SPDX-License-Identifier: BSD-3-Clause
"""Operations that only look."""

from __future__ import annotations

__all__ = ["OPERATIONS"]

from typing import Any

from .call import Call, Prepare
from .survey import CHAIN, INSTRUMENT, RUN, TYPE, Subject


def open_repository(subject: Subject, n: int, round: int) -> Call:
    def call() -> list[Any]:
        opened = []
        for _ in range(n):
            butler = subject.library.open(subject.place, collections=[RUN])
            opened.append(butler.collections.defaults[0])
            butler.close()
        return opened

    return Call(call)


def get(subject: Subject, n: int, round: int) -> Call:
    ids, butler = subject.scattered(n, round), subject.butler
    return Call(lambda: [butler.get(TYPE, each) for each in ids])


def get_by_ref(subject: Subject, n: int, round: int) -> Call:
    refs, library = _some_refs(subject, n, round), subject.library
    return Call(lambda: [library.get_by_ref(subject.butler, ref) for ref in refs])


def get_many(subject: Subject, n: int, round: int) -> Call:
    refs = _some_refs(subject, n, round)
    return Call(lambda: subject.library.get_many(subject.butler, refs))


def get_deferred(subject: Subject, n: int, round: int) -> Call:
    ids, butler = subject.scattered(n, round), subject.butler
    return Call(lambda: [butler.getDeferred(TYPE, each).get() for each in ids])


def exists(subject: Subject, n: int, round: int) -> Call:
    ids, butler = subject.scattered(n, round), subject.butler
    return Call(lambda: [bool(butler.exists(TYPE, each)) for each in ids])


def stored_many(subject: Subject, n: int, round: int) -> Call:
    refs, butler = _some_refs(subject, n, round), subject.butler
    return Call(lambda: list(butler.stored_many(refs).values()))


def find(subject: Subject, n: int, round: int) -> Call:
    ids, butler = subject.scattered(n, round), subject.butler
    return Call(lambda: [butler.find_dataset(TYPE, each) for each in ids])


def expand(subject: Subject, n: int, round: int) -> Call:
    ids, registry = subject.scattered(n, round), subject.butler.registry
    return Call(lambda: [registry.expandDataId(each) for each in ids])


def list_all(subject: Subject, n: int, round: int) -> Call:
    return Call(lambda: list(subject.butler.query_datasets(TYPE, "*", find_first=False, limit=None)))


def list_run(subject: Subject, n: int, round: int) -> Call:
    run = f"{RUN}/{n}" if n < subject.filled else RUN
    return Call(lambda: list(subject.butler.query_datasets(TYPE, run, limit=None)))


def list_chain(subject: Subject, n: int, round: int) -> Call:
    return Call(lambda: list(subject.butler.query_datasets(TYPE, CHAIN, find_first=True, limit=None)))


def list_data_ids(subject: Subject, n: int, round: int) -> Call:
    where = f"instrument = '{INSTRUMENT}' AND exposure < {subject.visits}"
    return Call(
        lambda: list(subject.butler.query_data_ids(["exposure", "detector"], where=where, limit=None))
    )


def select(subject: Subject, n: int, round: int) -> Call:
    queries = [
        f"instrument = '{INSTRUMENT}' AND visit = {(round * n + i) * 31 % subject.visits} AND detector < 10"
        for i in range(n)
    ]
    return Call(
        lambda: [ref for where in queries for ref in subject.butler.query_datasets(TYPE, RUN, where=where)]
    )


def count(subject: Subject, n: int, round: int) -> Call:
    def call() -> list[int]:
        counts = []
        for _ in range(n):
            with subject.butler.query() as query:
                counts.append(query.datasets(TYPE, RUN).count())
        return counts

    return Call(call)


def _some_refs(subject: Subject, n: int, round: int) -> list[Any]:
    refs = subject.refs()
    return [refs[(round * n + i) * 7919 % len(refs)] for i in range(n)]


OPERATIONS: dict[str, Prepare] = {
    each.__name__: each
    for each in (
        open_repository,
        get,
        get_by_ref,
        get_many,
        get_deferred,
        exists,
        stored_many,
        find,
        expand,
        list_all,
        list_run,
        list_chain,
        list_data_ids,
        select,
        count,
    )
}
