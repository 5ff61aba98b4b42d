# SPDX-License-Identifier: BSD-3-Clause
"""Operations that write to the registry and move no bytes."""

from __future__ import annotations

__all__ = ["OPERATIONS"]

from typing import Any

from .call import Call, Prepare
from .survey import (
    CALIBRATION,
    CALIBRATION_RUN,
    INSTRUMENT,
    NIGHT_BEGINS,
    OTHER,
    TYPE,
    Subject,
    data_ids,
    visit,
)

_DAY = 86_400 * 10**9
_SEEN = (NIGHT_BEGINS, NIGHT_BEGINS + _DAY)
_VALID = (NIGHT_BEGINS - 10 * _DAY, NIGHT_BEGINS + 10 * _DAY)
_FIRST_NEW_VISIT = 1_000_000


def insert_records(subject: Subject, n: int, round: int) -> Call:
    first = _FIRST_NEW_VISIT + (100 + round) * n
    records = [visit(subject, first + i) for i in range(n)]
    where = f"instrument = '{INSTRUMENT}' AND visit >= {first} AND visit < {first + n}"
    return Call(
        lambda: subject.butler.registry.insertDimensionData("visit", *records),
        lambda: subject.butler.query_data_ids("visit", where=where, limit=None),
    )


def register(subject: Subject, n: int, round: int) -> Call:
    run = f"register/{n}/{round}"
    subject.butler.registry.registerRun(run)
    of_type, ids = subject.butler.get_dataset_type(OTHER), data_ids(subject, n)
    return Call(
        lambda: subject.library.register(subject.butler, of_type, ids, run), lambda: subject.refs(OTHER, run)
    )


def associate(subject: Subject, n: int, round: int) -> Call:
    name = f"tag/{n}/{round}"
    subject.butler.collections.register(name, subject.library.types.CollectionType.TAGGED)
    refs = subject.refs(TYPE, n=n)
    return Call(lambda: subject.butler.registry.associate(name, refs), lambda: subject.refs(TYPE, name))


def certify(subject: Subject, n: int, round: int) -> Call:
    name, refs = _calibration(subject, f"certify/{n}/{round}"), subject.refs(CALIBRATION, CALIBRATION_RUN, n)
    timespan = subject.library.timespan(*_VALID)
    return Call(
        lambda: subject.butler.registry.certify(name, refs, timespan), lambda: _certified(subject, name)
    )


def decertify(subject: Subject, n: int, round: int) -> Call:
    name = _calibration(subject, f"decertify/{n}/{round}")
    refs = subject.refs(CALIBRATION, CALIBRATION_RUN, n)
    registry, timespan = subject.butler.registry, subject.library.timespan
    registry.certify(name, refs, timespan(*_VALID))
    # Its middle: every row is cut, and another one made.
    middle = timespan(*_SEEN)
    return Call(lambda: registry.decertify(name, CALIBRATION, middle), lambda: _certified(subject, name))


def _certified(subject: Subject, name: str) -> list[Any]:
    """Return what is found, since the older library lists no associations of such collections."""
    # It looks for what is valid at the time of the visit as well.
    time, find = subject.library.timespan(*_SEEN), subject.butler.find_dataset
    return [find(CALIBRATION, each, collections=[name], timespan=time) for each in data_ids(subject, 20)]


def _calibration(subject: Subject, name: str) -> str:
    subject.butler.collections.register(name, subject.library.types.CollectionType.CALIBRATION)
    return name


OPERATIONS: dict[str, Prepare] = {
    each.__name__: each for each in (insert_records, register, associate, certify, decertify)
}
