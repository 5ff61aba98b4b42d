# SPDX-License-Identifier: BSD-3-Clause
"""Operations that write to the registry and move no bytes."""

from __future__ import annotations

__all__ = ["OPERATIONS"]

from .call import Call, Prepare
from .survey import CALIBRATION, CALIBRATION_RUN, OTHER, TYPE, Subject, data_ids, visit

_DAY = 86_400 * 10**9
_START = 18_262 * _DAY
_FIRST_NEW_VISIT = 1_000_000


def insert_records(subject: Subject, n: int, round: int) -> Call:
    first = _FIRST_NEW_VISIT + (round + 10 * n) * 10_000
    records = [visit(subject, first + i) for i in range(n)]
    return lambda: subject.butler.registry.insertDimensionData("visit", *records)


def register(subject: Subject, n: int, round: int) -> Call:
    run = f"register/{n}/{round}"
    subject.butler.registry.registerRun(run)
    of_type, ids = subject.butler.get_dataset_type(OTHER), data_ids(subject, n)
    return lambda: subject.library.register(subject.butler, of_type, ids, run)


def associate(subject: Subject, n: int, round: int) -> Call:
    name = f"tag/{n}/{round}"
    subject.butler.collections.register(name, subject.library.types.CollectionType.TAGGED)
    refs = subject.refs(TYPE, n=n)
    return lambda: subject.butler.registry.associate(name, refs)


def certify(subject: Subject, n: int, round: int) -> Call:
    name, refs = _calibration(subject, f"certify/{n}/{round}"), subject.refs(CALIBRATION, CALIBRATION_RUN, n)
    timespan = subject.library.timespan(_START, _START + 10 * _DAY)
    return lambda: subject.butler.registry.certify(name, refs, timespan)


def decertify(subject: Subject, n: int, round: int) -> Call:
    name, refs = (
        _calibration(subject, f"decertify/{n}/{round}"),
        subject.refs(CALIBRATION, CALIBRATION_RUN, n),
    )
    registry, timespan = subject.butler.registry, subject.library.timespan
    registry.certify(name, refs, timespan(_START, _START + 10 * _DAY))
    # Its middle: every row is cut, and another one made.
    middle = timespan(_START + 2 * _DAY, _START + 3 * _DAY)
    return lambda: registry.decertify(name, CALIBRATION, middle)


def _calibration(subject: Subject, name: str) -> str:
    subject.butler.collections.register(name, subject.library.types.CollectionType.CALIBRATION)
    return name


OPERATIONS: dict[str, Prepare] = {
    each.__name__: each for each in (insert_records, register, associate, certify, decertify)
}
