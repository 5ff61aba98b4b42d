# SPDX-License-Identifier: BSD-3-Clause
"""Operations between repositories."""

from __future__ import annotations

__all__ = ["OPERATIONS"]

from pathlib import Path
from typing import Any

from .call import Call, Prepare
from .survey import RUN, TYPE, Subject, describe


def export(subject: Subject, n: int, round: int) -> Call:
    directory, refs = _directory(subject, f"export_{n}_{round}"), subject.refs(n=n)
    return Call(lambda: _export(subject, directory, refs), lambda: len(list(directory.rglob("*.json"))))


def import_(subject: Subject, n: int, round: int) -> Call:
    directory, refs = _directory(subject, f"import_{n}_{round}"), subject.refs(n=n)
    _export(subject, directory, refs)
    target = _new(subject, f"import_{n}_{round}")

    def call() -> list[Any]:
        subject.library.import_(target, str(directory))
        return list(target.query_datasets(TYPE, RUN, limit=None))

    return Call(call)


def transfer_from(subject: Subject, n: int, round: int) -> Call:
    refs, target = subject.refs(n=n), _new(subject, f"transfer_{n}_{round}")
    describe(Subject(subject.library, subject.place, subject.filled, subject.folder, target), subject.filled)

    def call() -> list[Any]:
        return list(target.transfer_from(subject.butler, refs, transfer="copy"))

    return Call(call)


def _export(subject: Subject, directory: Path, refs: list[Any]) -> None:
    with subject.butler.export(directory=str(directory), filename="export.yaml", transfer="copy") as block:
        block.saveDatasets(refs)


def _directory(subject: Subject, name: str) -> Path:
    # Not beside the files of the other side, which has rounds of the same numbers.
    directory = subject.folder.parent / f"{subject.place.name}_{name}"
    directory.mkdir()
    return directory


def _new(subject: Subject, name: str) -> Any:
    place = subject.place.other(name)
    subject.library.make(place)
    return subject.library.open(place)


OPERATIONS: dict[str, Prepare] = {each.__name__: each for each in (export, import_, transfer_from)}
